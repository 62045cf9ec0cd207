import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KiB, MiB, RateLimit } from '../base/index.ts';
import { objectStoreConformance } from './conformance.ts';
import { createMemoryStore, throttledStore } from './index.ts';

/** A clock that goes on only when somebody sleeps. */
function sleepingClock() {
  const clock = {
    ms: 0,
    now: () => clock.ms,
    sleep: async (ms: number, signal?: AbortSignal) => {
      signal?.throwIfAborted();
      clock.ms += ms;
    },
  };
  return clock;
}

objectStoreConformance('throttled', async () =>
  throttledStore(createMemoryStore(), new RateLimit(MiB, sleepingClock())),
);

test('what goes to and from the store takes the time that the limit asks for, and the rest takes none', async () => {
  const clock = sleepingClock();
  const store = throttledStore(createMemoryStore(), new RateLimit(100 * KiB, clock));
  await store.putNew('a', Buffer.alloc(100 * KiB));
  const upload = await store.startNew('b');
  await upload.append(Buffer.alloc(200 * KiB));
  await upload.commit();
  await store.getRange('a', 0, 50 * KiB);
  await store.stat('a');
  await Array.fromAsync(store.list(''));
  await store.delete('a');
  // Each pays for what went before it: 1 s for `a`, 2 s for `b`; the read is the last.
  assert.equal(clock.ms, 3000);
});
