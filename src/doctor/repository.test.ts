import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryStore, faultyStore, storeFaults, type ObjectStore } from '../objectstore/index.ts';
import { createRepository } from '../repository/index.ts';
import { diagnoseRepository, type Finding } from './index.ts';

const { signal } = new AbortController();

function look(store: ObjectStore, address = '/repo'): Promise<Finding[]> {
  return Array.fromAsync(diagnoseRepository({ address, open: async () => store }, signal));
}

function statesOf(findings: readonly Finding[]): Record<string, string> {
  return Object.fromEntries(findings.map(({ id, state, code }) => [id, code ?? state]));
}

const ALL_WELL = {
  reach: 'ok',
  'read-back': 'ok',
  'names-once': 'ok',
  race: 'ok',
  pack: 'ok',
  absent: 'ok',
  list: 'ok',
  cancel: 'ok',
  delete: 'ok',
  clean: 'ok',
};

test('a good place passes every check, with and without a repository in it, and nothing stays', async () => {
  const store = createMemoryStore();
  assert.deepEqual(statesOf(await look(store)), { ...ALL_WELL, repository: 'skipped' });
  assert.deepEqual(await Array.fromAsync(store.list('')), []);
  await createRepository(store, { encryption: 'none' });
  const before = await Array.fromAsync(store.list(''));
  const findings = await look(store);
  assert.deepEqual(statesOf(findings), { ...ALL_WELL, repository: 'ok' });
  assert.match(findings.find(({ id }) => id === 'repository')!.seen, /NOT ENCRYPTED/);
  assert.deepEqual(await Array.fromAsync(store.list('')), before);
});

test('a place that replaces, one that may not delete, and one over plain HTTP are told with what to do', async () => {
  const memory = createMemoryStore();
  const denied = faultyStore(memory, {
    before: ({ method }) => {
      if (method === 'delete')
        throw storeFaults.requestDenied({ location: 'x', operation: 'a delete', reason: 'y' });
    },
  });
  const findings = await look(denied, 's3://b/?endpoint=http://s3.example.com');
  const { delete: deleting, clean, wire, ...rest } = statesOf(findings);
  assert.deepEqual(
    [deleting, clean, wire],
    ['STORE_REQUEST_DENIED', 'DOCTOR_SCRATCH_STAYS', 'DOCTOR_PLAIN_HTTP'],
  );
  assert.deepEqual(new Set(Object.values(rest)), new Set(['ok', 'skipped']));
  assert.ok(findings.every(({ state, fix }) => ['ok', 'skipped'].includes(state) || fix!.text.length > 20));
});

test('a place that is not reached is one finding, and a cancelled look throws and leaves nothing', async () => {
  const open = (): Promise<ObjectStore> => Promise.reject(storeFaults.folderMissing({ location: '/gone' }));
  const findings = await Array.fromAsync(diagnoseRepository({ address: '/gone', open }, signal));
  assert.deepEqual(statesOf(findings), { reach: 'STORE_FOLDER_MISSING' });
  const store = createMemoryStore();
  const controller = new AbortController();
  const cancelled = async (): Promise<void> => {
    const target = { address: '/repo', open: async () => store };
    for await (const { id } of diagnoseRepository(target, controller.signal)) {
      if (id === 'names-once') controller.abort(new Error('stop'));
    }
  };
  await assert.rejects(cancelled, /stop/);
  assert.deepEqual(await Array.fromAsync(store.list('')), []);
});
