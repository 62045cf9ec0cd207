import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LatencyGuard } from './latency-guard.ts';
import { TurnedClock } from './turned-clock.fixture.ts';

/** Readers that never stop, over storage whose reads take as long as `storage.ms` says. */
function load(guard: LatencyGuard, clock: TurnedClock, readers: number) {
  const storage = { ms: 5, atOnce: 0, most: 0, reads: 0 };
  const stop = new AbortController();
  const read = async (): Promise<void> => {
    storage.atOnce += 1;
    storage.most = Math.max(storage.most, storage.atOnce);
    await clock.sleep(storage.ms);
    storage.atOnce -= 1;
    storage.reads += 1;
  };
  const reader = async (): Promise<void> => {
    while (!stop.signal.aborted) await guard.run(read, stop.signal);
  };
  const all = Promise.allSettled(Array.from({ length: readers }, reader));
  return { storage, stop: () => (stop.abort(new Error('over')), all) };
}

test('reads under the threshold run as many at once as there are', async () => {
  const clock = new TurnedClock();
  const guard = new LatencyGuard(20, clock);
  const { storage, stop } = load(guard, clock, 32);
  await clock.turn(500);
  assert.equal(storage.most, 32);
  assert.deepEqual(guard.state, { width: 64, pauseMs: 0 });
  const ended = stop();
  await clock.turn(100);
  await ended;
});

test('slow storage is read by one at a time with pauses, and by many again once it is quick', async () => {
  const clock = new TurnedClock();
  const guard = new LatencyGuard(20, clock);
  const { storage, stop } = load(guard, clock, 32);
  storage.ms = 80;
  await clock.turn(30_000);
  assert.deepEqual(guard.state, { width: 1, pauseMs: 1000 });
  const before = storage.reads;
  storage.most = 0;
  await clock.turn(10_000);
  assert.equal(storage.most, 1);
  assert.ok(storage.reads - before <= 10, `${storage.reads - before} reads in ten seconds of trouble`);
  storage.ms = 5;
  await clock.turn(5000);
  assert.equal(guard.state.pauseMs, 0);
  assert.ok(storage.atOnce >= 16, `${storage.atOnce} at once`);
  const ended = stop();
  await clock.turn(500);
  await ended;
});

test('whoever waits for its turn and is cancelled leaves the line; the others go on', async () => {
  const clock = new TurnedClock();
  const guard = new LatencyGuard(20, clock);
  const { storage, stop } = load(guard, clock, 4);
  storage.ms = 80;
  await clock.turn(20_000);
  const controller = new AbortController();
  const given = guard.run(async () => assert.fail('it was read all the same'), controller.signal);
  controller.abort(new Error('enough'));
  await assert.rejects(given, /enough/);
  const before = storage.reads;
  await clock.turn(5000);
  assert.ok(storage.reads > before);
  const ended = stop();
  await clock.turn(5000);
  await ended;
});

test('a read that fails is not kept in the count of those that run', async () => {
  const guard = new LatencyGuard(20, new TurnedClock());
  for (let n = 0; n < 200; n += 1) {
    await assert.rejects(
      guard.run(async () => {
        throw new Error('broken');
      }),
      /broken/,
    );
  }
  assert.equal(await guard.run(async () => 'read'), 'read');
});
