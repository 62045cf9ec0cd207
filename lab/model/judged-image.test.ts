/** Images of every format a restore can make, judged against the truth: equal ones pass, one wrong byte anywhere does not. */
import assert from 'node:assert/strict';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MiB } from '../../src/base/index.ts';
import { createImage } from '../../src/images/index.ts';
import { openJudgedImage, type JudgedFormat } from './judged-image.ts';
import { Random } from './random.ts';
import { scratch } from './scratch.fixture.ts';
import { TruthLog } from './truth-log.ts';
import { openTruth } from './truth-reader.ts';

const SIZE = 1030 * MiB + 512;
const DATA = [
  { offset: 0, length: 200_000 },
  { offset: 40 * MiB - 512, length: 1024 },
  { offset: 1024 * MiB + 3, length: MiB },
  { offset: SIZE - 700, length: 700 },
];
const bytesAt = (offset: number, length: number): Uint8Array => new Random(offset).bytes(length);

async function makeImage(
  path: string,
  format: JudgedFormat,
  wrong?: { offset: number; byte: number },
): Promise<void> {
  const image = await createImage(format, path, { size: SIZE, overwrite: true });
  const extra = wrong && !DATA.some(({ offset, length }) => within(wrong.offset, offset, length));
  const ranges = [...DATA, ...(extra ? [{ offset: wrong.offset, length: 1 }] : [])];
  await using file = await open(image.path, 'r+');
  for (const { offset, length } of ranges.sort((a, b) => a.offset - b.offset)) {
    const bytes = length === 1 ? Uint8Array.of(0) : bytesAt(offset, length);
    if (wrong && within(wrong.offset, offset, length)) bytes[wrong.offset - offset]! ^= wrong.byte;
    let done = 0;
    for (const span of await image.place(offset, length)) {
      await file.write(bytes, done, span.length, span.fileOffset);
      done += span.length;
    }
  }
  await image.finish();
}

function within(at: number, offset: number, length: number): boolean {
  return at >= offset && at < offset + length;
}

for (const format of ['raw', 'vhdx', 'qcow2'] as const) {
  test(`${format}: the image of a disk passes, and one wrong byte is found, in its data and in its holes`, async () => {
    await using temporary = await scratch();
    const log = await TruthLog.create(join(temporary.folder, 'truth'), SIZE);
    for (const { offset, length } of DATA) await log.write(offset, bytesAt(offset, length));
    const truth = (await openTruth(log))!;
    const path = join(temporary.folder, 'image');
    const judge = async (wrong?: number): Promise<number | undefined> => {
      await makeImage(path, format, wrong === undefined ? undefined : { offset: wrong, byte: 1 });
      const image = await openJudgedImage(path, format);
      const difference = await truth.firstDifference(image);
      await image.close();
      return difference;
    };
    assert.equal(await judge(), undefined);
    for (const at of [0, 199_999, 200_000, 40 * MiB, 500 * MiB + 77, 1025 * MiB + 2, SIZE - 800, SIZE - 1]) {
      assert.equal(await judge(at), at);
    }
    await truth.close();
    await log.close();
  });
}

test('a zero that was written is as good as a hole, and what is no image of the format is refused', async () => {
  await using temporary = await scratch();
  const path = join(temporary.folder, 'zeros.raw');
  await writeFile(path, Buffer.alloc(MiB));
  const image = await openJudgedImage(path, 'raw');
  assert.equal(await image.isZero(0, MiB), true);
  assert.equal(await image.isZero(100, 1000), true, 'off the grid of direct reads');
  await image.close();
  for (const format of ['vhdx', 'qcow2'] as const) await assert.rejects(openJudgedImage(path, format));
  await assert.rejects(openJudgedImage(path, 'vmdk' as 'raw'), /no format of images/);
});
