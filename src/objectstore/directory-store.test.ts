import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { objectStoreConformance } from './conformance.ts';
import { openDirectoryStore } from './index.ts';

const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-store-'));
  folders.push(folder);
  return folder;
}

objectStoreConformance('directory', async () => await openDirectoryStore(await newFolder()));

test('a missing folder is refused, and created only when asked and only its last part', async () => {
  const parent = await newFolder();
  const missing = (error: unknown): boolean => hasCode(error, 'STORE_FOLDER_MISSING');
  await assert.rejects(openDirectoryStore(join(parent, 'new')), missing);
  await assert.rejects(openDirectoryStore(join(parent, 'a', 'b'), { create: true }), missing);
  await openDirectoryStore(join(parent, 'new'), { create: true });
  const again = await openDirectoryStore(join(parent, 'new'), { create: true });
  await again.putNew('a', Buffer.alloc(1));
});

test('a file in place of the folder is refused', async () => {
  const path = join(await newFolder(), 'file');
  await writeFile(path, '');
  await assert.rejects(openDirectoryStore(path), (error) => hasCode(error, 'STORE_NOT_A_FOLDER'));
});

test('files and folders of others are neither listed nor served', async () => {
  const root = await newFolder();
  const store = await openDirectoryStore(root);
  await store.putNew('packs/p', Buffer.alloc(1));
  await mkdir(join(root, 'lost+found'));
  await mkdir(join(root, 'packs', 'folder'));
  await writeFile(join(root, 'packs', '.p.swp'), 'x');
  await writeFile(join(root, 'packs', 'Copy of p'), 'x');
  assert.deepEqual(await Array.fromAsync(store.list('')), [{ name: 'packs/p', size: 1 }]);
  assert.equal(await store.stat('packs/folder'), undefined);
  await assert.rejects(store.getRange('packs/folder', 0, 1), (error) => hasCode(error, 'STORE_NOT_FOUND'));
});

test('the folder of a session goes with its last object, and can be used again; folders that are shared stay', async () => {
  const root = await newFolder();
  const store = await openDirectoryStore(root);
  const [first, second] = ['sessions/00000001-ab/00000001', 'sessions/00000001-ab/00000001-000001'];
  const foldersIn = (name: string): Promise<string[]> => readdir(join(root, name));
  await store.putNew(first, Buffer.alloc(1));
  await store.putNew(second, Buffer.alloc(1));
  await store.putNew('locks/vm/00000001', Buffer.alloc(1));
  await store.delete(second);
  assert.deepEqual(await foldersIn('sessions'), ['00000001-ab']);
  await store.delete(first);
  await store.delete('locks/vm/00000001');
  assert.deepEqual([await foldersIn('sessions'), await foldersIn('locks')], [[], ['vm']]);
  await store.putNew(first, Buffer.alloc(1));
  assert.deepEqual(await Array.fromAsync(store.list('sessions/')), [{ name: first, size: 1 }]);
});

test('when the volume goes away nothing looks absent and nothing is written beneath it', async () => {
  const root = await newFolder();
  const store = await openDirectoryStore(root);
  await store.putNew('packs/p', Buffer.alloc(1));
  await rename(root, `${root}-away`);
  folders.push(`${root}-away`);
  await mkdir(root); // what is left of a mount point after the volume is gone
  const gone = (error: unknown): boolean => hasCode(error, 'STORE_FOLDER_MISSING');
  await assert.rejects(store.stat('packs/p'), gone);
  await assert.rejects(store.getRange('packs/p', 0, 1), gone);
  await assert.rejects(Array.fromAsync(store.list('')), gone);
  await assert.rejects(store.putNew('packs/q', Buffer.alloc(1)), gone);
  const fresh = await openDirectoryStore(root);
  assert.deepEqual(await Array.fromAsync(fresh.list('')), []);
});
