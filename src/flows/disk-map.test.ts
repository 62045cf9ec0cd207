import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { hasCode, KiB, MiB, TiB } from '../base/index.ts';
import { createVhd, openVhdWritable } from '../vhd/index.ts';
import { createVhdx, openVhdxWritable } from '../vhdx/index.ts';
import { compareDisks } from './compare-disks.ts';
import { DiskFolder, fill, knownChain } from './disk-files.fixture.ts';
import { diskInfo } from './disk-info.ts';
import { mapDisk, type DiskMap, type DiskMapOptions, type DiskRun } from './disk-map.ts';
import { hashDisk } from './hash-disk.ts';

const files = new DiskFolder();
const { leaf, content } = await knownChain(files.at('vm'));

function mapOf(path: string, options: DiskMapOptions = {}): Promise<DiskMap & { readonly list: DiskRun[] }> {
  return mapDisk(path, options, async (map) => ({ ...map, list: await Array.fromAsync(map.runs) }));
}

test('the map puts every byte where it is: read at those places, the files give the disk', async () => {
  const { list, files: chain, totals } = await mapOf(leaf);
  const layers = chain.map(({ path }) => readFileSync(path));
  const put = Buffer.alloc(content.length);
  let reached = 0;
  for (const { offset, length, kind, layer, fileOffset } of list) {
    assert.equal(offset, reached);
    reached += length;
    if (kind === 'data') layers[layer!]!.copy(put, offset, fileOffset!, fileOffset! + length);
  }
  assert.equal(reached, content.length);
  assert.equal(Buffer.compare(put, content), 0);
  assert.equal(totals.data.bytes + totals.zero.bytes + totals.hole.bytes, content.length);
  assert.equal(totals.data.runs, list.filter(({ kind }) => kind === 'data').length);
});

test('the map of one file has holes where its parent answers', async () => {
  const { list } = await mapOf(leaf, { layer: 0 });
  const held = list.filter(({ kind }) => kind === 'data').map(({ offset, length }) => [offset, length]);
  assert.deepEqual(held, [
    [MiB + 512, 4 * KiB],
    [2 * MiB, 64 * KiB],
    [30 * MiB, 512],
  ]);
  const base = await mapOf(leaf, { layer: 1 });
  assert.deepEqual(new Set(base.list.map(({ layer }) => layer)), new Set([1, undefined]));
  await assert.rejects(mapOf(leaf, { layer: 2 }), (e) => hasCode(e, 'FLOW_NO_SUCH_LAYER'));
});

test('a raw disk holds all of itself', async () => {
  writeFileSync(files.at('disk.raw'), content);
  const { list } = await mapOf(files.at('disk.raw'));
  assert.deepEqual(list, [{ offset: 0, length: content.length, kind: 'data', layer: 0, fileOffset: 0 }]);
});

test(
  'the map of a VHD has the data that qemu-img map finds, at its places',
  requires(['qemu-img'], 'the map of a VHD by a second reader'),
  async () => {
    const path = files.at('runs.vhd');
    await createVhd(path, { size: 64 * MiB, kind: 'dynamic' });
    await fill(await openVhdWritable(path), [
      [0, 2 * MiB, 1],
      [10 * MiB, 4 * MiB, 2],
      [62 * MiB, 2 * MiB, 3],
    ]);
    const run = spawnSync('qemu-img', ['map', '--output=json', path], { encoding: 'utf8' });
    const theirs = JSON.parse(run.stdout) as {
      start: number;
      length: number;
      data: boolean;
      offset?: number;
    }[];
    const data = theirs.filter((each) => each.data).map((each) => [each.start, each.length, each.offset]);
    const { list } = await mapOf(path);
    const ours = list.filter((each) => each.kind === 'data');
    assert.deepEqual(
      ours.map(({ offset, length, fileOffset }) => [offset, length, fileOffset]),
      data,
    );
  },
);

test('64 TiB with 512 bytes of data: told of, mapped, compared, and hashed as a tree; a plain hash is refused', async () => {
  for (const name of ['thin.vhdx', 'twin.vhdx']) {
    await createVhdx(files.at(name), { size: 64 * TiB, kind: 'dynamic' });
    await fill(await openVhdxWritable(files.at(name)), [[50 * TiB, 512, 7]]);
  }
  const [thin, twin] = [files.at('thin.vhdx'), files.at('twin.vhdx')];
  const { heldBytes, virtualBytes } = await diskInfo(thin);
  assert.deepEqual([heldBytes, virtualBytes], [32 * MiB, 64 * TiB]);
  const { totals } = await mapOf(thin);
  assert.deepEqual([totals.data.runs, totals.data.bytes], [1, 32 * MiB]);
  const compared = await compareDisks(thin, twin);
  assert.deepEqual([compared.equal, compared.comparedBytes], [true, 32 * MiB]);
  const hashes = [await hashDisk(thin, { tree: true }), await hashDisk(twin, { tree: true })];
  assert.equal(hashes[0]!.hash, hashes[1]!.hash);
  assert.equal(hashes[0]!.readBytes, 32 * MiB);
  await assert.rejects(hashDisk(thin), (e) => hasCode(e, 'FLOW_HASH_TOO_LONG'));
});
