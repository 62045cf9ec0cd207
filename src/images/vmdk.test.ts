/** VMDK images in all forms against QEMU and libvmdk. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { GiB, hasCode, KiB, MiB, TiB, viewOf } from '../base/index.ts';
import { MemoryDisk, type Disk } from '../disk/index.ts';
import { assertDocumented } from '../../test/offset-table.ts';
import { requires, requiresPython } from '../../test/requires.ts';
import {
  createImage,
  createVmdkFlatImage,
  imageStream,
  vmdkStream,
  writeCompressedImage,
  type CreateImageOptions,
} from './index.ts';
import {
  anyDisk,
  assertQemuReads,
  diskOf,
  libvmdkDigest,
  qemuImg,
  rawFile,
  Scratch,
} from './judges.fixture.ts';
import { sparseHeader, vmdkMarker } from './vmdk-format.ts';
import { VmdkStreamWriter } from './vmdk-stream-writer.ts';

const withQemu = requires(['qemu-img'], 'QEMU reads our VMDK images');
const withLibvmdk = requiresPython(['pyvmdk'], 'libvmdk reads our VMDK images');
const FORMS = ['vmdk', 'vmdk-flat', 'vmdk-stream'] as const;
type Form = (typeof FORMS)[number];

/** Writes the disk as a restore does, or as an export does. */
async function write(
  form: Form,
  disk: Disk,
  path: string,
  options: Omit<CreateImageOptions, 'size'> = {},
): Promise<string> {
  if (form === 'vmdk-stream') {
    await writeCompressedImage(form, path, disk, options);
    return path;
  }
  const image = await createImage(form, path, { size: disk.size, ...options });
  const file = await open(image.path, 'r+');
  for await (const { offset, length } of disk.allocated()) {
    const bytes = new Uint8Array(length);
    await disk.read(offset, bytes);
    let done = 0;
    for (const span of await image.place(offset, length)) {
      await file.write(bytes, done, span.length, span.fileOffset);
      done += span.length;
    }
  }
  await file.close();
  await image.finish();
  return path;
}

test('docs/formats/vmdk.md and vmdk-format.ts agree on every field', () => {
  assertDocumented('docs/formats/vmdk.md', sparseHeader);
  assertDocumented('docs/formats/vmdk.md', vmdkMarker);
});

for (const form of FORMS) {
  test(
    `${form}: whatever a disk holds and however it ends, QEMU reads the same bytes`,
    { ...withQemu },
    async () => {
      await fc.assert(
        fc.asyncProperty(anyDisk, async ({ size, strokes }) => {
          using scratch = new Scratch();
          const disk = await diskOf(size, strokes);
          const path = await write(form, disk, scratch.path('.vmdk'), { overwrite: true });
          const raw = await rawFile(disk, scratch.path('.raw'));
          assertQemuReads('vmdk', path, raw);
          if (form !== 'vmdk-flat') assert.equal(statSync(path).size % 512, 0);
          const { 'virtual-size': virtual } = JSON.parse(
            qemuImg('info', '-f', 'vmdk', '--output=json', path),
          ) as {
            'virtual-size': number;
          };
          assert.equal(virtual, Math.ceil(size / 512) * 512);
        }),
        { numRuns: 15 },
      );
    },
  );

  test(`${form}: libvmdk reads the same bytes`, { ...withLibvmdk }, async () => {
    using scratch = new Scratch();
    for (const size of [512, 64 * KiB, 33 * MiB + 512]) {
      const disk = await diskOf(
        size,
        [
          { offset: 0, length: 512, kind: 'text' },
          { offset: 100 * KiB, length: 200 * KiB, kind: 'noise' },
          { offset: size - 512, length: 512, kind: 'noise' },
        ].filter(({ offset }) => offset < size) as never,
      );
      const path = await write(form, disk, scratch.path('.vmdk'));
      const raw = readFileSync(await rawFile(disk, scratch.path('.raw')));
      assert.equal(libvmdkDigest(path), createHash('sha256').update(raw).digest('hex'), `${size} bytes`);
    }
  });
}

test('what QEMU makes of a streamed VMDK again is the same disk', { ...withQemu }, async () => {
  using scratch = new Scratch();
  const disk = await diskOf(70 * MiB, [{ offset: 30 * MiB, length: 5 * MiB, kind: 'text' }]);
  const path = await write('vmdk-stream', disk, scratch.path('.vmdk'));
  const again = scratch.path('.vmdk');
  qemuImg('convert', '-f', 'vmdk', '-O', 'vmdk', '-o', 'subformat=streamOptimized', path, again);
  assertQemuReads('vmdk', again, await rawFile(disk, scratch.path('.raw')));
});

/** Far apart on a disk beyond 2 TiB: reads through QEMU find each, and the file stays small. */
for (const form of ['vmdk-flat', 'vmdk-stream'] as const) {
  test(
    `${form}: a disk of 3 TiB with little data keeps every range in its place`,
    { ...withQemu },
    async () => {
      using scratch = new Scratch();
      const offsets = [0, 2 * TiB - 64 * KiB, 2 * TiB, 3 * TiB - 512];
      const disk = await diskOf(
        3 * TiB,
        offsets.map((offset) => ({ offset, length: 64 * KiB, kind: 'noise' })),
      );
      const path = await write(form, disk, scratch.path('.vmdk'));
      for (const offset of offsets) {
        const length = Math.min(64 * KiB, disk.size - offset);
        const expected = Buffer.alloc(length);
        await disk.read(offset, expected);
        const out = scratch.path('.raw');
        const source = `driver=raw,offset=${offset},size=${length},file.driver=vmdk,file.file.filename=${path}`;
        qemuImg('convert', '--image-opts', '-O', 'raw', source, out);
        assert.ok(readFileSync(out).equals(expected), `at ${offset}`);
      }
      assert.ok(
        readdirSync(scratch.folder).every((name) => statSync(`${scratch.folder}/${name}`).blocks < 4096),
      );
    },
  );
}

test(
  'the largest growing VMDK has all its tables as holes, and QEMU finds its last sector',
  { ...withQemu },
  async () => {
    using scratch = new Scratch();
    const size = 2047 * GiB;
    const disk = await diskOf(size, [{ offset: size - 512, length: 512, kind: 'noise' }]);
    const path = await write('vmdk', disk, scratch.path('.vmdk'));
    const out = scratch.path('.raw');
    const source = `driver=raw,offset=${size - 512},size=512,file.driver=vmdk,file.file.filename=${path}`;
    qemuImg('convert', '--image-opts', '-O', 'raw', source, out);
    const expected = Buffer.alloc(512);
    await disk.read(size - 512, expected);
    assert.ok(readFileSync(out).equals(expected));
    assert.ok(statSync(path).blocks * 512 < 4 * MiB);
    await assert.rejects(createImage('vmdk', scratch.path(), { size: size + 512 }), (error) =>
      hasCode(error, 'IMAGE_SIZE_REFUSED'),
    );
  },
);

test('a guest can write into a growing VMDK: QEMU fills it and finds no error', { ...withQemu }, async () => {
  using scratch = new Scratch();
  const disk = await diskOf(40 * MiB, [{ offset: 5 * MiB, length: MiB, kind: 'text' }]);
  const path = await write('vmdk', disk, scratch.path('.vmdk'));
  const other = await diskOf(40 * MiB, [{ offset: 3 * MiB, length: 36 * MiB, kind: 'noise' }]);
  const raw = await rawFile(other, scratch.path('.raw'));
  qemuImg('convert', '-n', '-f', 'raw', '-O', 'vmdk', '-S', '0', raw, path);
  assertQemuReads('vmdk', path, raw);
});

test('a stream is read once, without the file of its own: the same bytes with any number of threads', async () => {
  const disk = await diskOf(80 * MiB, [
    { offset: 10 * MiB, length: 20 * MiB, kind: 'text' },
    { offset: 63 * MiB, length: 3 * MiB, kind: 'noise' },
  ]);
  const digests = new Set<string>();
  for (const workers of [0, 1, 3]) {
    const hash = createHash('sha256');
    for await (const piece of vmdkStream(disk, { workers, contentId: 7 })) hash.update(piece);
    digests.add(hash.digest('hex'));
  }
  assert.equal(digests.size, 1);
});

test('a stream ends with the footer and the mark of the end, where readers look for them', async () => {
  const disk = await diskOf(40 * MiB, [{ offset: 0, length: 100, kind: 'text' }]);
  const bytes = Buffer.concat(await Array.fromAsync(imageStream('vmdk-stream', disk)));
  const head = sparseHeader.read(bytes);
  const foot = sparseHeader.read(bytes, bytes.length - 1024);
  assert.equal(head.directoryOffset, 2n ** 64n - 1n);
  const sector = Number(foot.directoryOffset);
  const table = viewOf(bytes).getUint32(sector * 512, true);
  assert.equal(viewOf(bytes).getUint32(sector * 512 + 4, true), 0, 'the second table is empty');
  const marker = vmdkMarker.read(bytes, (table - 1) * 512);
  assert.deepEqual([marker.value, marker.size, marker.type], [4, 0, 1]);
  const grain = viewOf(bytes).getUint32(table * 512, true);
  assert.equal(vmdkMarker.read(bytes, grain * 512).value, 0);
  assert.ok(bytes.subarray(-512).every((byte) => byte === 0));
});

test('a stream that outgrows what a table can name ends with a fault, not with a wrong place', () => {
  const writer = new VmdkStreamWriter(64 * MiB, 128 + 200);
  const piece = { lengths: [60_000], bytes: new Uint8Array(60_000) };
  writer.grains({ firstUnit: 0, ...piece });
  assert.throws(
    () => writer.grains({ firstUnit: 1, ...piece }),
    (error) => hasCode(error, 'IMAGE_FULL'),
  );
});

test('the descriptor says the adapter in the words VMware has, and a geometry that a BIOS can address', async () => {
  const disk = new MemoryDisk(10 * GiB);
  const text = async (options: object): Promise<string> => {
    const [head] = await Array.fromAsync(imageStream('vmdk-stream', disk, options));
    return Buffer.from(head!).toString('latin1', 512, 10_752).replace(/\0+$/, '');
  };
  assert.match(await text({}), /ddb\.adapterType = "lsilogic"/);
  assert.match(await text({ adapter: 'pvscsi' }), /ddb\.adapterType = "lsilogic"/);
  const ide = await text({ adapter: 'ide', contentId: 0xabc });
  assert.match(ide, /ddb\.adapterType = "ide"/);
  assert.match(ide, /cylinders = "16383"\nddb\.geometry\.heads = "16"\nddb\.geometry\.sectors = "63"/);
  assert.match(ide, /^CID=00000abc$/m);
  assert.match(ide, /^RW 20971520 SPARSE "disk\.vmdk"$/m);
});

test('the two files of a flat VMDK carry the names they have, and go together', async () => {
  using scratch = new Scratch();
  const path = scratch.path('.vmdk');
  const image = await createVmdkFlatImage(path, { size: MiB, createType: 'vmfs' });
  assert.equal(image.path, path.replace('.vmdk', '-flat.vmdk.partial'));
  await image.finish();
  const flat = basename(path).replace('.vmdk', '-flat.vmdk');
  assert.match(readFileSync(path, 'utf8'), new RegExp(`^RW 2048 VMFS "${flat}"$`, 'm'));
  assert.deepEqual(readdirSync(scratch.folder).sort(), [flat, basename(path)].sort());
  const second = await createVmdkFlatImage(scratch.path('.vmdk'), { size: MiB });
  await second.abort();
  assert.equal(readdirSync(scratch.folder).length, 2, 'abort leaves nothing');
});

test('a flat file that is there is kept, and a description that appears meanwhile takes no flat file along', async () => {
  using scratch = new Scratch();
  const path = scratch.path('.vmdk');
  const flat = path.replace('.vmdk', '-flat.vmdk');
  writeFileSync(flat, 'precious');
  const exists = (error: unknown): boolean => hasCode(error, 'IMAGE_EXISTS');
  await assert.rejects(createVmdkFlatImage(path, { size: MiB }), exists);
  assert.deepEqual(readdirSync(scratch.folder), [basename(flat)]);
  const other = scratch.path('.vmdk');
  const image = await createVmdkFlatImage(other, { size: MiB });
  writeFileSync(other, 'precious');
  await assert.rejects(image.finish(), exists);
  await image.abort();
  assert.ok(!existsSync(other.replace('.vmdk', '-flat.vmdk')));
  assert.equal(readFileSync(other, 'utf8'), 'precious');
});
