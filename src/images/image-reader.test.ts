/** Images read again: ours against the disk they were made of, QEMU's against QEMU, damaged ones against a list of what damage there is. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { GiB, hasCode, isFault, KiB, MiB, TiB } from '../base/index.ts';
import { FileReader, type Disk, type MemoryDisk } from '../disk/index.ts';
import { endOf, totalBytes } from '../extents/index.ts';
import { requires } from '../../test/requires.ts';
import {
  createImage,
  createQcow2Image,
  openQcow2,
  openSparseVmdk,
  writeCompressedImage,
  writeCompressedQcow2,
} from './index.ts';
import { anyDisk, diskOf, qemuImg, rawFile, Scratch } from './judges.fixture.ts';
import { zstdFrameLength } from './zstd-frame.ts';

const withQemu = requires(['qemu-img'], 'that images of QEMU are read as QEMU reads them');
const read = { open: (path: string) => FileReader.open(path) };

async function place(image: Awaited<ReturnType<typeof createQcow2Image>>, disk: MemoryDisk): Promise<void> {
  await using file = await open(image.path, 'r+');
  for (const { offset, length } of disk.allocated()) {
    const bytes = new Uint8Array(length);
    await disk.read(offset, bytes);
    let done = 0;
    for (const span of await image.place(offset, length)) {
      await file.write(bytes, done, span.length, span.fileOffset);
      done += span.length;
    }
  }
}

type Write = (path: string, disk: MemoryDisk) => Promise<void>;

const WRITERS: readonly (readonly [name: string, openImage: typeof openSparseVmdk, write: Write])[] = [
  ['qcow2', openQcow2, (path, disk) => placed('qcow2', path, disk)],
  ['qcow2 of zstd', openQcow2, async (path, disk) => void (await writeCompressedQcow2(path, disk))],
  [
    'qcow2 of deflate',
    openQcow2,
    async (path, disk) =>
      void (await writeCompressedQcow2(path, disk, { compression: 'deflate', workers: 0 })),
  ],
  ['vmdk', openSparseVmdk, (path, disk) => placed('vmdk', path, disk)],
  [
    'vmdk-stream',
    openSparseVmdk,
    async (path, disk) => void (await writeCompressedImage('vmdk-stream', path, disk, { workers: 0 })),
  ],
];

async function placed(format: 'qcow2' | 'vmdk', path: string, disk: MemoryDisk): Promise<void> {
  const image = await createImage(format, path, { size: disk.size });
  await place(image as never, disk);
  await image.finish();
}

/** The same bytes by whole reads, at any place, and where it says that there are none there are none. */
async function assertSame(image: Disk, disk: MemoryDisk, at: number): Promise<void> {
  assert.equal(image.size, Math.ceil(disk.size / 512) * 512);
  for (const { offset, length } of disk.allocated()) {
    const [expected, got] = [new Uint8Array(length), new Uint8Array(length)];
    await disk.read(offset, expected);
    await image.read(offset, got);
    assert.ok(Buffer.compare(expected, got) === 0, `bytes from ${offset} on`);
  }
  const extents = await Array.fromAsync(image.allocated());
  for (const [i, extent] of extents.entries())
    assert.ok(extent.offset >= endOf(extents[i - 1] ?? { offset: 0, length: 0 }));
  const odd = new Uint8Array(Math.min(100_001, disk.size - at));
  const same = odd.slice();
  await disk.read(at, odd);
  await image.read(at, same);
  assert.ok(Buffer.compare(odd, same) === 0, `bytes from ${at} on`);
  const holes = new Uint8Array(MiB);
  for (const { offset } of extents) {
    const before = Math.max(0, offset - holes.length);
    if (extents.some((other) => other.offset < offset && endOf(other) > before)) continue;
    await disk.read(before, holes.subarray(0, offset - before));
    assert.ok(
      holes.subarray(0, offset - before).every((byte) => byte === 0),
      'what is not allocated is zeros',
    );
  }
}

for (const [name, openImage, write] of WRITERS) {
  test(`${name}: what was written is read again, wherever it is asked for`, async () => {
    await fc.assert(
      fc.asyncProperty(anyDisk, fc.nat(), async ({ size, strokes }, at) => {
        using scratch = new Scratch();
        const disk = await diskOf(size, strokes);
        const path = scratch.path();
        await write(path, disk);
        const image = await openImage(path, read);
        try {
          await assertSame(image, disk, at % size);
        } finally {
          await image.close();
        }
      }),
      { numRuns: 12 },
    );
  });
}

test('threads find the plain clusters of an image in its file, and ask for the packed ones', async () => {
  using scratch = new Scratch();
  const disk = await diskOf(4 * MiB, [{ offset: MiB, length: MiB, kind: 'noise' }]);
  const [plain, packed] = [scratch.path(), scratch.path()];
  await placed('qcow2', plain, disk);
  await writeCompressedQcow2(packed, await diskOf(4 * MiB, [{ offset: MiB, length: MiB, kind: 'text' }]));
  await using images = new AsyncDisposableStack();
  const [one, other] = [await openQcow2(plain, read), await openQcow2(packed, read)];
  for (const image of [one, other]) images.defer(() => image.close());
  const runs = await one.located({ offset: 0, length: 4 * MiB });
  assert.deepEqual([runs?.length, totalBytes(runs!)], [1, MiB]);
  const bytes = Buffer.alloc(MiB);
  await disk.read(MiB, bytes);
  assert.ok(readFileSync(plain).subarray(runs![0]!.fileOffset).subarray(0, MiB).equals(bytes));
  assert.equal(await other.located({ offset: 0, length: 4 * MiB }), undefined);
});

test('64 TiB with nothing at both ends but a sector cost as many tables', async () => {
  using scratch = new Scratch();
  const path = scratch.path();
  await writeCompressedQcow2(
    path,
    await diskOf(64 * TiB, [{ offset: 64 * TiB - 512, length: 512, kind: 'noise' }]),
  );
  let reads = 0;
  const image = await openQcow2(path, {
    async open(name) {
      const reader = await FileReader.open(name);
      const counted = (offset: number, into: Uint8Array): Promise<void> => {
        reads += 1;
        return reader.read(offset, into);
      };
      return { size: reader.size, read: counted, close: () => reader.close() };
    },
  });
  assert.deepEqual(await Array.fromAsync(image.allocated()), [
    { offset: 64 * TiB - 64 * KiB, length: 64 * KiB },
  ]);
  await image.close();
  assert.ok(reads < 5, `${reads} reads`);
});

const MADE_BY_QEMU = [
  ['qcow2', ['-o', 'cluster_size=512']],
  ['qcow2', ['-o', 'cluster_size=4k', '-c']],
  ['qcow2', []],
  ['qcow2', ['-c']],
  ['qcow2', ['-c', '-o', 'compression_type=zstd']],
  ['qcow2', ['-c', '-o', 'compression_type=zstd,cluster_size=2M']],
  ['qcow2', ['-o', 'preallocation=metadata,lazy_refcounts=on']],
  ['vmdk', []],
  ['vmdk', ['-o', 'subformat=streamOptimized']],
] as const;

for (const [format, options] of MADE_BY_QEMU) {
  test(`QEMU's ${format} ${options.join(' ')} is read as QEMU reads it`, { ...withQemu }, async () => {
    using scratch = new Scratch();
    const disk = await diskOf(70 * MiB + 512, [
      { offset: 0, length: 300 * KiB, kind: 'text' },
      { offset: MiB + 512, length: 70 * KiB, kind: 'noise' },
      { offset: 33 * MiB, length: 2 * MiB, kind: 'text' },
      { offset: 70 * MiB, length: 512, kind: 'noise' },
    ]);
    const path = scratch.path();
    qemuImg(
      'convert',
      '-f',
      'raw',
      '-O',
      format,
      ...options,
      await rawFile(disk, scratch.path('.raw')),
      path,
    );
    const image = await (format === 'qcow2' ? openQcow2 : openSparseVmdk)(path, read);
    await assertSame(image, disk, 33 * MiB - 70_000);
    await image.close();
  });
}

test('over a raw file: what the image has, zeros it says, and what it leaves to the file', async () => {
  using scratch = new Scratch();
  const below = await diskOf(5 * MiB, [{ offset: 0, length: 5 * MiB, kind: 'text' }]);
  const backing = await rawFile(below, scratch.path('.raw'));
  const path = scratch.path();
  const image = await createQcow2Image(path, { size: 6 * MiB, backing: { path: 'base.raw', format: 'raw' } });
  const above = await diskOf(6 * MiB, [{ offset: MiB, length: MiB, kind: 'noise' }]);
  await place(image, above);
  await image.zero(3 * MiB, MiB);
  await image.finish();
  await assert.rejects(openQcow2(path, read), (e) => hasCode(e, 'IMAGE_UNREAD'));
  const named: unknown[] = [];
  const disk = await openQcow2(path, {
    ...read,
    openBacking(name) {
      named.push(name);
      return FileReader.open(backing);
    },
  });
  assert.deepEqual(named, [{ path: 'base.raw', format: 'raw' }]);
  const expected = Buffer.alloc(6 * MiB);
  await below.read(0, expected.subarray(0, 5 * MiB));
  await above.read(MiB, expected.subarray(MiB, 2 * MiB));
  expected.fill(0, 3 * MiB, 4 * MiB);
  const got = Buffer.alloc(6 * MiB);
  await disk.read(0, got);
  assert.ok(got.equals(expected));
  assert.ok(totalBytes(await Array.fromAsync(disk.allocated())) <= 4 * MiB);
  await disk.close();
});

/** Reads all of the image after `damage`; the code of the fault, or `undefined`. */
async function codeAfter(
  path: string,
  openImage: typeof openSparseVmdk,
  damage: (bytes: Buffer) => Buffer | void,
) {
  const copy = `${path}.damaged`;
  const bytes = readFileSync(path);
  writeFileSync(copy, damage(bytes) ?? bytes);
  try {
    const disk = await openImage(copy, read);
    try {
      const into = new Uint8Array(MiB);
      for await (const { offset, length } of disk.allocated()) {
        for (let at = offset; at < offset + length; at += MiB) {
          await disk.read(at, into.subarray(0, Math.min(MiB, offset + length - at)));
        }
      }
    } finally {
      await disk.close();
    }
    return undefined;
  } catch (error) {
    if (!isFault(error)) throw error;
    return error.code;
  }
}

type Damage = readonly [what: string, code: string, change: (bytes: Buffer) => Buffer | void];

/** The L1 table at 64 KiB names the L2 table at 128 KiB, whose first entry is that of the first cluster. */
const QCOW2_DAMAGE: readonly Damage[] = [
  ['another signature', 'IMAGE_DAMAGED', (b) => void b.write('XFI')],
  ['version 2', 'IMAGE_UNREAD', (b) => void b.writeUInt32BE(2, 4)],
  ['encryption', 'IMAGE_UNREAD', (b) => void b.writeUInt32BE(1, 32)],
  ['extended entries', 'IMAGE_UNREAD', (b) => void b.writeUInt8(0x10, 79)],
  ['a feature nobody knows', 'IMAGE_UNREAD', (b) => void b.writeUInt8(0x40, 79)],
  ['a size beyond the L1 table', 'IMAGE_DAMAGED', (b) => void b.writeBigUInt64BE(BigInt(TiB), 24)],
  ['a size beyond numbers', 'IMAGE_DAMAGED', (b) => void b.fill(0xff, 24, 32)],
  ['clusters of 2^31', 'IMAGE_DAMAGED', (b) => void b.writeUInt32BE(31, 20)],
  ['an L1 table behind the end', 'IMAGE_DAMAGED', (b) => void b.writeUInt32BE(0x7f0000, 44)],
  ['an L2 table off its grid', 'IMAGE_DAMAGED', (b) => void b.writeUInt8(2, 64 * KiB + 6)],
  ['one L2 table twice', 'IMAGE_DAMAGED', (b) => void b.copy(b, 64 * KiB + 8, 64 * KiB, 64 * KiB + 8)],
  ['a cluster off its grid', 'IMAGE_DAMAGED', (b) => void b.writeUInt8(2, 128 * KiB + 6)],
  ['a cluster behind the end', 'IMAGE_DAMAGED', (b) => void b.writeUInt8(1, 128 * KiB + 2)],
  ['a reserved bit of an entry', 'IMAGE_DAMAGED', (b) => void b.writeUInt8(0x84, 128 * KiB)],
  ['plain bytes called packed', 'IMAGE_DAMAGED', (b) => void b.writeUInt8(0x40, 128 * KiB)],
  ['half of the file', 'IMAGE_DAMAGED', (b) => b.subarray(0, b.length / 2)],
];

test('qcow2: what contradicts itself is damage, what is not known is refused', async () => {
  using scratch = new Scratch();
  const path = scratch.path();
  await placed('qcow2', path, await diskOf(GiB, [{ offset: 0, length: MiB, kind: 'noise' }]));
  assert.equal(await codeAfter(path, openQcow2, () => {}), undefined);
  for (const [what, code, change] of QCOW2_DAMAGE)
    assert.equal(await codeAfter(path, openQcow2, change), code, what);
});

/** The first grain of a stream is at 64 KiB; in the last three sectors are the footer's marker, the footer and the end. */
const STREAM_DAMAGE: readonly Damage[] = [
  ['another signature', 'IMAGE_DAMAGED', (b) => void b.write('XDMV')],
  ['no end', 'IMAGE_DAMAGED', (b) => b.subarray(0, b.length - 1024)],
  ['other grains', 'IMAGE_UNREAD', (b) => void b.writeUInt8(64, b.length - 1024 + 20)],
  ['zeroed grains', 'IMAGE_UNREAD', (b) => void b.writeUInt8(5, b.length - 1024 + 8)],
  ['a parent', 'IMAGE_UNREAD', (b) => void b.write('parentCID=12345678', b.indexOf('parentCID='))],
  ['another extent', 'IMAGE_DAMAGED', (b) => void b.write('RW 7', b.indexOf('RW '))],
  ['line ends changed', 'IMAGE_DAMAGED', (b) => void b.writeUInt8(0x0d, b.length - 1024 + 73)],
  ['a directory behind the end', 'IMAGE_DAMAGED', (b) => void b.writeUInt8(0xff, b.length - 1024 + 60)],
  ['a grain of another place', 'IMAGE_DAMAGED', (b) => void b.writeUInt8(1, 64 * KiB + 1)],
  ['a grain of 4 GiB', 'IMAGE_DAMAGED', (b) => void b.writeUInt8(0xff, 64 * KiB + 11)],
  ['other packed bytes', 'IMAGE_DAMAGED', (b) => void b.fill(0x5a, 64 * KiB + 20, 64 * KiB + 30)],
];

test('vmdk-stream: what contradicts itself is damage, what is not known is refused', async () => {
  using scratch = new Scratch();
  const path = scratch.path();
  const disk = await diskOf(40 * MiB, [{ offset: 0, length: MiB, kind: 'text' }]);
  await writeCompressedImage('vmdk-stream', path, disk);
  assert.equal(await codeAfter(path, openSparseVmdk, () => {}), undefined);
  for (const [what, code, change] of STREAM_DAMAGE) {
    assert.equal(await codeAfter(path, openSparseVmdk, change), code, what);
  }
});

for (const [name, openImage, write] of WRITERS) {
  test(`${name}: bytes changed anywhere are read, or refused with a code`, async () => {
    using scratch = new Scratch();
    const path = scratch.path();
    await write(
      path,
      await diskOf(40 * MiB, [
        { offset: 0, length: 200 * KiB, kind: 'text' },
        { offset: 36 * MiB, length: 80 * KiB, kind: 'noise' },
      ]),
    );
    const size = statSync(path).size;
    const change = fc.record({
      at: fc.oneof(
        fc.nat(2048),
        fc.nat(size - 1),
        fc.nat(2048).map((n) => Math.max(0, size - 1 - n)),
      ),
      byte: fc.nat(255),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const code = await codeAfter(path, openImage, (bytes) => {
          for (const { at, byte } of changes) bytes[at] = byte;
        });
        assert.match(code ?? 'IMAGE_', /^IMAGE_/);
      }),
      { numRuns: 60 },
    );
  });
}

test('a zstd frame ends where it ends, whatever follows it, and without its end it is none', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 3000 }),
        fc.integer({ min: 0, max: 300_000 }).map((n) => new Uint8Array(n).fill(7)),
      ),
      fc.boolean(),
      fc.uint8Array({ maxLength: 50 }),
      (content, checksum, behind) => {
        const frame = zstdCompressSync(content, { params: { 201: Number(checksum) } });
        assert.equal(zstdFrameLength(Buffer.concat([frame, behind])), frame.length);
        assert.equal(zstdFrameLength(frame.subarray(0, frame.length - 1)), undefined);
      },
    ),
  );
});
