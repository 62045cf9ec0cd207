import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TurnedClock } from '../base/turned-clock.fixture.ts';
import { captureFaults } from '../capture/index.ts';
import { hypervFaults } from '../hyperv/index.ts';
import { targetFaults } from '../targets/index.ts';
import { cyclesEvery } from './cycles-every.ts';
import type { ReplicateRun } from './replicate-port.ts';

const NODES = { vm: 'web01', from: 'HV01', to: 'HV02' };

/** What is yielded while `hours` pass, and when each cycle began, in seconds. */
async function played(
  everySeconds: number | undefined,
  errors: (cycle: number) => unknown,
  hours = 1,
): Promise<{ readonly runs: readonly ReplicateRun[]; readonly began: readonly number[]; ended: boolean }> {
  const clock = new TurnedClock();
  const gone = new AbortController();
  const progress = { phase() {}, advance() {}, note() {} };
  const [runs, began]: [ReplicateRun[], number[]] = [[], []];
  const cycle = async (): Promise<ReplicateRun> => {
    began.push(clock.now() / 1000);
    const error = errors(began.length);
    await clock.sleep(4000);
    const facts = { vm: { name: 'web01' }, target: 'dir:/r', startedAt: '', finishedAt: '', seconds: 4 };
    return { ...facts, disks: [], warnings: [], ...(error === undefined ? {} : { error }) };
  };
  const played = (async () => {
    for await (const run of cyclesEvery(everySeconds, { signal: gone.signal, progress }, cycle, clock))
      runs.push(run);
  })();
  let ended = false;
  const ending = played.then(
    () => (ended = true),
    () => undefined,
  );
  await clock.turn(hours * 3_600_000);
  const before = ended;
  gone.abort(new Error('Ctrl-C'));
  await ending;
  return { runs, began, ended: before };
}

test('a VM on its way to another node: the cycle is tried again soon, says when, and goes back to its interval', async () => {
  const { runs, began, ended } = await played(300, (cycle) =>
    cycle === 2 || cycle === 3 ? hypervFaults.vmMoved(NODES) : undefined,
  );
  assert.ok(!ended);
  assert.deepEqual(began.slice(0, 6), [0, 300, 314, 338, 638, 938]);
  assert.deepEqual(
    runs.slice(0, 5).map(({ nextInSeconds }) => nextInSeconds),
    [undefined, 10, 20, undefined, undefined],
  );
});

test('a host that is away for a day is asked every 15 minutes at most, or every interval where that is longer', async () => {
  const away = (): unknown => hypervFaults.effectMissing({ what: 'answer', seconds: 1 });
  for (const [every, longest] of [
    [10, 900],
    [300, 900],
    [7200, 7200],
  ] as const) {
    const { runs, began } = await played(every, away, 24);
    const waits = runs.map(({ nextInSeconds }) => nextInSeconds!);
    assert.deepEqual(waits.slice(0, 3), [10, 20, 40]);
    assert.equal(Math.max(...waits), longest);
    assert.ok(waits.every((wait, index) => index === 0 || wait >= waits[index - 1]!));
    assert.ok(began.length < 24 * 4 + 10, `${began.length} cycles`);
  }
});

test('the checkpoint of another backup passes; what cannot pass by itself ends it; without an interval there is one cycle', async () => {
  const foreign = captureFaults.foreignCheckpoint({ vm: 'web01', checkpoint: 'somebody' });
  const passing = await played(60, (cycle) => (cycle === 1 ? foreign : undefined));
  assert.deepEqual([passing.ended, passing.began.slice(0, 3)], [false, [0, 14, 74]]);
  for (const error of [targetFaults.diskMissing({ place: '/r' }), new Error('ours')]) {
    const { runs, ended } = await played(60, (cycle) => (cycle === 2 ? error : undefined));
    assert.deepEqual(
      [ended, runs.length, runs[1]!.error, runs[1]!.nextInSeconds],
      [true, 2, error, undefined],
    );
  }
  for (const error of [undefined, hypervFaults.vmMoved(NODES)]) {
    const { runs, ended } = await played(undefined, () => error);
    assert.deepEqual([ended, runs.length, runs[0]!.nextInSeconds], [true, 1, undefined]);
  }
});
