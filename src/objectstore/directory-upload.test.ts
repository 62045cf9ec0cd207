/** What a volume can do to a write: be full, be read-only, deny, lose what was not synced. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test, type TestContext } from 'node:test';
import { hasCode } from '../base/index.ts';
import { openDirectoryStore } from './index.ts';

const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
const withCode = (code: string) => (error: unknown) => hasCode(error, code);

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'hvlift-upload-'));
  t.after(() => {
    if (isRoot) spawnSync('umount', [folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A volume of 1 MiB; undefined, and the test skipped, where mounting is not allowed. */
function smallVolume(t: TestContext, unproved: string): string | undefined {
  const folder = newFolder(t);
  if (!isRoot || !mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder)) {
    t.skip(`cannot mount a tmpfs; not proved: ${unproved}`);
    return undefined;
  }
  return folder;
}

function mount(...args: string[]): boolean {
  return spawnSync('mount', args).status === 0;
}

test('a full volume is refused, leaves no object and gives its room back', async (t) => {
  const root = smallVolume(t, 'what a full volume does to an upload');
  if (root === undefined) return;
  const store = await openDirectoryStore(root);
  await store.putNew('a/small', Buffer.alloc(100_000, 1));
  const upload = await store.startNew('a/large');
  await assert.rejects(async () => {
    for (let i = 0; i < 20; i += 1) await upload.append(Buffer.alloc(100_000, 2));
  }, withCode('STORE_NO_SPACE'));
  await assert.rejects(upload.commit(), withCode('STORE_UPLOAD_FAILED'));
  assert.deepEqual(await Array.fromAsync(store.list('')), [{ name: 'a/small', size: 100_000 }]);
  await store.putNew('a/large', Buffer.alloc(800_000, 2));
});

test('a read-only volume can be read, and a write says why not', async (t) => {
  const root = smallVolume(t, 'what a read-only volume does');
  if (root === undefined) return;
  await (await openDirectoryStore(root)).putNew('a/1', Buffer.from('x'));
  assert.ok(mount('-o', 'remount,ro', root));
  const store = await openDirectoryStore(root);
  assert.equal(Buffer.from(await store.getRange('a/1', 0, 1)).toString(), 'x');
  await assert.rejects(store.putNew('a/2', Buffer.alloc(1)), withCode('STORE_READ_ONLY'));
  await assert.rejects(store.delete('a/1'), withCode('STORE_READ_ONLY'));
});

test('missing rights are told apart from a missing folder', async (t) => {
  if (!isRoot) return t.skip('not root, so cannot give rights up; not proved: STORE_ACCESS_DENIED');
  const root = newFolder(t);
  chmodSync(root, 0o755);
  mkdirSync(join(root, 'private'), { mode: 0o700 });
  process.seteuid!('nobody');
  try {
    const store = await openDirectoryStore(root);
    await assert.rejects(store.putNew('a/1', Buffer.alloc(1)), withCode('STORE_ACCESS_DENIED'));
    await assert.rejects(openDirectoryStore(join(root, 'private')), withCode('STORE_ACCESS_DENIED'));
  } finally {
    process.seteuid!(0);
  }
});

test('bytes are durable before their name is, and the name before the call returns', async (t) => {
  if (process.platform !== 'linux') return t.skip('no /proc; not proved: the order of fsync and naming');
  const root = newFolder(t);
  const store = await openDirectoryStore(root);
  const object = join(root, 'packs/ab/p');
  const synced = await recordSyncs(t, (path) => ({
    what: relative(root, path).replace(/.*\.part$/, 'part file'),
    named: existsSync(object),
  }));
  await store.putNew('packs/ab/p', Buffer.alloc(10));
  const first = [
    { what: 'part file', named: false },
    { what: '', named: false },
    { what: 'packs', named: false },
    { what: 'packs/ab', named: true },
  ];
  assert.deepEqual(synced, first);
  // Once more: the object is there, but its writer may have died before the folder was synced.
  await store.putNew('packs/ab/p', Buffer.alloc(10));
  assert.deepEqual(synced.slice(4), [
    { what: 'part file', named: true },
    { what: 'packs/ab', named: true },
  ]);
});

/** What `describe` says about the file of each `FileHandle.sync`, in order. */
async function recordSyncs<T>(t: TestContext, describe: (path: string) => T): Promise<T[]> {
  const seen: T[] = [];
  await using handle = await open('/dev/null');
  const prototype = Object.getPrototypeOf(handle) as { sync: (this: FileHandle) => Promise<void> };
  const { sync } = prototype;
  t.mock.method(prototype, 'sync', function (this: FileHandle): Promise<void> {
    seen.push(describe(readlinkSync(`/proc/self/fd/${this.fd}`)));
    return sync.call(this);
  });
  return seen;
}
