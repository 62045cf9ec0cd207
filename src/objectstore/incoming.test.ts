/** What a writer that died leaves behind, and who may remove it. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { openDirectoryStore } from './index.ts';

const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-incoming-'));
  folders.push(folder);
  return folder;
}

/** Another process in the middle of an upload. */
async function startWriter(root: string): Promise<ChildProcess> {
  const script = `
    const { openDirectoryStore } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
    const store = await openDirectoryStore(${JSON.stringify(root)});
    const upload = await store.startNew('packs/p');
    await upload.append(Buffer.alloc(100_000, 1));
    console.log('half-way');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['-C', 'source', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout!, 'data');
  return child;
}

const incomingOf = async (root: string): Promise<string[]> => await readdir(join(root, '.incoming'));

test('a killed writer leaves no object, and its file is removed when the store is next opened', async () => {
  const root = await newFolder();
  const child = await startWriter(root);
  await openDirectoryStore(root);
  assert.equal((await incomingOf(root)).length, 1, 'a living writer keeps its file');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const store = await openDirectoryStore(root);
  assert.deepEqual(await incomingOf(root), []);
  assert.deepEqual(await Array.fromAsync(store.list('')), []);
});

test('files of another machine stay for a week, then they are removed', async () => {
  const root = await newFolder();
  const store = await openDirectoryStore(root);
  await store.putNew('a', Buffer.alloc(1));
  const foreign = join(root, '.incoming', 'deadbeef.0a0a0a0a.1.1.1-0011.part');
  await writeFile(foreign, 'x');
  const claim = join(root, '.incoming', '00112233445566778899aabbccddeeff.claim');
  await writeFile(claim, ''); // its maker died before the mark was written
  await openDirectoryStore(root);
  assert.equal((await incomingOf(root)).length, 2);
  const eightDaysAgo = Date.now() / 1000 - 8 * 24 * 3600;
  await utimes(foreign, eightDaysAgo, eightDaysAgo);
  await utimes(claim, eightDaysAgo, eightDaysAgo);
  await openDirectoryStore(root);
  assert.deepEqual(await incomingOf(root), []);
});

test('a writer whose file was taken away fails, and the object does not exist', async () => {
  const root = await newFolder();
  const store = await openDirectoryStore(root);
  const upload = await store.startNew('packs/p');
  await upload.append(Buffer.alloc(10));
  await rm(join(root, '.incoming'), { recursive: true });
  await assert.rejects(upload.commit(), (error) => hasCode(error, 'STORE_PART_LOST'));
  await assert.rejects(upload.commit(), (error) => hasCode(error, 'STORE_UPLOAD_FAILED'));
  assert.deepEqual(await Array.fromAsync(store.list('')), []);
});
