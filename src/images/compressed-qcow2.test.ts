/** Compressed qcow2 images against QEMU: soundness, content, and the counts of clusters that are shared. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode, KiB, MiB, TiB, viewOf } from '../base/index.ts';
import type { Disk } from '../disk/index.ts';
import { requires } from '../../test/requires.ts';
import { writeCompressedQcow2 } from './compressed-qcow2.ts';
import { CountedClusters } from './counted-clusters.ts';
import { putCompressedEntry } from './format.ts';
import { anyDisk, assertQemuReads, diskOf, qemuImg, rawFile, Scratch } from './judges.fixture.ts';

const withQemu = requires(['qemu-img'], 'QEMU reads our compressed qcow2 images');

for (const compression of ['zstd', 'deflate'] as const) {
  test(
    `${compression}: whatever a disk holds, QEMU finds the image sound and reads the same bytes`,
    { ...withQemu },
    async () => {
      await fc.assert(
        fc.asyncProperty(anyDisk, async ({ size, strokes }) => {
          using scratch = new Scratch();
          const disk = await diskOf(size, strokes);
          const path = scratch.path('.qcow2');
          await writeCompressedQcow2(path, disk, { compression });
          assertQemuReads('qcow2', path, await rawFile(disk, scratch.path('.raw')));
        }),
        { numRuns: 15 },
      );
    },
  );
}

test(
  'text shares clusters of the file, noise has clusters of its own, zeros have none',
  { ...withQemu },
  async () => {
    using scratch = new Scratch();
    const disk = await diskOf(64 * MiB, [
      { offset: 0, length: 8 * MiB, kind: 'text' },
      { offset: 20 * MiB, length: 2 * MiB, kind: 'noise' },
      { offset: 40 * MiB, length: 8 * MiB, kind: 'zeros' },
    ]);
    const path = scratch.path('.qcow2');
    const { writtenBytes } = await writeCompressedQcow2(path, disk);
    assert.ok(statSync(path).size < 2 * MiB + 10 * 64 * KiB);
    assert.ok(writtenBytes > 2 * MiB && writtenBytes < statSync(path).size);
    const check = JSON.parse(qemuImg('check', '--output=json', '-f', 'qcow2', path)) as Record<
      string,
      number
    >;
    assert.equal(check['compressed-clusters'], 128);
    assert.equal(check['allocated-clusters'], 128 + 32);
    assert.equal(check['leaks'] ?? 0, 0);
  },
);

test(
  'what QEMU rewrites of such an image stays sound: its counts are those QEMU counts with',
  { ...withQemu },
  async () => {
    using scratch = new Scratch();
    const disk = await diskOf(8 * MiB, [{ offset: 0, length: 8 * MiB, kind: 'text' }]);
    const path = scratch.path('.qcow2');
    await writeCompressedQcow2(path, disk);
    const other = await diskOf(8 * MiB, [{ offset: MiB, length: 6 * MiB, kind: 'noise' }]);
    const raw = await rawFile(other, scratch.path('.raw'));
    qemuImg('convert', '-n', '-f', 'raw', '-O', 'qcow2', '-S', '0', raw, path);
    assertQemuReads('qcow2', path, raw);
  },
);

test('a compressed image of 64 TiB with little data is small', { ...withQemu }, async () => {
  using scratch = new Scratch();
  const disk = await diskOf(64 * TiB, [
    { offset: 5 * TiB, length: MiB, kind: 'text' },
    { offset: 64 * TiB - 512, length: 512, kind: 'noise' },
  ]);
  const path = scratch.path('.qcow2');
  await writeCompressedQcow2(path, disk);
  assert.match(qemuImg('check', '-f', 'qcow2', path), /No errors/);
  assert.ok(statSync(path).blocks * 512 < 2 * MiB);
});

test('a disk that cannot be read leaves no file, and neither does a run that is stopped', async () => {
  using scratch = new Scratch();
  const disk = await diskOf(64 * MiB, [{ offset: 0, length: 64 * MiB, kind: 'text' }]);
  const broken: Disk = {
    size: disk.size,
    logicalSectorSize: 512,
    allocated: () => disk.allocated(),
    read: async () => Promise.reject(new Error('no such sector')),
    close: async () => {},
  };
  const path = scratch.path('.qcow2');
  await assert.rejects(writeCompressedQcow2(path, broken), /no such sector/);
  const controller = new AbortController();
  const progress = { phase() {}, note() {}, advance: () => controller.abort(new Error('stopped')) };
  await assert.rejects(writeCompressedQcow2(path, disk, { progress, signal: controller.signal }), /stopped/);
  assert.deepEqual(readdirSync(scratch.folder), []);
  await writeCompressedQcow2(path, disk);
  await assert.rejects(writeCompressedQcow2(path, disk), (error) => hasCode(error, 'IMAGE_EXISTS'));
  assert.ok(existsSync(path));
});

test('an entry of a compressed cluster holds any place and length, in the bits QEMU looks at', () => {
  fc.assert(
    fc.property(
      fc.nat(2 ** 31 - 1),
      fc.nat(2 ** 19),
      fc.integer({ min: 1, max: 65_536 }),
      (low, high, length) => {
        const offset = high * 2 ** 31 + low;
        const view = new DataView(new ArrayBuffer(8));
        putCompressedEntry(view, 0, offset, length);
        const entry = view.getBigUint64(0);
        assert.equal(entry >> 62n, 1n);
        assert.equal(entry & ((1n << 54n) - 1n), BigInt(offset));
        const end = (Math.floor(offset / 512) + Number((entry >> 54n) & 0xffn) + 1) * 512;
        assert.ok(end >= offset + length && end - 512 < offset + length);
      },
    ),
  );
});

/** Clusters of 512 bytes: a refcount block counts 256 of them, so a short run crosses many blocks. */
test('every cluster is counted as often as it is used, over any number of refcount blocks', async () => {
  const operation = fc.oneof(fc.constant('take' as const), fc.integer({ min: 1, max: 512 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { maxLength: 1500, size: 'max' }),
      fc.integer({ min: 1, max: 200 }),
      async (run, first) => {
        const written = new Map<number, Uint8Array>();
        const clusters = new CountedClusters(512, first, async (position, bytes) => {
          written.set(position, Uint8Array.from(bytes));
        });
        const uses: [number, number][] = [[0, first * 512]];
        for (const step of run) {
          if (step === 'take') uses.push([await clusters.take(), 512]);
          else uses.push([await clusters.pack(step), step]);
        }
        const { refcountTableOffset, refcountTableClusters } = await clusters.finish();
        const table = written.get(refcountTableOffset)!;
        const blocks = Array.from({ length: table.length / 8 }, (_, i) =>
          Number(viewOf(table).getBigUint64(i * 8)),
        );
        uses.push([refcountTableOffset, refcountTableClusters * 512]);
        uses.push(...blocks.filter((offset) => offset > 0).map((offset): [number, number] => [offset, 512]));
        assertCounts(uses, (cluster) => {
          const block = written.get(blocks[Math.floor(cluster / 256)] ?? -1);
          return block ? viewOf(block).getUint16((cluster % 256) * 2) : 0;
        });
        assertApart(uses);
      },
    ),
    { numRuns: 40 },
  );
});

function assertCounts(uses: readonly [number, number][], countOf: (cluster: number) => number): void {
  const expected = new Map<number, number>();
  for (const [at, length] of uses) {
    for (let cluster = Math.floor(at / 512); cluster * 512 < at + length; cluster += 1) {
      expected.set(cluster, (expected.get(cluster) ?? 0) + 1);
    }
  }
  const last = Math.max(...expected.keys());
  for (let cluster = 0; cluster <= last + 300; cluster += 1) {
    assert.equal(countOf(cluster), expected.get(cluster) ?? 0, `cluster ${cluster}`);
  }
}

function assertApart(uses: readonly [number, number][]): void {
  const sorted = uses.toSorted(([a], [b]) => a - b);
  for (const [i, [at]] of sorted.entries()) {
    if (i > 0) assert.ok(sorted[i - 1]![0] + sorted[i - 1]![1] <= at, `bytes at ${at} are given out once`);
  }
}
