/**
 * Broken files: each defect has its own code, damage anywhere gives a fault or the right bytes, and what real files do beyond
 * the specification is read.
 */
import assert from 'node:assert/strict';
import { copyFileSync, globSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { KiB, MiB, declaredFaults, hasCode, isFault, newGuid } from '../base/index.ts';
import { beside, buildVhd } from './built-vhd.fixture.ts';
import {
  assertSameBytes,
  contentOf,
  patch,
  patchFooters,
  patchHeader,
  scratchFolder,
  u32Bytes,
  u64Bytes,
  withChain,
} from './scratch.fixture.ts';

const folder = scratchFolder();
const base = join(folder, 'base.vhd');
const child = join(folder, 'child.avhd');
const fixed = join(folder, 'fixed.vhd');
const broken = join(folder, 'broken.vhd');
const SIZE = 192 * KiB + 512;
const BLOCK = 64 * KiB;
/** Of both files with blocks: footer's copy 0, header 512, table 1536; of the child its text at 2048. */
const TABLE = 1536;
let baseContent: Buffer;
let childContent: Buffer;
let fixedContent: Buffer;

before(async () => {
  const parentId = newGuid();
  const block = (index: number, fill: number): { index: number; data: Buffer } => ({
    index,
    data: Buffer.alloc(BLOCK, fill),
  });
  const shape = { size: SIZE, blockSize: BLOCK };
  buildVhd(base, {
    ...shape,
    kind: 'dynamic',
    uniqueId: parentId,
    blocks: [block(2, 3), block(0, 1), block(3, 4)],
  });
  const has = (sector: number): boolean => sector >= 8 && sector < 40;
  const blocks = [{ ...block(0, 9), has }, block(1, 8)];
  const kind = 'differencing' as const;
  buildVhd(child, { ...shape, kind, uniqueId: newGuid(), parentId, locators: beside('base.vhd'), blocks });
  fixedContent = Buffer.alloc(SIZE, 'a fixed disk ');
  buildVhd(fixed, { kind: 'fixed', size: SIZE, uniqueId: newGuid(), content: fixedContent });
  baseContent = await contentOf(base);
  childContent = await contentOf(child);
});

const locator = (at: number, bytes: Uint8Array): void => patchHeader(broken, 576 + at, bytes);
const entry = (index: number, sector: number): void => patch(broken, TABLE + 4 * index, u32Bytes(sector));
const footers = (at: number, bytes: Uint8Array): void => patchFooters(broken, at, bytes);
const header = (at: number, bytes: Uint8Array): void => patchHeader(broken, at, bytes);

type Defect = [code: string, claim: string, make: () => unknown];

const defects: Defect[] = [
  ['NOT_VHD', 'no footer at all', () => writeFileSync(broken, Buffer.alloc(4096))],
  ['NOT_VHD', 'a file of a few bytes', () => truncateSync(broken, 100)],
  ['NOT_VHD', 'an empty file', () => truncateSync(broken, 0)],
  [
    'FOOTER_CHECKSUM',
    'both footers flipped',
    () => {
      patch(broken, 50, Uint8Array.of(0xee));
      patch(broken, -462, Uint8Array.of(0xee));
    },
  ],
  ['VERSION', 'a footer of the future', () => footers(12, u32Bytes(0x20000))],
  ['VERSION', 'a header of the future', () => header(24, u32Bytes(0x20000))],
  ['DISK_TYPE', 'a type of long ago', () => footers(60, u32Bytes(5))],
  ['DISK_SIZE', 'a disk of nothing', () => footers(48, u64Bytes(0n))],
  ['DISK_SIZE', 'a disk of half sectors', () => footers(48, u64Bytes(1000n))],
  ['DISK_SIZE', 'a disk above 2040 GiB', () => footers(48, u64Bytes(2040n * 2n ** 30n + 512n))],
  ['NUMBER_TOO_LARGE', 'a disk of 2^60 bytes', () => footers(48, u64Bytes(2n ** 60n))],
  ['NUMBER_TOO_LARGE', 'a table at 2^60', () => header(16, u64Bytes(2n ** 60n))],
  ['HEADER_PLACE', 'a header over the footer', () => footers(16, u64Bytes(0n))],
  ['HEADER_PLACE', 'a header between sectors', () => footers(16, u64Bytes(700n))],
  ['HEADER_PLACE', 'no header', () => footers(16, u64Bytes(2n ** 64n - 1n))],
  ['TRUNCATED', 'a header behind the end', () => footers(16, u64Bytes(2n ** 40n))],
  ['HEADER_MISSING', 'no header where it should be', () => footers(16, u64Bytes(1024n))],
  ['HEADER_CHECKSUM', 'a flipped header', () => patch(broken, 512 + 700, Uint8Array.of(1))],
  ['BLOCK_SIZE', 'blocks of nothing', () => header(32, u32Bytes(0))],
  ['BLOCK_SIZE', 'blocks of 96 KiB', () => header(32, u32Bytes(96 * KiB))],
  ['BLOCK_SIZE', 'blocks of 512 bytes', () => header(32, u32Bytes(512))],
  ['BLOCK_SIZE', 'blocks of 2 GiB', () => header(32, u32Bytes(2 ** 31))],
  ['TABLE_TOO_SMALL', 'fewer entries than blocks', () => header(28, u32Bytes(3))],
  ['TABLE_TOO_SMALL', 'a larger disk', () => footers(48, u64Bytes(BigInt(MiB)))],
  [
    'TABLE_TOO_LARGE',
    'more blocks than fit in memory',
    () => {
      header(28, u32Bytes(0xffffffff));
      footers(48, u64Bytes(2040n * 2n ** 30n));
    },
  ],
  ['TABLE_PLACE', 'a table over the footer', () => header(16, u64Bytes(0n))],
  ['TABLE_PLACE', 'a table over the header', () => header(16, u64Bytes(1024n))],
  ['TABLE_PLACE', 'a table between sectors', () => header(16, u64Bytes(1540n))],
  ['TRUNCATED', 'a table behind the end', () => header(16, u64Bytes(2n ** 40n))],
  ['BLOCK_PLACE', 'a block at the beginning', () => entry(1, 0)],
  ['BLOCK_PLACE', 'a block over the header', () => entry(1, 1)],
  ['BLOCK_PLACE', 'a block over the table', () => entry(1, 3)],
  ['BLOCK_PLACE', 'a block behind the end', () => entry(1, 0xfffffffe)],
  [
    'BLOCK_PLACE',
    'a last, short block over the footer',
    () => entry(3, readFileSync(broken).length / 512 - 2),
  ],
  ['BLOCK_OVERLAP', 'two blocks at one place', () => entry(1, 4)],
  ['BLOCK_OVERLAP', 'a block in the middle of another', () => entry(1, 44)],
  ['BLOCK_OVERLAP', 'a block whose bitmap is in another', () => entry(0, 4 + 128)],
];

const childDefects: Defect[] = [
  ['LOCATOR_PLACE', 'a text behind the end', () => locator(16, u64Bytes(2n ** 40n))],
  ['LOCATOR_PLACE', 'a text of 1 MiB', () => locator(8, u32Bytes(MiB))],
  ['NUMBER_TOO_LARGE', 'a text at 2^60', () => locator(16, u64Bytes(2n ** 60n))],
  ['PARENT_MISMATCH', 'another parent', () => header(40, Buffer.alloc(16, 7))],
];

const fixedDefects: Defect[] = [
  ['FOOTER_CHECKSUM', 'a flipped footer, of which there is one', () => patch(broken, -400, Uint8Array.of(1))],
  ['NOT_VHD', 'a cut end', () => truncateSync(broken, SIZE)],
  ['TRUNCATED', 'a disk larger than the file', () => footers(48, u64Bytes(BigInt(MiB)))],
];

for (const [source, list] of [
  [base, defects],
  [child, childDefects],
  [fixed, fixedDefects],
] as const) {
  for (const [code, claim, make] of list) {
    test(`VHD_${code}: ${claim}`, async () => {
      copyFileSync(source, broken);
      await make();
      const fault = await contentOf(broken).then(
        () => 'it opened',
        (e: unknown) => e,
      );
      assert.ok(hasCode(fault, `VHD_${code}`), String(fault));
      assert.ok(fault.message.includes(broken), 'the message names the file');
    });
  }
}

test('every code of this folder is provoked by one of its tests', () => {
  const names = globSync('*.test.ts', { cwd: import.meta.dirname });
  const text = names.map((name) => readFileSync(join(import.meta.dirname, name), 'utf8')).join('\n');
  const codes = [...declaredFaults.keys()].filter((code) => code.startsWith('VHD_'));
  assert.ok(codes.length > 20);
  assert.deepEqual(
    codes.filter((code) => !text.includes(`'${code}'`) && !text.includes(`'${code.slice(4)}'`)),
    [],
  );
});

/** The content, or `undefined` for a fault; anything else is a failure of the test. */
async function outcome(path: string): Promise<Buffer | undefined> {
  try {
    return await contentOf(path);
  } catch (error) {
    assert.ok(isFault(error) && error.kind !== 'bug', `an unexpected error: ${String(error)}`);
    return undefined;
  }
}

test('a file cut anywhere is refused or, when nothing of it is missing but the end, read right', async () => {
  for (const [whole, content] of [
    [base, baseContent],
    [child, childContent],
    [fixed, fixedContent],
  ] as const) {
    const { length } = readFileSync(whole);
    for (let cut = 0; cut < length; cut += cut % 7000 === 0 ? 513 : 7000 - (cut % 7000)) {
      copyFileSync(whole, broken);
      truncateSync(broken, cut);
      const got = await outcome(broken);
      if (got) assertSameBytes(got, content, `cut at ${cut}`);
    }
  }
});

const areas = [
  { name: 'copy of the footer', at: 0, length: 512, covered: true },
  { name: 'dynamic header', at: 512, length: 1024, covered: true },
  { name: 'block table', at: TABLE, length: 16, covered: false },
  { name: 'text that names the parent', at: 2048, length: 64, covered: true },
  { name: 'sector bitmap', at: 2560, length: 16, covered: false },
  { name: 'footer', at: -512, length: 512, covered: true },
];

for (const { name, at, length, covered } of areas) {
  const claim = covered ? 'a fault or the right bytes' : 'a fault or bytes, and neither a crash nor a hang';
  test(`flipped bytes in the ${name}: ${claim}`, async () => {
    const flips = fc.array(fc.tuple(fc.nat({ max: length - 1 }), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      // Two changes may cancel each other out in a sum, one cannot.
      maxLength: covered ? 1 : 3,
    });
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const file = readFileSync(child);
        const start = at < 0 ? file.length + at : at;
        for (const [offset, mask] of changes) file[start + offset]! ^= mask;
        writeFileSync(broken, file);
        const got = await outcome(broken);
        if (got && covered) assertSameBytes(got, childContent, name);
      }),
      { numRuns: 40 },
    );
  });
}

test('structures of any content under a right checksum give a fault or bytes, and neither a crash nor a hang', async () => {
  const any = fc.array(
    fc.tuple(
      fc.constantFrom(16, 24, 28, 32, 40, 48, 60, 576, 580, 584, 592),
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
    ),
    {
      minLength: 1,
      maxLength: 3,
    },
  );
  await fc.assert(
    fc.asyncProperty(any, fc.boolean(), async (changes, inFooters) => {
      copyFileSync(child, broken);
      for (const [at, bytes] of changes) {
        if (!inFooters) header(at, bytes);
        else if (at < 500) footers(at, bytes);
      }
      const got = await outcomeOfOpening(broken);
      assert.ok(got === undefined || got > 0);
    }),
    { numRuns: 150 },
  );
});

/** The size, when it opens: a disk made larger by damage is not read whole. */
async function outcomeOfOpening(path: string): Promise<number | undefined> {
  try {
    return await withChain(path, async (disk) => {
      await disk.read(0, Buffer.alloc(Math.min(disk.size, 4 * MiB)));
      return disk.size;
    });
  } catch (error) {
    assert.ok(isFault(error) && error.kind !== 'bug', `an unexpected error: ${String(error)}`);
    return undefined;
  }
}

const notesOf = (path: string): Promise<readonly string[]> =>
  withChain(path, async (disk) => disk.files[0]!.notes);

const oddities: [claim: string, notes: string[], make: () => unknown][] = [
  ['a damaged footer at the end', ['footerCopyUsed'], () => patch(broken, -100, Uint8Array.of(9))],
  ['no footer at the end', ['footerCopyUsed'], () => truncateSync(broken, readFileSync(broken).length - 512)],
  [
    'some bytes behind the last block instead of a footer',
    ['footerCopyUsed'],
    () => truncateSync(broken, readFileSync(broken).length - 200),
  ],
  ['a damaged copy of the footer', ['footersDiffer'], () => patch(broken, 100, Uint8Array.of(9))],
  ['no copy of the footer', ['footersDiffer'], () => patch(broken, 0, Buffer.alloc(512))],
  ['a footer of 511 bytes', ['shortFooter'], () => truncateSync(broken, readFileSync(broken).length - 1)],
  ['a reserved byte that is set', [], () => footers(400, Uint8Array.of(1))],
  ['a geometry that is smaller than the disk', [], () => footers(56, Uint8Array.of(0, 1, 4, 17))],
  [
    'a geometry of Virtual PC that is smaller than the disk',
    ['geometrySmaller'],
    () => {
      footers(28, Buffer.from('vpc '));
      footers(56, Uint8Array.of(0, 1, 4, 17));
    },
  ],
  ['more entries than blocks', [], () => header(28, u32Bytes(100))],
  [
    'an entry behind the last block that names nothing',
    [],
    () => {
      header(28, u32Bytes(5));
      patch(broken, TABLE + 16, u32Bytes(7));
    },
  ],
];

for (const [claim, notes, make] of oddities) {
  test(`read nevertheless, and said: ${claim}`, async () => {
    copyFileSync(base, broken);
    await make();
    assertSameBytes(await contentOf(broken), baseContent, claim);
    assert.deepEqual(await notesOf(broken), notes);
  });
}

test('a fixed disk with a footer of 511 bytes is read, and one whose content begins as a VHD is its own footer’s disk', async () => {
  copyFileSync(fixed, broken);
  truncateSync(broken, SIZE + 511);
  assertSameBytes(await contentOf(broken), fixedContent, 'short');
  assert.deepEqual(await notesOf(broken), ['shortFooter']);
  const nested = Buffer.concat([readFileSync(base)], 512 * KiB);
  buildVhd(broken, { kind: 'fixed', size: nested.length, uniqueId: newGuid(), content: nested });
  assertSameBytes(await contentOf(broken), nested, 'nested');
});
