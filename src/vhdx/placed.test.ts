import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { KiB, MiB, TiB, hasCode } from '../base/index.ts';
import type { FileSpan } from '../disk/index.ts';
import { openVhdxChain } from './chain.ts';
import { createPlacedVhdx } from './placed.ts';
import { assertSameBytes, contentOf, openFile, scratchFolder, withChain } from './scratch.fixture.ts';

const path = join(scratchFolder(), 'placed.vhdx');

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

test('what is written where place said is read back, places within a block and across blocks alike', async () => {
  const writer = await createPlacedVhdx(path, { size: 20 * MiB + 512, blockSize: 2 * MiB });
  const expected = Buffer.alloc(writer.size);
  const ranges = [
    [512, 1024],
    [MiB, 4 * MiB],
    [9 * MiB, 100 * KiB],
    [9 * MiB + 100 * KiB, 3 * MiB],
    [writer.size - 512, 512],
  ] as const;
  for (const [offset, length] of ranges) {
    expected.fill(length & 0xff || 7, offset, offset + length);
    await writeSpans(await writer.place(offset, length), expected.subarray(offset, offset + length));
  }
  await writer.finish();
  assert.equal(statSync(path).size, 4 * MiB + 7 * 2 * MiB, 'the last block occupies its full size');
  assertSameBytes(await contentOf(path), expected, 'placed');
  await withChain(path, async (disk) => {
    assert.deepEqual(await Array.fromAsync(disk.allocated()), [
      { offset: 0, length: 6 * MiB },
      { offset: 8 * MiB, length: 6 * MiB },
      { offset: 20 * MiB, length: 512 },
    ]);
  });
  await rm(path);
});

test('blocks placed one after the other follow each other in the file: one span, sequential writing', async () => {
  const writer = await createPlacedVhdx(path, { size: 64 * MiB, blockSize: MiB });
  assert.equal((await writer.place(0, 32 * MiB)).length, 1);
  const [span] = await writer.place(40 * MiB, MiB);
  assert.deepEqual(await writer.place(41 * MiB, MiB), [{ fileOffset: span!.fileOffset + MiB, length: MiB }]);
  await writer.abort();
});

test('without finish the file is not a VHDX; abort removes it', async () => {
  const writer = await createPlacedVhdx(path, { size: 64 * MiB });
  await writeSpans(await writer.place(0, MiB), Buffer.alloc(MiB, 1));
  await assert.rejects(openVhdxChain(path, { open: openFile }), (e) => hasCode(e, 'VHDX_NOT_VHDX'));
  await writer.abort();
  assert.equal(existsSync(path), false);
});

test('places that go back are refused', async () => {
  const writer = await createPlacedVhdx(path, { size: 64 * MiB });
  await writer.place(MiB, MiB);
  await assert.rejects(
    async () => writer.place(MiB, 512),
    (e) => hasCode(e, 'VHDX_PLACE_OUT_OF_ORDER'),
  );
  await assert.rejects(
    async () => writer.place(64 * MiB, 512),
    (e) => hasCode(e, 'DISK_OUT_OF_RANGE'),
  );
  await writer.abort();
});

test('the table of 64 TiB is written as it fills, every page of it', async () => {
  const writer = await createPlacedVhdx(path, { size: 64 * TiB, blockSize: 256 * MiB });
  const offsets = Array.from({ length: 33 }, (_, n) => (n < 32 ? n * 2 * TiB : 64 * TiB - 4096));
  for (const offset of offsets) {
    await writeSpans(await writer.place(offset, 4096), Buffer.alloc(4096, 1 + offset / TiB));
  }
  await writer.finish();
  await withChain(path, async (disk) => {
    for (const offset of offsets) {
      const got = Buffer.alloc(4096);
      await disk.read(offset, got);
      assertSameBytes(got, Buffer.alloc(4096, 1 + offset / TiB), String(offset));
    }
  });
  await rm(path);
});
