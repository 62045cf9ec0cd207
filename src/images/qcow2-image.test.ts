/** qcow2 images against QEMU, which did not share a line with their writer. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { GiB, hasCode, KiB, MiB, TiB } from '../base/index.ts';
import { alignOut, normalise, type Extent } from '../extents/index.ts';
import { requires } from '../../test/requires.ts';
import type { ImageWriter } from './image-writer.ts';
import { createQcow2Image } from './qcow2-image.ts';
import { createRawImage } from './raw-image.ts';

const folder = mkdtempSync(join(tmpdir(), 'hvlift-qcow2-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const withQemu = requires(['qemu-img'], 'QEMU reads our qcow2 images');
let images = 0;

function newPath(): string {
  images += 1;
  return join(folder, `image-${images}`);
}

/** Writes `extents`, each filled with bytes of its own, as a restore does: place, then write through the path. */
async function fill(image: ImageWriter, extents: readonly Extent[]): Promise<void> {
  await using file = await open(image.path, 'r+');
  for (const { offset, length } of extents) {
    const bytes = Buffer.alloc(length, `from ${offset} on `);
    let done = 0;
    for (const span of await image.place(offset, length)) {
      await file.write(bytes, done, span.length, span.fileOffset);
      done += span.length;
    }
    assert.equal(done, length, 'the spans cover the range');
  }
}

/** The same content as qcow2 and as raw image. */
async function pair(
  size: number,
  clusterSize: number,
  extents: readonly Extent[],
): Promise<{ qcow2: string; raw: string }> {
  const qcow2 = await createQcow2Image(newPath(), { size, clusterSize });
  const raw = await createRawImage(newPath(), { size });
  for (const image of [qcow2, raw]) {
    await fill(image, extents);
    await image.finish();
  }
  return { qcow2: qcow2.finalPath, raw: raw.finalPath };
}

function assertSoundAndEqual({ qcow2, raw }: { qcow2: string; raw: string }): void {
  const check = spawnSync('qemu-img', ['check', '-f', 'qcow2', qcow2], { encoding: 'utf8' });
  assert.equal(check.status, 0, `qemu-img check: ${check.stdout}${check.stderr}`);
  const compare = spawnSync('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', qcow2, raw], {
    encoding: 'utf8',
  });
  assert.equal(compare.status, 0, `qemu-img compare: ${compare.stdout}${compare.stderr}`);
}

/** Through QEMU's raw driver on top of its qcow2 driver: `qemu-img dd` cannot skip beyond 2 TiB. */
function readByQemu(path: string, offset: number, length: number): Buffer {
  const out = newPath();
  const source = `driver=raw,offset=${offset},size=${length},file.driver=qcow2,file.file.filename=${path}`;
  execFileSync('qemu-img', ['convert', '--image-opts', '-O', 'raw', source, out]);
  return readFileSync(out);
}

function allocatedByQemu(path: string): Extent[] {
  const map = JSON.parse(
    execFileSync('qemu-img', ['map', '-f', 'qcow2', '--output=json', path], { encoding: 'utf8' }),
  ) as { start: number; length: number; data: boolean }[];
  return normalise(map.filter((run) => run.data).map((run) => ({ offset: run.start, length: run.length })));
}

interface QemuInfo {
  readonly 'virtual-size': number;
  readonly 'cluster-size': number;
}

function info(path: string): QemuInfo {
  return JSON.parse(
    execFileSync('qemu-img', ['info', '-f', 'qcow2', '--output=json', path], { encoding: 'utf8' }),
  ) as QemuInfo;
}

/** Extents inside a disk of `size` bytes, in order, of any alignment. */
function extentsIn(size: number): fc.Arbitrary<Extent[]> {
  const extent = fc.record({ offset: fc.nat(size - 1), length: fc.integer({ min: 1, max: 200 * KiB }) });
  return fc
    .array(extent, { maxLength: 12 })
    .map((list) => normalise(list.map((e) => ({ ...e, length: Math.min(e.length, size - e.offset) }))));
}

test('whatever is placed, QEMU finds the image sound and reads the same bytes', { ...withQemu }, async () => {
  const shape = fc
    .record({
      size: fc.oneof(
        fc.integer({ min: 1, max: 5 * MiB }),
        fc.nat(9000).map((n) => (n + 1) * MiB),
      ),
      clusterBits: fc.integer({ min: 9, max: 21 }),
    })
    .filter(({ size, clusterBits }) => size / 2 ** clusterBits < 2e6)
    .chain(({ size, clusterBits }) =>
      fc.record({ size: fc.constant(size), clusterBits: fc.constant(clusterBits), extents: extentsIn(size) }),
    );
  await fc.assert(
    fc.asyncProperty(shape, async ({ size, clusterBits, extents }) => {
      const made = await pair(size, 2 ** clusterBits, extents);
      assertSoundAndEqual(made);
      assert.equal(info(made.qcow2)['virtual-size'], Math.ceil(size / 512) * 512);
      assert.equal(info(made.qcow2)['cluster-size'], 2 ** clusterBits);
      for (const path of Object.values(made)) rmSync(path);
    }),
    { numRuns: 60 },
  );
});

test(
  'a disk of one byte, one of nothing but zeros and one placed as a whole are sound',
  { ...withQemu },
  async () => {
    assertSoundAndEqual(await pair(1, 64 * KiB, [{ offset: 0, length: 1 }]));
    assertSoundAndEqual(await pair(3 * GiB, 64 * KiB, []));
    assertSoundAndEqual(await pair(20 * MiB + 513, 512, [{ offset: 0, length: 20 * MiB + 513 }]));
  },
);

test('ranges that end and begin inside one cluster share it', { ...withQemu }, async () => {
  const extents = [100, 30_000, 65_530, 65_540, 131_000].map((offset) => ({ offset, length: 6 }));
  assertSoundAndEqual(await pair(MiB, 64 * KiB, extents));
});

test(
  'ranges across and far beyond the first region of 512 MiB are found again',
  { ...withQemu },
  async () => {
    const extents = [
      { offset: 512 * MiB - 70_000, length: 140_000 },
      { offset: 4 * GiB - 1, length: 2 },
      { offset: 9 * GiB - 512, length: 512 },
    ];
    assertSoundAndEqual(await pair(9 * GiB, 64 * KiB, extents));
  },
);

test(
  'a 64 TiB disk with little data is a small file whose every range QEMU reads',
  { ...withQemu },
  async () => {
    const extents = [0, 2 * TiB - 8192, 2 * TiB, 33 * TiB, 64 * TiB - 8192].map((offset) => ({
      offset,
      length: 8192,
    }));
    const image = await createQcow2Image(newPath(), { size: 64 * TiB });
    await fill(image, extents);
    await image.finish();
    const check = spawnSync('qemu-img', ['check', '-f', 'qcow2', image.finalPath], { encoding: 'utf8' });
    assert.equal(check.status, 0, check.stdout + check.stderr);
    for (const { offset, length } of extents) {
      const got = readByQemu(image.finalPath, offset, length);
      assert.ok(got.equals(Buffer.alloc(length, `from ${offset} on `)), `bytes at ${offset}`);
    }
    assert.deepEqual(
      allocatedByQemu(image.finalPath),
      alignOut(extents, 64 * KiB, 64 * TiB),
      'nothing else is allocated',
    );
    assert.ok(statSync(image.finalPath).blocks * 512 < 2 * MiB);
  },
);

test('one range in every region of 1 TiB costs a page of metadata each, not a table', async () => {
  const image = await createQcow2Image(newPath(), { size: TiB });
  for (let offset = 0; offset < TiB; offset += 512 * MiB) await image.place(offset + 300 * MiB, 4096);
  await image.finish();
  assert.ok(statSync(image.finalPath).blocks * 512 < 2048 * 4096 + MiB);
});

test('sizes and clusters QEMU would refuse are refused before a file exists', async () => {
  const refused = (error: unknown): boolean => hasCode(error, 'IMAGE_SIZE_REFUSED');
  for (const clusterSize of [0, 256, 1000, 65_537, 4 * MiB]) {
    await assert.rejects(createQcow2Image(newPath(), { size: MiB, clusterSize }), refused, `${clusterSize}`);
  }
  await assert.rejects(createQcow2Image(newPath(), { size: TiB, clusterSize: 512 }), refused);
});

test('what is placed out of order or beyond the end is a bug of the caller', async () => {
  const image = await createQcow2Image(newPath(), { size: MiB });
  await image.place(100, 100);
  assert.throws(() => image.place(199, 1), /ascending/);
  assert.throws(
    () => image.place(MiB - 1, 2),
    (error) => hasCode(error, 'DISK_OUT_OF_RANGE'),
  );
  await image.abort();
  assert.throws(() => image.place(500, 1), /not used after/);
});
