import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MiB, hasCode } from '../base/index.ts';
import { diskFaults } from './faults.ts';
import { LocalFile, type FileMedium } from './local-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'hvlift-local-file-'));
after(() => rmSync(folder, { recursive: true }));

/** What a format says of a file that is there already; any fault will do. */
const taken = diskFaults.closed;

/** A medium on which the calls given behave as said; no other may be made. */
function medium(calls: object): FileMedium {
  return calls as FileMedium;
}

function failure(code: string): () => Promise<never> {
  return () => Promise.reject(Object.assign(new Error(code), { code }));
}

test('a sync that failed once fails for ever: what the system dropped is not there later either', async () => {
  let broken = true;
  const datasync = (): Promise<void> => (broken ? failure('EIO')() : Promise.resolve());
  const file = new LocalFile('disk', medium({ datasync }), 0);
  await assert.rejects(file.sync(), (e) => hasCode(e, 'DISK_IO_FAILED'));
  broken = false;
  await assert.rejects(file.sync(), (e) => hasCode(e, 'DISK_IO_FAILED'));
});

test('a full volume, a quota and a limit of the file system are no space; another failure may pass', async () => {
  for (const code of ['ENOSPC', 'EDQUOT', 'EFBIG']) {
    const file = new LocalFile('disk', medium({ write: failure(code), truncate: failure(code) }), 0);
    await assert.rejects(file.write(0, new Uint8Array(1)), (e) => hasCode(e, 'DISK_NO_SPACE'), code);
    await assert.rejects(file.extend(1), (e) => hasCode(e, 'DISK_NO_SPACE'), code);
  }
  const file = new LocalFile('disk', medium({ write: failure('EIO') }), 0);
  await assert.rejects(file.write(0, new Uint8Array(1)), (e) => hasCode(e, 'DISK_IO_FAILED'));
});

test('bytes are written and read whole though the system takes a few at a time', async () => {
  const stored = Buffer.alloc(64);
  const file = new LocalFile(
    'disk',
    medium({
      write: async (bytes: Uint8Array, at: number, length: number, position: number) => {
        stored.set(bytes.subarray(at, at + Math.min(7, length)), position);
        return { bytesWritten: Math.min(7, length) };
      },
      read: async (into: Uint8Array, at: number, length: number, position: number) => ({
        bytesRead: stored.copy(into, at, position, position + Math.min(5, length)),
      }),
    }),
    0,
  );
  const bytes = Buffer.from('thirty bytes, seven at a time.');
  await file.write(3, bytes);
  assert.equal(file.size, 3 + bytes.length);
  const got = Buffer.alloc(bytes.length);
  await file.read(3, got);
  assert.deepEqual(got, bytes);
});

test('zeroing is stopped by a signal between two pieces', async () => {
  const stop = new AbortController();
  let written = 0;
  const write = async (_: Uint8Array, __: number, length: number): Promise<{ bytesWritten: number }> => {
    written += length;
    stop.abort(new Error('stop'));
    return { bytesWritten: length };
  };
  const file = new LocalFile('disk', medium({ write }), 0);
  await assert.rejects(file.zero(0, 1024 * MiB, { signal: stop.signal }), /stop/);
  assert.ok(written < 1024 * MiB);
});

test('a new file is never laid over one that is there, and a discarded one is gone', async () => {
  const path = join(folder, 'new');
  const file = await LocalFile.create(path, taken);
  await assert.rejects(LocalFile.create(path, taken), (e) => hasCode(e, 'DISK_CLOSED'));
  await file.discard();
  await assert.rejects(LocalFile.open(path), (e) => hasCode(e, 'DISK_IO_FAILED'));
  const elsewhere = join(folder, 'no folder', 'new');
  await assert.rejects(LocalFile.create(elsewhere, taken), (e) => hasCode(e, 'DISK_IO_FAILED'));
});
