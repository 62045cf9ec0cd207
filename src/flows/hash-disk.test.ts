import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { MiB } from '../base/index.ts';
import { createVhdx, openVhdxWritable } from '../vhdx/index.ts';
import { convertDisk } from './convert-disk.ts';
import { DiskFolder, knownChain } from './disk-files.fixture.ts';
import { hashDisk } from './hash-disk.ts';

const files = new DiskFolder();
const { leaf, content } = await knownChain(files.at('vm'));

test('the hash is SHA-256 of every byte, whatever the format; the tree hash is the same for all as well', async () => {
  writeFileSync(files.at('disk.raw'), content);
  await convertDisk({ source: leaf, target: files.at('disk.vhd'), format: 'vhd' });
  const sha256 = createHash('sha256').update(content).digest('hex');
  const trees = new Set<string>();
  for (const path of [leaf, files.at('disk.raw'), files.at('disk.vhd')]) {
    const { hash, algorithm, virtualBytes } = await hashDisk(path);
    assert.deepEqual([hash, algorithm, virtualBytes], [sha256, 'sha256', content.length]);
    trees.add((await hashDisk(path, { tree: true })).hash);
  }
  assert.equal(trees.size, 1);
});

test('more data than is read ahead, and a hole behind it, are hashed in their order', async () => {
  const long = Buffer.alloc(40 * MiB);
  for (let block = 0; block < 40; block += 1) long.fill(block + 1, block * MiB, (block + 1) * MiB);
  await createVhdx(files.at('long.vhdx'), { size: 50 * MiB, kind: 'dynamic', blockSize: MiB });
  const file = await openVhdxWritable(files.at('long.vhdx'));
  await file.write(0, long);
  await file.close();
  const sha256 = createHash('sha256')
    .update(long)
    .update(Buffer.alloc(10 * MiB))
    .digest('hex');
  assert.equal((await hashDisk(files.at('long.vhdx'))).hash, sha256);
});

test('the progress is that of the whole disk, and an abort ends it in the middle of a hole', async () => {
  let reported = 0;
  const controller = new AbortController();
  const advance = (bytes: number): void => {
    reported += bytes;
  };
  const progress = { phase() {}, note() {}, advance };
  for (const tree of [true, false]) {
    reported = 0;
    await hashDisk(leaf, { tree, progress });
    assert.equal(reported, content.length);
  }
  const stop = { ...progress, advance: () => controller.abort(new Error('stop')) };
  await assert.rejects(hashDisk(leaf, { progress: stop, signal: controller.signal }), /stop/);
});
