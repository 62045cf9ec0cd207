import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MiB } from './units.ts';
import { RateLimit } from './rate-limit.ts';
import { TurnedClock } from './turned-clock.fixture.ts';

test('in any second no more goes than the limit and one request, however many ask at once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 2 * MiB }), { minLength: 1, maxLength: 40 }),
      async (requests) => {
        const clock = new TurnedClock();
        const limit = new RateLimit(MiB, clock);
        let gone = 0;
        const all = requests.map(async (bytes) => {
          await limit.take(bytes);
          gone += bytes;
        });
        const largest = Math.max(...requests);
        const total = requests.reduce((sum, each) => sum + each, 0);
        for (let second = 0; second <= Math.ceil(total / MiB); second += 1) {
          assert.ok(gone <= second * MiB + largest, `${gone} bytes after ${second} s`);
          assert.ok(gone >= Math.min(total, second * MiB), 'the limit is used up as long as somebody waits');
          await clock.turn(1000);
        }
        await Promise.all(all);
      },
    ),
    { numRuns: 50 },
  );
});

test('time without use is not saved up', async () => {
  const clock = new TurnedClock();
  const limit = new RateLimit(MiB, clock);
  await clock.turn(60_000);
  let gone = 0;
  for (let n = 0; n < 10; n += 1) void limit.take(MiB).then(() => (gone += 1));
  await clock.turn(2000);
  assert.equal(gone, 3);
});

test('a cancelled wait ends at once with the reason', async () => {
  const clock = new TurnedClock();
  const limit = new RateLimit(1, clock);
  await limit.take(1000);
  const controller = new AbortController();
  const waiting = limit.take(1, controller.signal);
  controller.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  assert.equal(clock.sleeping, 0);
  await assert.rejects(limit.take(1, controller.signal), /enough/);
});
