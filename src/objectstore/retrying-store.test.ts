import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { objectStoreConformance } from './conformance.ts';
import { storeFaults } from './faults.ts';
import { createMemoryStore, faultyStore, retryingStore, type StoreCall } from './index.ts';
import { layered } from './store-layer.ts';

const lost = (): Error =>
  storeFaults.connectionFailed({ location: 'here', operation: 'this', reason: 'lost' });

/** Time that passes at once, and how much of it did. */
function turnedClock() {
  const clock = {
    waitedMs: [] as number[],
    now: () => 0,
    sleep: async (ms: number, signal?: AbortSignal) => {
      signal?.throwIfAborted();
      clock.waitedMs.push(ms);
    },
  };
  return clock;
}

objectStoreConformance('retrying', async () => retryingStore(createMemoryStore()));

/** Every call fails twice, once before and once after it took effect. */
objectStoreConformance('retrying over a lossy store', async () => {
  const failures = new Map<string, number>();
  const failOnce = (when: string) => (call: StoreCall) => {
    if (call.signal?.aborted || ['append', 'abort', 'list', 'startNew'].includes(call.method)) return;
    const key = `${when} ${call.method} ${call.name} ${call.bytes}`;
    failures.set(key, (failures.get(key) ?? 0) + 1);
    if (failures.get(key)! % 2 === 1) throw lost();
  };
  // Only a call that may be made twice can lose its answer: a commit in memory ends its upload.
  const after = (call: StoreCall): void => {
    if (call.method !== 'commit') failOnce('after')(call);
  };
  const lossy = faultyStore(createMemoryStore(), { before: failOnce('before'), after });
  return retryingStore(lossy, { clock: turnedClock() });
});

test('waiting doubles, is bounded in all, and the fault of the last try is thrown', async () => {
  const clock = turnedClock();
  const broken = faultyStore(createMemoryStore(), {
    before: () => {
      throw lost();
    },
  });
  const store = retryingStore(broken, { clock, random: () => 1, patienceSeconds: 30 });
  await assert.rejects(store.stat('a'), (error) => hasCode(error, 'STORE_CONNECTION_FAILED'));
  assert.deepEqual(clock.waitedMs, [200, 400, 800, 1600, 3200, 6400, 10_000, 7400]);
});

test('what no time mends is thrown at once', async () => {
  const clock = turnedClock();
  const store = retryingStore(createMemoryStore(), { clock });
  await store.putNew('a', Buffer.from('x'));
  await assert.rejects(store.putNew('a', Buffer.from('y')), (error) => hasCode(error, 'STORE_NAME_TAKEN'));
  await assert.rejects(store.getRange('b', 0, 1), (error) => hasCode(error, 'STORE_NOT_FOUND'));
  assert.deepEqual(clock.waitedMs, []);
});

test('a list that breaks goes on behind the last name', async () => {
  const memory = createMemoryStore();
  for (let i = 0; i < 10; i += 1) await memory.putNew(`a/${i}`, Buffer.alloc(i));
  let lists = 0;
  const breaking = layered(
    memory,
    (_, run) => run(),
    async function* (prefix, options) {
      lists += 1;
      let left = 3;
      for await (const found of memory.list(prefix, options)) {
        if (lists < 4 && left-- === 0) throw lost();
        yield found;
      }
    },
  );
  const listed = await Array.fromAsync(retryingStore(breaking, { clock: turnedClock() }).list('a/'));
  assert.deepEqual(
    listed.map(({ name }) => name),
    Array.from({ length: 10 }, (_, i) => `a/${i}`),
  );
});

test('a cancelled call stops waiting', async () => {
  const controller = new AbortController();
  const broken = faultyStore(createMemoryStore(), {
    before: () => {
      queueMicrotask(() => controller.abort(new Error('stop')));
      throw lost();
    },
  });
  await assert.rejects(retryingStore(broken).stat('a', { signal: controller.signal }), /stop/);
});
