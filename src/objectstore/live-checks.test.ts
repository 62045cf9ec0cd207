/** Each check finds the store it is there for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { createMemoryStore, LIVE_CHECKS, type ObjectStore } from './index.ts';

/** A store whose faults are those of real ones: it replaces, shows half, lists late, forgets to delete. */
function spoiled(spoil: (store: ObjectStore) => Partial<ObjectStore>): ObjectStore {
  const store = createMemoryStore();
  const changed = spoil(store);
  return new Proxy(store, {
    get(target, key) {
      const value = Reflect.get(key in changed ? changed : target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const BROKEN: Readonly<
  Record<string, { code: string; spoil: (store: ObjectStore) => Partial<ObjectStore> }>
> = {
  'read-back': {
    code: 'STORE_CONTRACT_BROKEN',
    spoil: (store) => ({
      getRange: async (name, offset, length) => (await store.getRange(name, offset, length)).with(0, 7),
    }),
  },
  'names-once': {
    code: 'STORE_NAMES_NOT_ATOMIC',
    spoil: (store) => ({
      putNew: async (name, body) => {
        await store.delete(name);
        await store.putNew(name, body);
      },
    }),
  },
  race: {
    code: 'STORE_NAMES_NOT_ATOMIC',
    spoil: (store) => ({
      // It looks first and then writes, as a driver without conditional puts would.
      putNew: async (name, body) => {
        const there = await store.stat(name);
        await new Promise(setImmediate);
        if (!there) await store.delete(name);
        await store.putNew(name, body);
      },
    }),
  },
  pack: {
    code: 'STORE_CONTRACT_BROKEN',
    spoil: (store) => ({ stat: async (name) => (await store.stat(name)) ?? { name, size: 1 } }),
  },
  absent: {
    code: 'STORE_CONTRACT_BROKEN',
    spoil: () => ({ getRange: async (_, __, length) => new Uint8Array(length) }),
  },
  list: {
    code: 'STORE_CONTRACT_BROKEN',
    spoil: (store) => ({
      async *list(prefix) {
        yield* (await Array.fromAsync(store.list(prefix))).toReversed();
      },
    }),
  },
  cancel: {
    code: 'STORE_CONTRACT_BROKEN',
    spoil: (store) => ({ putNew: (name, body) => store.putNew(name, body) }),
  },
  delete: { code: 'STORE_CONTRACT_BROKEN', spoil: () => ({ delete: async () => {} }) },
};

for (const { id, title, run } of LIVE_CHECKS) {
  test(`the check of ${title} finds a store that fails at it`, async () => {
    const { code, spoil } = BROKEN[id]!;
    const store = spoiled(spoil);
    const { signal } = new AbortController();
    await assert.rejects(run({ store, other: store, signal }), (error) => hasCode(error, code));
  });
}
