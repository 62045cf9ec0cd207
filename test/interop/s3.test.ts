/** The S3 driver against Ceph's gateway: one cluster for all tests of this file. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, mock, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteObjectCommand, HeadObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { hasCode, MiB, RateLimit } from '../../src/base/index.ts';
import { createImage } from '../../src/images/index.ts';
import { objectStoreConformance } from '../../src/objectstore/conformance.ts';
import {
  cachedStore,
  countingStore,
  demandAtomicNames,
  faultyStore,
  openS3Store,
  requestsOf,
  retryingStore,
  throttledStore,
  type ObjectStore,
  type S3Options,
  type StoreCall,
} from '../../src/objectstore/index.ts';
import {
  backUp,
  diskWith,
  partsFor,
  temporaryFolder,
  VM_ID,
} from '../../src/repository/repository.fixture.ts';
import { Repository } from '../../src/repository/repository.ts';
import type { CliRun, RunningCli } from '../e2e/cli.fixture.ts';
import { dropPoint, fullBackup, thinDisk } from '../../src/repository/collector.fixture.ts';
import { openRemoteRepository } from './remote-repository.fixture.ts';
import {
  applyPolicy,
  createBucket,
  documentedPolicy,
  keysOf,
  s3Client,
  s3OptionsOf,
} from './s3-bucket.fixture.ts';
import { tamperingProxy } from './tampering-proxy.fixture.ts';
import { requiresCeph, startCeph, type Ceph } from './ceph.fixture.ts';

describe('S3', requiresCeph('that repositories work on S3'), () => {
  let ceph: Ceph;
  let stores = 0;

  before(async () => {
    ceph = await startCeph();
    await createBucket(ceph, 'stores');
    await createBucket(ceph, 'locked', { objectLock: true });
  });
  after(() => ceph[Symbol.asyncDispose]());

  const open = (options: Partial<S3Options> = {}): Promise<ObjectStore> => {
    stores += 1;
    return openS3Store({ ...s3OptionsOf(ceph, 'stores'), prefix: `test-${stores}/`, ...options });
  };

  objectStoreConformance('S3', () => open(), { lists: 10 });

  // As the program opens it.
  const behindEveryLayer = async (): Promise<ObjectStore> => {
    // Pages of a few names, so that lists have several.
    const counted = countingStore(await open({ namesPerList: 3 })).store;
    const patient = retryingStore(throttledStore(counted, new RateLimit(1024 * MiB)));
    return cachedStore(patient, { folder: join(temporaryFolder(), `cache-${stores}`), bytesMax: MiB });
  };
  objectStoreConformance('S3 behind every layer', behindEveryLayer, { lists: 4 });

  test('what the server refuses is told apart', async () => {
    const wrongKey = async () => ({ accessKeyId: 'nobody', secretAccessKey: 'x' });
    const wrongSecret = async () => ({ accessKeyId: ceph.accessKeyId, secretAccessKey: 'x' });
    for (const [options, code] of [
      [{ bucket: 'absent' }, 'STORE_BUCKET_MISSING'],
      [{ credentials: wrongKey }, 'STORE_CREDENTIALS_REFUSED'],
      [{ credentials: wrongSecret }, 'STORE_CREDENTIALS_REFUSED'],
      [{ endpoint: 'http://127.0.0.1:1' }, 'STORE_CONNECTION_FAILED'],
    ] as const) {
      const store = await open(options);
      await assert.rejects(store.putNew('a/b', Buffer.alloc(1)), (error) => hasCode(error, code), code);
      await assert.rejects(store.stat('a/b'), (error) => hasCode(error, code, 'STORE_REQUEST_DENIED'), code);
      await assert.rejects(Array.fromAsync(store.list('a/')), (error) => hasCode(error, code), code);
    }
  });

  test('object lock holds what was stored against its owner; extending never shortens', async () => {
    const store = await open({ bucket: 'locked', objectLock: { mode: 'compliance', days: 1 } });
    await store.putNew('packs/00/p', Buffer.from('kept'));
    await store.putNew('locks/a', Buffer.from('free'));
    const prefix = `test-${stores}/`;
    const client = s3Client(ceph);
    try {
      const versions = await client.send(new ListObjectVersionsCommand({ Bucket: 'locked', Prefix: prefix }));
      const idOf = (name: string): string =>
        versions.Versions!.find(({ Key }) => Key === prefix + name)!.VersionId!;
      const remove = (name: string): Promise<unknown> =>
        client.send(new DeleteObjectCommand({ Bucket: 'locked', Key: prefix + name, VersionId: idOf(name) }));
      const until = async (): Promise<number> => {
        const head = await client.send(
          new HeadObjectCommand({ Bucket: 'locked', Key: `${prefix}packs/00/p` }),
        );
        return head.ObjectLockRetainUntilDate!.getTime();
      };
      await assert.rejects(remove('packs/00/p'), { name: 'AccessDenied' });
      await remove('locks/a');
      const before = await until();
      await store.retain!('packs/00/p', new Date(before - 3_600_000));
      assert.equal(await until(), before);
      await store.retain!('packs/00/p', new Date(before + 86_400_000));
      assert.equal(await until(), before + 86_400_000);
    } finally {
      client.destroy();
    }
    const absent = (error: unknown): boolean => hasCode(error, 'STORE_NOT_FOUND');
    await assert.rejects(store.retain!('packs/00/q', new Date(Date.now() + 1e6)), absent);
    const plain = await open();
    await plain.putNew('packs/00/p', Buffer.from('x'));
    const refused = (error: unknown): boolean => hasCode(error, 'STORE_LOCK_UNSUPPORTED');
    await assert.rejects(plain.retain!('packs/00/p', new Date(Date.now() + 1e6)), refused);
  });

  test('a bucket that ignores the condition of a put is found out: this Ceph, with versioning', async () => {
    await demandAtomicNames(await open());
    const versioned = await open({ bucket: 'locked' });
    const replaced = (error: unknown): boolean => hasCode(error, 'STORE_NAMES_NOT_ATOMIC');
    await assert.rejects(demandAtomicNames(versioned), replaced);
  });

  test('bytes that change on the way are refused by the server, and stored by the next try', async () => {
    let changed = 0;
    await using proxy = await tamperingProxy(ceph.endpoint, (bytes) => {
      const at = bytes.indexOf('precious');
      if (at < 0 || changed > 0) return bytes;
      changed += 1;
      return Buffer.concat([bytes.subarray(0, at), Buffer.from('P'), bytes.subarray(at + 1)]);
    });
    const plain = await open({ endpoint: proxy.url });
    const damaged = (error: unknown): boolean => hasCode(error, 'STORE_DAMAGED_IN_TRANSIT');
    await assert.rejects(plain.putNew('a/b', Buffer.from('precious')), damaged);
    assert.equal(await plain.stat('a/b'), undefined);
    changed = 0;
    await retryingStore(plain).putNew('a/b', Buffer.from('precious'));
    assert.equal(Buffer.from(await plain.getRange('a/b', 0, 8)).toString(), 'precious');
    assert.equal(changed, 1);
  });

  test('a certificate is believed when its authority is named, and only then', async () => {
    const [certFile, keyFile] = ['cert', 'key'].map((name) => join(temporaryFolder(), `s3-${name}.pem`));
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyFile!];
    const subject = ['-subj', '/CN=gateway', '-days', '1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-out', certFile!], { stdio: 'ignore' });
    const [cert, privateKey] = [readFileSync(certFile!, 'utf8'), readFileSync(keyFile!, 'utf8')];
    await using proxy = await tamperingProxy(ceph.endpoint, (bytes) => bytes, { cert, key: privateKey });
    const trusting = await open({ endpoint: proxy.url, ca: cert });
    await trusting.putNew('a/b', Buffer.from('x'));
    assert.deepEqual(await trusting.stat('a/b'), { name: 'a/b', size: 1 });
    const doubting = await open({ endpoint: proxy.url });
    const refused = (error: unknown): boolean => hasCode(error, 'STORE_CERTIFICATE_REFUSED');
    await assert.rejects(doubting.putNew('a/b', Buffer.from('x')), refused);
  });

  test('a wrong clock is put right by the time of the server', async () => {
    const store = await open();
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 3 * 3_600_000 });
    try {
      await store.putNew('a/b', Buffer.from('x'));
      assert.deepEqual(await store.stat('a/b'), { name: 'a/b', size: 1 });
    } finally {
      mock.timers.reset();
    }
  });

  test('requests are bounded by what is stored and restored', async (context) => {
    const { store, stats } = countingStore(await open());
    const parts = partsFor(store);
    const size = 96 * MiB;
    const disk = await diskWith(size, [[0, randomBytes(size)]]);
    const { root } = await backUp(await Repository.open(parts), { reader: disk, extents: disk.allocated() });
    const stored = { ...requestsOf(stats) };
    const path = join(temporaryFolder(), 'counted');
    const target = await createImage('raw', path, { size });
    await (await Repository.open(parts)).restoreDisk({ root, size, target, workers: 0 });
    await target.finish();
    const all = requestsOf(stats);
    const restored = { put: all.put - stored.put, get: all.get - stored.get, list: all.list - stored.list };
    context.diagnostic(
      `stored ${size / MiB} MiB: ${JSON.stringify(stored)}; restored: ${JSON.stringify(restored)}`,
    );
    // A put for each pack of 32 MiB; packs of pages, the index, the point. Nothing grows with the number of objects there.
    assert.ok(stored.put <= size / (32 * MiB) + 8, `${stored.put} puts`);
    assert.ok(
      stored.get <= 16 && stored.list <= 16,
      `${stored.get} gets and ${stored.list} lists for a backup`,
    );
    // A get for each chunk of 1 MiB, and the few pages of index and map.
    assert.ok(restored.get <= size / MiB + 24, `${restored.get} gets`);
    assert.ok(restored.put === 0 && restored.list <= 4, `${restored.list} lists for a restore`);
  });

  test('with the policy of storage.md a machine can back up, and neither remove nor change who can read', async () => {
    const keys = await ceph.createUser('machine');
    const owner = await open();
    const prefix = `test-${stores}`;
    await applyPolicy(ceph, 'stores', documentedPolicy('stores', prefix, 'machine'));
    const machine = await openS3Store({
      ...s3OptionsOf(ceph, 'stores'),
      prefix: `${prefix}/`,
      credentials: async () => keys,
    });
    const parts = partsFor(owner);
    const disk = await diskWith(3 * MiB, [[0, randomBytes(MiB)]]);
    const back = async (store: ObjectStore): Promise<unknown> => {
      const repository = await Repository.open({ ...parts, store });
      await using _ = await repository.lockVm(VM_ID);
      return await backUp(repository, { reader: disk, extents: disk.allocated() });
    };
    await back(owner);
    await disk.write(MiB, randomBytes(100));
    await back(machine);
    const denied = (error: unknown): boolean => hasCode(error, 'STORE_REQUEST_DENIED');
    for await (const { name } of machine.list('')) {
      if (/^(packs|points|keys|epoch|hvlift)/.test(name))
        await assert.rejects(machine.delete(name), denied, name);
    }
    const [pack] = await Array.fromAsync(machine.list('packs/'));
    assert.ok(pack);
    const taken = (error: unknown): boolean => hasCode(error, 'STORE_NAME_TAKEN');
    await assert.rejects(machine.putNew(pack.name, Buffer.from('x')), taken);
    // As a compaction of the index does.
    for await (const { name } of machine.list('index/')) await machine.delete(name);
    assert.ok((await (await Repository.open(parts)).rebuildIndex()).packs > 0);
  });

  test('a collection of garbage goes on when the gateway is killed under its marking and under its deleting', async () => {
    const kills: string[] = [];
    const killedAt = new Set(['getRange', 'delete']);
    const before = async ({ method, name }: StoreCall): Promise<void> => {
      // The first pack that is looked into; then the first that is deleted.
      if (!name.startsWith('packs/') || !killedAt.delete(method)) return;
      kills.push(method);
      await ceph.killGateway();
      setTimeout(() => void ceph.startGateway(), 700);
    };
    const store = await open();
    const parts = partsFor(store);
    const [gone, kept] = [await thinDisk(1), await thinDisk(2)];
    const dropped = await fullBackup(await Repository.open(parts), gone, 'vm-gone');
    await fullBackup(await Repository.open(parts), kept, 'vm-kept');
    await dropPoint(store, dropped);
    const collector = await Repository.open({
      ...parts,
      store: retryingStore(faultyStore(store, { before })),
    });
    const { condemned } = await collector.collect();
    const { deleted } = await collector.collect();
    assert.deepEqual(kills, ['getRange', 'delete']);
    assert.ok(condemned.packs > 0 && deleted.packs === condemned.packs);
    assert.deepEqual((await (await Repository.open(parts)).verify({ workers: 0 })).problems, []);
  });

  test('a backup and a restore go on when the gateway is killed under them and comes back', async () => {
    const address = `s3://stores/cli?endpoint=${ceph.endpoint}`;
    const keys = keysOf(ceph);
    await using remote = await openRemoteRepository(async (home) => {
      await writeFile(home.path('secret'), keys.secretAccessKey, { mode: 0o600 });
      home.secrets.push(keys.secretAccessKey);
      const s3 = { accessKeyId: keys.accessKeyId, secretKeyFile: '~/secret' };
      const cache = { folder: '~/cache', size: '10MiB' };
      return { address, config: { s3, cache, rate: '200MiB' }, diskBytes: 96 * MiB };
    });
    await remote.change(1, 250);
    const backup = remote.start('backup', 'db', '--rate', '20MiB');
    await backup.said('checkpoint');
    await sleep(300);
    const { stderr } = await killedUnder(backup, 'backup');
    assert.match(stderr, /asked of the repository: \d+ puts, .* about \$0\.0\d+ by the list prices of AWS/);
    await remote.assertRestores('undisturbed');
    await remote.change(2, 20);
    await remote.ok('backup', 'db');
    await remote.assertRestores('killed', async (argv) => {
      const restore = remote.start(...argv);
      while (restore.process.exitCode === null && !existsSync(remote.home.path('killed'))) await sleep(2);
      return await killedUnder(restore, 'restore');
    });
    await remote.ok('verify', '--all');
    const [status] = (await remote.ok('status', '--json')).json().repositories;
    assert.ok(status.requests.list >= 3 && status.requests.put === 0, JSON.stringify(status.requests));
    assert.ok((await readdir(remote.home.path('cache'))).length > 0);
    const { findings } = (await remote.home.run('doctor', 'repo', '--repo', 'remote', '--json')).json();
    const odd = findings.filter(({ state }: { state: string }) => state !== 'ok');
    assert.deepEqual(
      odd.map(({ code }: { code: string }) => code),
      ['DOCTOR_PLAIN_HTTP'],
    );
    const left = await open({ prefix: 'cli/' });
    assert.deepEqual(await Array.fromAsync(left.list('probe/')), []);

    async function killedUnder(running: RunningCli, what: string): Promise<CliRun> {
      await ceph.killGateway();
      await sleep(2000);
      const waited = running.process.exitCode === null;
      await ceph.startGateway();
      const run = await running.ended;
      assert.equal(run.code, 0, run.stderr);
      assert.ok(waited, `the ${what} was under way when the gateway was killed, and waited for it`);
      return run;
    }
  });
});
