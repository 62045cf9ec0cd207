import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasCode, sleep } from '../base/index.ts';
import {
  createMemoryStore,
  faultyStore,
  openDirectoryStore,
  type MemoryStore,
} from '../objectstore/index.ts';
import { Lease } from './lease.ts';
import { Repository } from './repository.ts';
import {
  backUp,
  diskWith,
  openTest,
  partsFor,
  sampleBytes,
  temporaryFolder,
  VM_ID,
} from './repository.fixture.ts';

const FOLDER = 'locks/0011223344556677';
const busy = (error: unknown): boolean => hasCode(error, 'REPO_VM_BUSY');
/** Short, so that a test does not wait: nothing here asserts how long something takes. */
const QUICK = { beatMs: 10, observeMs: 60 };

const namesOf = async (store: MemoryStore): Promise<string[]> =>
  (await Array.fromAsync(store.list('locks/'))).map(({ name }) => name);

/** A lock as a process of another machine leaves it. */
async function foreignLock(store: MemoryStore, number = 1): Promise<string> {
  const name = `${FOLDER}/${String(number).padStart(8, '0')}`;
  await store.putNew(name, Buffer.from('{"host":"elsewhere","mark":"00000000.0.0.1.1","nonce":"n","pid":1}'));
  return name;
}

test('one run a VM: the second is told who is at work, and may start when the first is done', async () => {
  const repository = await openTest();
  const lease = await repository.lockVm(VM_ID);
  await assert.rejects(
    repository.lockVm(VM_ID.toUpperCase()),
    (error) => busy(error) && /process \d+ on/.test(String(error)),
  );
  await (await repository.lockVm('another-vm')).release();
  await lease.release();
  await lease.release();
  await using again = await repository.lockVm(VM_ID);
  await again.check();
});

test('of many that start at once one gets it, or none; never two', async () => {
  for (let round = 0; round < 20; round += 1) {
    const store = createMemoryStore();
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => Lease.acquire(store, FOLDER)));
    const leases = results.filter((result) => result.status === 'fulfilled').map((result) => result.value);
    assert.ok(leases.length <= 1);
    assert.ok(results.every((result) => result.status === 'fulfilled' || busy(result.reason)));
    for (const lease of leases) await lease.release();
    assert.deepEqual(await namesOf(store), []);
  }
});

test('a lock that is being taken is not mistaken for one that nobody holds', async () => {
  const store = createMemoryStore();
  const resume = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const slow = faultyStore(store, {
    before: async ({ method, number }) => {
      if (method !== 'list' || number === 1) return;
      reached.resolve();
      await resume.promise;
    },
  });
  const first = Lease.acquire(slow, FOLDER);
  await reached.promise;
  await assert.rejects(Lease.acquire(store, FOLDER), busy);
  resume.resolve();
  await using lease = await first;
  await lease.check();
});

test('a lock that could not be let go is taken over by the next run of the same process', async () => {
  const store = createMemoryStore();
  const failing = faultyStore(store, {
    before: ({ method }) => {
      if (method === 'delete') throw new Error('the store is gone');
    },
  });
  await (await Lease.acquire(failing, FOLDER))[Symbol.asyncDispose]();
  assert.equal((await namesOf(store)).length, 1);
  await using lease = await Lease.acquire(store, FOLDER);
  await lease.check();
  assert.equal((await namesOf(store)).length, 1);
});

test('a run of this machine that was killed does not keep the VM locked', async () => {
  const folder = mkdtempSync(join(temporaryFolder(), 'killed-'));
  const script = `
    import { openDirectoryStore } from '${new URL('../objectstore/index.ts', import.meta.url).href}';
    import { Lease } from '${new URL('./lease.ts', import.meta.url).href}';
    await Lease.acquire(await openDirectoryStore(${JSON.stringify(folder)}), '${FOLDER}');
    console.log('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['-C', 'source', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const store = await openDirectoryStore(folder);
  await assert.rejects(Lease.acquire(store, FOLDER), busy);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await using lease = await Lease.acquire(store, FOLDER);
  await lease.check();
});

test('a holder elsewhere keeps the VM while it is heard of, and loses it when it is silent', async () => {
  const store = createMemoryStore();
  const name = await foreignLock(store);
  const beating = (async () => {
    await sleep(15);
    await store.putNew(`${name}-000001`, new Uint8Array(0));
  })();
  await assert.rejects(
    Lease.acquire(store, FOLDER, QUICK),
    (error) => busy(error) && /elsewhere/.test(String(error)),
  );
  await beating;
  await using lease = await Lease.acquire(store, FOLDER, QUICK);
  assert.deepEqual(
    (await namesOf(store)).filter((each) => each.startsWith(name)),
    [],
    'the dead lock is removed',
  );
  await lease.check();
});

test('a lock that is let go between being listed and being read is nobody’s', async () => {
  const plain = createMemoryStore();
  const name = await foreignLock(plain);
  let gone = false;
  const store = faultyStore(plain, {
    before: async ({ method, name: read }) => {
      if (gone || method !== 'getRange' || read !== name) return;
      gone = true;
      await plain.delete(name);
    },
  });
  await using lease = await Lease.acquire(store, FOLDER, QUICK);
  await lease.check();
  assert.ok(gone);
});

test('a lock whose content is damaged is held by somebody unknown: watched, and taken over when it is silent', async () => {
  for (const content of ['', 'garbage', '[]', '{"mark":7}', '{"host":"elsewhere"']) {
    const store = createMemoryStore();
    const name = await foreignLock(store);
    store.damage(name, () => Buffer.from(content));
    let looks = 0;
    const watched = faultyStore(store, { before: ({ method }) => void (looks += method === 'list' ? 1 : 0) });
    await using lease = await Lease.acquire(watched, FOLDER, QUICK);
    assert.ok(looks >= QUICK.observeMs / QUICK.beatMs, 'it was watched');
    await lease.check();
  }
});

test('waiting for a silent holder can be cancelled', async () => {
  const store = createMemoryStore();
  await foreignLock(store);
  const signal = AbortSignal.timeout(20);
  await assert.rejects(Lease.acquire(store, FOLDER, { signal }), (error) => !busy(error));
});

test('a holder is heard of: its heartbeats replace each other', async () => {
  const store = createMemoryStore();
  await using lease = await Lease.acquire(store, FOLDER, QUICK);
  const seen = new Set<string>();
  while (seen.size < 3) {
    for (const name of await namesOf(store)) if (name.includes('-')) seen.add(name);
    assert.ok((await namesOf(store)).length <= 3, 'old heartbeats are removed');
    await sleep(5);
  }
  await lease.check();
});

test('a run that was taken over finds out before it commits, and commits nothing', async () => {
  const parts = partsFor();
  const repository = await Repository.open(parts);
  const disk = await diskWith(1000, [[0, sampleBytes(1000, 1)]]);
  await using _lease = await repository.lockVm(VM_ID);
  const [lock] = await Array.fromAsync(parts.store.list('locks/'));
  await parts.store.putNew(lock!.name.replace('00000001', '00000002'), Buffer.from('{}'));
  const part = { reader: disk, extents: disk.allocated() };
  await assert.rejects(backUp(repository, part), (error) => hasCode(error, 'REPO_LEASE_LOST'));
  assert.deepEqual(await Array.fromAsync(repository.points()), []);
  assert.ok(await backUp(repository, part, 'another-vm'));
});
