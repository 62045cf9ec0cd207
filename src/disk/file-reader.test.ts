import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MiB, hasCode } from '../base/index.ts';
import { rangeReaderConformance } from './conformance.ts';
import { FileReader } from './file-reader.ts';
import { RawDisk } from './raw-disk.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-file-reader-'));
after(() => rm(folder, { recursive: true }));
let files = 0;

rangeReaderConformance('FileReader', async (content) => {
  const path = join(folder, String((files += 1)));
  await writeFile(path, content);
  return FileReader.open(path);
});

test('a file that shrinks while open is reported as truncated, never padded', async () => {
  const path = join(folder, 'shrinks');
  await writeFile(path, Buffer.alloc(10_000, 1));
  const reader = await FileReader.open(path);
  await truncate(path, 5000);
  await assert.rejects(reader.read(4000, new Uint8Array(2000)), (e) => hasCode(e, 'DISK_TRUNCATED'));
  await reader.close();
});

test('a sparse raw disk names what it holds, in whole and within a range, and not its holes', async () => {
  const path = join(folder, 'sparse');
  await writeFile(path, Buffer.alloc(4096, 1));
  await truncate(path, 64 * MiB);
  const disk = new RawDisk(await FileReader.open(path));
  const runs = [...disk.allocated()];
  assert.equal(runs[0]!.offset, 0);
  const [only] = disk.allocated({ offset: 1000, length: 2000 });
  assert.deepEqual(only, { offset: 1000, length: 2000 });
  const hole = [...disk.allocated({ offset: 32 * MiB, length: MiB })];
  const total = runs.reduce((sum, { length }) => sum + length, 0);
  if (total === disk.size) assert.deepEqual(hole, [{ offset: 32 * MiB, length: MiB }]); // a file system without holes
  else assert.deepEqual([hole, total < MiB], [[], true]);
  assert.deepEqual([...disk.allocated({ offset: 64 * MiB, length: 1 })], []);
  await disk.close();
});

test('a reader tells in which file its bytes are, and of no others', async () => {
  const path = join(folder, 'located');
  await writeFile(path, Buffer.alloc(1000, 1));
  const reader = await FileReader.open(path);
  assert.equal(reader.locate(900, 100)?.file.path, path);
  assert.equal(reader.locate(900, 100)?.fileOffset, 900);
  for (const [offset, length] of [
    [901, 100],
    [-1, 10],
  ] as const) {
    assert.equal(reader.locate(offset, length), undefined);
  }
  await reader.close();
  assert.equal(reader.locate(0, 1), undefined);
});
