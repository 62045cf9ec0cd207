import assert from 'node:assert/strict';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { GiB, KiB, MiB, hasCode, newGuid } from '../base/index.ts';
import type { FileSpan } from '../disk/index.ts';
import { openVhdChain } from './chain.ts';
import { createPlacedVhd, createVhd } from './create.ts';
import { assertSameBytes, contentOf, openFile, scratchFolder, withChain } from './scratch.fixture.ts';

const path = join(scratchFolder(), 'placed.vhd');

async function writeSpans(spans: readonly FileSpan[], bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'r+');
  let done = 0;
  for (const { fileOffset, length } of spans) {
    await handle.write(bytes, done, length, fileOffset);
    done += length;
  }
  assert.equal(done, bytes.length, 'the spans have the length asked for');
  await handle.close();
}

for (const kind of ['dynamic', 'fixed'] as const) {
  test(`${kind}: what is written where place said is read back, within a block and across blocks alike`, async () => {
    const uniqueId = newGuid();
    const writer = await createPlacedVhd(path, { size: 20 * MiB + 512, kind, uniqueId });
    const expected = Buffer.alloc(writer.size);
    for (const [offset, length] of [
      [512, 1024],
      [MiB, 4 * MiB],
      [9 * MiB, 100 * KiB],
      [9 * MiB + 100 * KiB, 3 * MiB],
      [writer.size - 512, 512],
    ] as const) {
      expected.fill(length & 0xff || 7, offset, offset + length);
      await writeSpans(await writer.place(offset, length), expected.subarray(offset, offset + length));
    }
    await writer.finish();
    assertSameBytes(await contentOf(path), expected, 'placed');
    await withChain(path, async (disk) => {
      assert.deepEqual([disk.kind, disk.virtualDiskId, disk.files[0]!.notes], [kind, uniqueId, []]);
      const blocks = [
        { offset: 0, length: 6 * MiB },
        { offset: 8 * MiB, length: 6 * MiB },
        { offset: 20 * MiB, length: 512 },
      ];
      const allocated = kind === 'fixed' ? [{ offset: 0, length: disk.size }] : blocks;
      assert.deepEqual(await Array.fromAsync(disk.allocated()), allocated);
    });
    await rm(path);
  });

  test(`${kind}: without finish the file is no VHD; abort removes it`, async () => {
    const writer = await createPlacedVhd(path, { size: 64 * MiB, kind });
    await writeSpans(await writer.place(0, MiB), Buffer.alloc(MiB, 1));
    await assert.rejects(openVhdChain(path, { open: openFile }), (e) => hasCode(e, 'VHD_NOT_VHD'));
    await writer.abort();
    assert.equal(existsSync(path), false);
  });

  test(`${kind}: places that go back or leave the disk are refused`, async () => {
    const writer = await createPlacedVhd(path, { size: 64 * MiB, kind });
    await writer.place(MiB, MiB);
    await assert.rejects(
      async () => writer.place(MiB, 512),
      (e) => hasCode(e, 'VHD_PLACE_OUT_OF_ORDER'),
    );
    await assert.rejects(
      async () => writer.place(64 * MiB, 512),
      (e) => hasCode(e, 'DISK_OUT_OF_RANGE'),
    );
    await writer.abort();
  });

  test(`${kind}: the largest disk is made and read at its ends, and takes no room`, async () => {
    const size = 2040 * GiB;
    const writer = await createPlacedVhd(path, { size, kind });
    for (const offset of [0, 1234 * GiB, size - 4096]) {
      await writeSpans(await writer.place(offset, 4096), Buffer.alloc(4096, offset === 0 ? 1 : 2));
    }
    await writer.finish();
    assert.ok(statSync(path).blocks * 512 < 8 * MiB);
    await withChain(path, async (disk) => {
      assert.equal(disk.size, size);
      const got = Buffer.alloc(8192);
      await disk.read(size - 8192, got);
      assertSameBytes(got, Buffer.concat([Buffer.alloc(4096), Buffer.alloc(4096, 2)]), 'end');
      await disk.read(0, got);
      assertSameBytes(got, Buffer.alloc(8192).fill(1, 0, 4096), 'start');
    });
    await rm(path);
  });
}

test('data of every block lies on whole pages of the file, with its bitmap before it', async () => {
  const writer = await createPlacedVhd(path, { size: 64 * MiB, kind: 'dynamic', blockSize: 512 * KiB });
  for (let n = 0; n < 5; n += 1) {
    const [span] = await writer.place(n * 3 * MiB, 4096);
    assert.equal(span!.fileOffset % 4096, 0);
  }
  await writer.abort();
});

test('a file that exists is never overwritten, and shapes the format does not know are refused', async () => {
  writeFileSync(path, 'kept');
  await assert.rejects(createVhd(path, { size: MiB, kind: 'fixed' }), (e) => hasCode(e, 'VHD_FILE_EXISTS'));
  assert.equal(statSync(path).size, 4);
  await rm(path);
  for (const shape of [
    { size: 1000 },
    { size: 0 },
    { size: 2040 * GiB + 512 },
    { size: Number.NaN },
    { size: MiB, blockSize: MiB },
  ]) {
    await assert.rejects(createVhd(path, { ...shape, kind: 'dynamic' }), (e) => hasCode(e, 'VHD_BAD_SHAPE'));
    assert.equal(existsSync(path), false);
  }
});
