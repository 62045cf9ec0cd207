/** A power cut at any operation on the file system below a repository, with each way of losing what was not synced. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { CutTally } from './crash-player.fixture.ts';
import { SCENES } from './crash-scenes.fixture.ts';

const SEED = Number(process.env['HVLIFT_SEED']?.split(':')[0] ?? 20_261_123);

const player = new Worker(new URL('./crash-player.fixture.ts', import.meta.url));
after(() => player.terminate());

const total = { states: 0, distinct: 0 };

for (const scene of Object.keys(SCENES)) {
  test(`the power is cut anywhere: ${scene}`, { timeout: 300_000 }, async (t) => {
    player.postMessage({ scene, seed: SEED }, []);
    const [tally] = (await once(player, 'message')) as [CutTally];
    const { operations, states, distinct, failure } = tally;
    t.diagnostic(`${operations} operations, ${states} states, ${distinct} of them distinct`);
    assert.equal(failure, undefined, `seed ${SEED}`);
    total.states += states;
    total.distinct += distinct;
  });
}

test('more than 10,000 states were looked at', (t) => {
  t.diagnostic(`${total.states} states, ${total.distinct} of them distinct`);
  assert.ok(total.states >= 10_000);
});
