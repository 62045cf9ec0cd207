/** Fixed disks and children that are filled by path. Dynamic ones: placed.test.ts. */
import assert from 'node:assert/strict';
import { rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { GiB, KiB, MiB, hasCode } from '../base/index.ts';
import { MemoryDisk, type PlacedWriter } from '../disk/index.ts';
import { checkVhdx } from './check.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import { createPlacedDifferencingVhdx, createPlacedVhdx } from './placed.ts';
import { assertSameBytes, contentOf, openFile, scratchFolder, withChain } from './scratch.fixture.ts';
import { openVhdxChain } from './chain.ts';
import { openVhdxWritable } from './vhdx-file.ts';

const folder = scratchFolder();
const parent = join(folder, 'parent.vhdx');
const child = join(folder, 'child.avhdx');

async function fill(writer: PlacedWriter, offset: number, bytes: Uint8Array): Promise<void> {
  await using handle = await open(writer.path, 'r+');
  let done = 0;
  for (const { fileOffset, length } of await writer.place(offset, bytes.length)) {
    await handle.write(bytes, done, length, fileOffset);
    done += length;
  }
  assert.equal(done, bytes.length);
}

async function makeParent(size: number, logicalSectorSize: 512 | 4096 = 512): Promise<void> {
  for (const path of [parent, child]) rmSync(path, { force: true });
  await createVhdx(parent, { size, kind: 'dynamic', blockSize: MiB, logicalSectorSize });
  const file = await openVhdxWritable(parent);
  for (let at = 0; at < size; at += GiB)
    await file.write(at, Buffer.alloc(Math.min(5 * MiB, size - at), 0x77));
  await file.close();
}

test('a child that is placed reads as its parent with what was placed or zeroed over it, and is sound', async () => {
  const step = fc.record({
    what: fc.constantFrom('skip', 'place', 'reserve', 'zero'),
    sectors: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constantFrom(2048, 4096, 5000)),
  });
  const anyCase = fc.record({
    sectorSize: fc.constantFrom(512 as const, 4096 as const),
    blockMiB: fc.constantFrom(1, 2, 4),
    cut: fc.nat({ max: 5 }),
    steps: fc.array(step, { minLength: 1, maxLength: 12 }),
  });
  await fc.assert(
    fc.asyncProperty(anyCase, async ({ sectorSize, blockMiB, cut, steps }) => {
      const size = 5 * MiB - cut * sectorSize;
      await makeParent(size, sectorSize);
      const expected = Buffer.alloc(size, 0x77);
      const writer = await createPlacedDifferencingVhdx(child, {
        parentPath: parent,
        blockSize: blockMiB * MiB,
      });
      let at = 0;
      for (const [n, { what, sectors }] of steps.entries()) {
        const length = Math.min(sectors * sectorSize, size - at);
        if (length === 0) break;
        expected.fill(what === 'place' ? n + 1 : what === 'skip' ? 0x77 : 0, at, at + length);
        if (what === 'place') await fill(writer, at, expected.subarray(at, at + length));
        if (what === 'reserve') await writer.place(at, length);
        if (what === 'zero') await writer.zero(at, length);
        at += length;
      }
      await writer.finish();
      assertSameBytes(await contentOf(child), expected, 'child');
      assert.deepEqual((await checkVhdx(child)).findings, []);
    }),
    { numRuns: 40 },
  );
});

test('sectors on both sides of a chunk have each their bitmap block', async () => {
  const size = 9 * GiB;
  await makeParent(size);
  const writer = await createPlacedDifferencingVhdx(child, { parentPath: parent, blockSize: MiB });
  const expected = new MemoryDisk(size);
  for (let at = 0; at < size; at += GiB) await expected.write(at, Buffer.alloc(5 * MiB, 0x77));
  // A chunk is 4 GiB: the last sector of one, the first of the next, and a whole block that needs no bits.
  for (const [offset, length] of [
    [4 * GiB - 512, 512],
    [4 * GiB, 1024],
    [8 * GiB, MiB],
  ] as const) {
    const bytes = Buffer.alloc(length, 1 + (offset % 251));
    await fill(writer, offset, bytes);
    await expected.write(offset, bytes);
  }
  await writer.finish();
  const check = await checkVhdx(child);
  assert.deepEqual(check.findings, []);
  assert.equal(check.usedBytes, 4 * MiB + 2 * MiB + 3 * MiB, 'tables, two bitmap blocks, three blocks');
  await withChain(child, async (disk) => {
    for (let at = 0; at < size; at += GiB) {
      const [got, wanted] = [Buffer.alloc(MiB, 0xee), Buffer.alloc(MiB)];
      const start = Math.max(0, at - 512 * KiB);
      await disk.read(start, got);
      await expected.read(start, wanted);
      assertSameBytes(got, wanted, `at ${start}`);
    }
  });
});

test('a whole block of zeros takes no room in a child', async () => {
  await makeParent(5 * MiB);
  const writer = await createPlacedDifferencingVhdx(child, { parentPath: parent, blockSize: MiB });
  await writer.zero(MiB, 3 * MiB);
  await writer.finish();
  const expected = Buffer.alloc(5 * MiB, 0x77).fill(0, MiB, 4 * MiB);
  assertSameBytes(await contentOf(child), expected, 'child');
  assert.equal(statSync(child).size, 4 * MiB, 'tables only');
});

test('a child refuses parts of sectors, and zeros that go back', async () => {
  await makeParent(5 * MiB, 4096);
  const writer = await createPlacedDifferencingVhdx(child, { parentPath: parent });
  for (const [offset, length] of [
    [0, 512],
    [512, 4096],
  ] as const) {
    const refused = (error: unknown): boolean => hasCode(error, 'VHDX_UNALIGNED_WRITE');
    await assert.rejects(writer.place(offset, length) as Promise<unknown>, refused);
    await assert.rejects(writer.zero(offset, length), refused);
  }
  await writer.place(MiB, 4096);
  await assert.rejects(writer.zero(0, 4096), (e) => hasCode(e, 'VHDX_PLACE_OUT_OF_ORDER'));
  await writer.abort();
});

test('without finish a child is not a VHDX', async () => {
  await makeParent(MiB);
  const writer = await createPlacedDifferencingVhdx(child, { parentPath: parent });
  await fill(writer, 0, Buffer.alloc(MiB, 1));
  await assert.rejects(openVhdxChain(child, { open: openFile }), (e) => hasCode(e, 'VHDX_NOT_VHDX'));
  await writer.abort();
});

test('a fixed disk that is placed has every block in its place, and no room for what nobody wrote', async () => {
  const path = join(folder, 'fixed.vhdx');
  const size = 100 * GiB + 512;
  const writer = await createPlacedVhdx(path, { size, kind: 'fixed', blockSize: 32 * MiB });
  const offsets = [512, 32 * MiB - 512, 64 * GiB, size - 512];
  for (const offset of offsets) await fill(writer, offset, Buffer.alloc(512, 1 + (offset % 251)));
  await writer.finish();
  assert.ok(statSync(path).blocks * 512 < 8 * MiB, 'sparse');
  const check = await checkVhdx(path);
  assert.deepEqual([check.info?.kind, check.findings], ['fixed', []]);
  await withChain(path, async (disk) => {
    assert.deepEqual(await Array.fromAsync(disk.allocated()), [{ offset: 0, length: size }]);
    for (const offset of offsets) {
      const got = Buffer.alloc(512);
      await disk.read(offset, got);
      assertSameBytes(got, Buffer.alloc(512, 1 + (offset % 251)), String(offset));
    }
  });
  const blocks = await open(path);
  const [first, last] = [Buffer.alloc(512), Buffer.alloc(512)];
  await blocks.read(first, 0, 512, 4 * MiB + 512);
  await blocks.read(last, 0, 512, 4 * MiB + size - 512);
  await blocks.close();
  assert.deepEqual(
    [first[0], last[0]],
    [1 + (512 % 251), 1 + ((size - 512) % 251)],
    'in the order of the disk',
  );
  rmSync(path);
});

test('a Windows path of the parent is in the child beside the relative one', async () => {
  const here = process.cwd();
  process.chdir(folder);
  try {
    // On other systems a name like any other.
    const [parentPath, path] = ['C:\\parent.vhdx', 'C:\\child.avhdx'];
    await createVhdx(parentPath, { size: MiB, kind: 'dynamic' });
    await createDifferencingVhdx(path, { parentPath });
    const { info } = await checkVhdx(path);
    assert.deepEqual(
      [info?.parentLocator?.relativePath, info?.parentLocator?.absolutePath],
      ['.\\parent.vhdx', parentPath],
    );
  } finally {
    process.chdir(here);
  }
});
