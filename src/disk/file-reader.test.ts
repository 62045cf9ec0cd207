import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { rangeReaderConformance } from './conformance.ts';
import { FileReader } from './file-reader.ts';

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
