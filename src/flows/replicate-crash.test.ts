/** A cycle cut at every step: what the replica then holds is a complete generation, and it goes on without a seed. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MiB } from '../base/index.ts';
import { ReplicaWorld, someOf } from './replica-world.fixture.ts';
import { MemoryTarget } from './replicate-world.fixture.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-replica-crash-'));
after(() => rm(folder, { recursive: true }));
const SIZES = [3 * MiB + 512, MiB];
let worlds = 0;

type World = ReplicaWorld<MemoryTarget>;

function newWorld(): World {
  return new ReplicaWorld({
    stateFolder: join(folder, String((worlds += 1))),
    sizes: SIZES,
    target: (fate) => new MemoryTarget(fate),
    lose: (target, cut) => target.lose(someOf(cut)),
  });
}

test('a delta cycle cut at every step of target, host and state leaves a complete generation, and the next is a delta', async (t) => {
  const world = await seeded();
  let generation = (await world.settled()).generation!.number;
  const cuts: { step: string; committed: boolean }[] = [];
  for (let dieAt = 0; ; dieAt += 1) {
    await world.write();
    const step = await world.killedAt(dieAt, () => world.cycle());
    if (step === undefined) break;
    const state = await world.settled();
    await world.assertIs(state);
    cuts.push({ step, committed: state.generation!.number > generation });
    await world.write();
    const next = await world.cycle();
    assert.deepEqual([...new Set(next.disks.map(({ kind }) => kind))], ['delta'], `cut at ${step}`);
    assert.equal(next.generation, state.generation!.number + 1, `cut at ${step}`);
    await world.assertIs(await world.settled());
    generation = next.generation;
  }
  t.diagnostic(`cut at ${cuts.length} steps`);
  const steps = cuts.map(({ step }) => step);
  for (const name of ['write', 'zero', 'flush', 'after save', 'before seal', 'after retire'])
    assert.ok(steps.includes(name), `${name} is among ${steps.join()}`);
  const commit = cuts.findIndex(({ committed }) => committed);
  assert.equal(cuts[commit]!.step, 'after save');
  assert.ok(
    cuts.slice(commit).every(({ committed }) => committed),
    'what is committed stays so',
  );
  assert.ok(!steps.slice(0, commit).includes('write'), 'nothing is written to the target before the commit');
});

async function seeded(): Promise<World> {
  const world = newWorld();
  for (let write = 0; write < 3; write += 1) await world.write();
  await world.cycle();
  return world;
}

test('a seed cut at every step is gone on with as a compare of what is there', async (t) => {
  let cuts = 0;
  for (let dieAt = 0; ; dieAt += 1) {
    const world = newWorld();
    for (let write = 0; write < 2; write += 1) await world.write();
    const step = await world.killedAt(dieAt, () => world.cycle());
    if (step === undefined) break;
    cuts += 1;
    const { phase, generation } = await world.settled();
    assert.equal(phase, generation ? 'idle' : 'seeding');
    if (generation) await world.assertIs(await world.settled());
    const { disks } = await world.cycle();
    await world.assertIs(await world.settled());
    assert.ok(!generation || disks.every(({ kind }) => kind !== 'full'), `cut at ${step}`);
  }
  t.diagnostic(`cut at ${cuts} steps`);
  assert.ok(cuts >= 8);
});

test('cuts one after the other, wherever they come, never cost a generation', async () => {
  const world = await seeded();
  let last = (await world.settled()).generation!.number;
  for (let round = 0; round < 8; round += 1) {
    await world.write();
    await world.killedAt((round * 7) % 20, () => world.cycle());
    const state = await world.settled();
    assert.ok(state.generation!.number >= last);
    last = state.generation!.number;
    await world.assertIs(state);
  }
});
