import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { OpenReaders } from './open-readers.ts';

const isClosed = (disk: MemoryDisk): Promise<boolean> =>
  disk.read(0, new Uint8Array(1)).then(
    () => false,
    (error) => hasCode(error, 'DISK_CLOSED'),
  );

test('an open that hangs is given up at the abort, and closed should it ever arrive', async () => {
  const readers = new OpenReaders();
  const disk = new MemoryDisk(10);
  const hung = Promise.withResolvers<MemoryDisk>();
  const controller = new AbortController();
  const opening = readers.open(() => hung.promise, controller.signal);
  controller.abort(new Error('stop'));
  await assert.rejects(opening, /stop/);
  hung.resolve(disk);
  await new Promise(setImmediate);
  assert.ok(await isClosed(disk));
});

test('an open under way when the way is closed ends closed', async () => {
  const readers = new OpenReaders();
  const disk = new MemoryDisk(10);
  const slow = Promise.withResolvers<MemoryDisk>();
  const opening = readers.open(() => slow.promise);
  await readers.close();
  slow.resolve(disk);
  await assert.rejects(opening, { code: 'HOSTFILE_CLOSED' });
  assert.ok(await isClosed(disk));
});

test('a reader closed by its user is not held any longer', async () => {
  const readers = new OpenReaders();
  let closes = 0;
  const reader = await readers.open(async () => {
    const disk = new MemoryDisk(10);
    const close = disk.close.bind(disk);
    disk.close = async () => {
      closes += 1;
      await close();
    };
    return disk;
  });
  await reader.close();
  await readers.close();
  assert.equal(closes, 1);
});
