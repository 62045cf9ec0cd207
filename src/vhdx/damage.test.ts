/**
 * Broken files: each defect has its own code, damage anywhere gives a fault or the right bytes, and what real files do beyond
 * the specification is read.
 */
import assert from 'node:assert/strict';
import { copyFileSync, globSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { GiB, KiB, MiB, declaredFaults, guidToBytes, hasCode, isFault, newGuid } from '../base/index.ts';
import { checkVhdx } from './check.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import {
  TABLES,
  assertSameBytes,
  contentOf,
  patch,
  patchEntry,
  patchSealed,
  scratchFolder,
  u32Bytes,
  u64Bytes,
  withChain,
} from './scratch.fixture.ts';
import { openVhdxWritable } from './vhdx-file.ts';

const folder = scratchFolder();
/** 3 MiB + 512 B in blocks of 1 MiB: block 0 and 3 (which is short) at 4 and 5 MiB of the file. */
const base = join(folder, 'base.vhdx');
/** Parent of `child`, which has a partly present block of 2 MiB at 4 MiB and the bitmap at 6 MiB. */
const child = join(folder, 'child.avhdx');
const broken = join(folder, 'broken.vhdx');
let baseContent: Buffer;
let childContent: Buffer;

before(async () => {
  await createVhdx(base, { size: 3 * MiB + 512, kind: 'dynamic', blockSize: MiB });
  const file = await openVhdxWritable(base);
  await file.write(0, Buffer.alloc(4096, 1));
  await file.write(3 * MiB, Buffer.alloc(512, 4));
  await file.close();
  await createDifferencingVhdx(child, { parentPath: base });
  const above = await openVhdxWritable(child);
  await above.write(512, Buffer.alloc(1024, 9));
  await above.close();
  baseContent = await contentOf(base);
  childContent = await contentOf(child);
});

const HEADERS = [64 * KiB, 128 * KiB];
const REGION_TABLES = [192 * KiB, 256 * KiB];
const ITEMS = TABLES.metadata + 64 * KiB;
const header = (at: number, bytes: Uint8Array): void => patchSealed(broken, HEADERS, 4096, at, bytes);
const region = (at: number, bytes: Uint8Array): void =>
  patchSealed(broken, REGION_TABLES, 64 * KiB, at, bytes);
const item = (index: number, at: number, bytes: Uint8Array): Promise<void> =>
  patch(broken, TABLES.metadata + 32 + 32 * index + at, bytes);
const itemBytes = (at: number, bytes: Uint8Array): Promise<void> => patch(broken, ITEMS + at, bytes);
const u16Bytes = (value: number): Uint8Array => u32Bytes(value).subarray(0, 2);
/** An entry of the region table: GUID, offset, length, required. */
const regionBytes = (offset: number, length: number, flags: number, guid = newGuid()): Uint8Array =>
  Buffer.concat([guidToBytes(guid), u64Bytes(BigInt(offset)), u32Bytes(length), u32Bytes(flags)]);
/** A seventh entry of the metadata table. */
async function addItem(guid: string, offset: number, length: number, flags: number): Promise<void> {
  await item(5, 0, Buffer.concat([guidToBytes(guid), u32Bytes(offset), u32Bytes(length), u32Bytes(flags)]));
  await patch(broken, TABLES.metadata + 10, u16Bytes(6));
}

type Defect = [code: string, claim: string, make: () => unknown];

const defects: Defect[] = [
  ['NOT_VHDX', 'another signature', () => patch(broken, 0, Buffer.from('conectix'))],
  ['NOT_VHDX', 'a file of a few bytes', () => truncateSync(broken, 100)],
  ['TRUNCATED', 'an end in the header area', () => truncateSync(broken, 900 * KiB)],
  ['TRUNCATED', 'an end in the log', () => truncateSync(broken, MiB + 4096)],
  ['TRUNCATED', 'an end in the block table', () => truncateSync(broken, 3 * MiB + 4096)],
  [
    'NO_VALID_HEADER',
    'both headers flipped',
    async () => {
      for (const at of HEADERS) await patch(broken, at + 16, Uint8Array.of(1, 2, 3));
    },
  ],
  [
    'HEADERS_DISAGREE',
    'two headers with one number',
    () => {
      patchSealed(broken, [HEADERS[0]!], 4096, 8, u64Bytes(9n));
      patchSealed(broken, [HEADERS[1]!], 4096, 8, u64Bytes(9n));
      patchSealed(broken, [HEADERS[1]!], 4096, 32, guidToBytes(newGuid()));
    },
  ],
  ['VERSION', 'a version of the future', () => header(66, u16Bytes(2))],
  [
    'LOG_VERSION',
    'a dirty log of the future',
    () => {
      header(48, guidToBytes(newGuid()));
      header(64, u16Bytes(1));
    },
  ],
  ['LOG_PLACE', 'a log in the header area', () => header(72, u64Bytes(0n))],
  ['LOG_PLACE', 'a log of odd length', () => header(68, u32Bytes(MiB + 4096))],
  [
    'LOG_PLACE',
    'a dirty log of no length',
    () => {
      header(48, guidToBytes(newGuid()));
      header(68, u32Bytes(0));
    },
  ],
  ['NUMBER_TOO_LARGE', 'a log beyond any file', () => header(72, u64Bytes(2n ** 60n))],
  [
    'NO_VALID_REGION_TABLE',
    'both tables flipped',
    async () => {
      for (const at of REGION_TABLES) await patch(broken, at + 60_000, Uint8Array.of(1));
    },
  ],
  ['TOO_MANY_REGIONS', '2048 regions', () => region(8, u32Bytes(2048))],
  ['REGION_PLACE', 'a region between MiB', () => region(16 + 16, u64Bytes(BigInt(3 * MiB + 4096)))],
  ['REGION_PLACE', 'a region without length', () => region(16 + 24, u32Bytes(0))],
  ['REGION_PLACE', 'a region over the headers', () => region(16 + 16, u64Bytes(0n))],
  [
    'REGION_TWICE',
    'the same region twice',
    () => {
      region(8, u32Bytes(3));
      region(80, regionBytes(20 * MiB, MiB, 0, '8b7ca206-4790-4b9a-b8fe-575f050f886e'));
      truncateSync(broken, 30 * MiB);
    },
  ],
  [
    'REGIONS_OVERLAP',
    'block table and metadata at one place',
    () => region(16 + 16, u64Bytes(BigInt(2 * MiB))),
  ],
  [
    'REGIONS_OVERLAP',
    'the log inside a region',
    () => {
      region(8, u32Bytes(3));
      region(80, regionBytes(MiB, MiB, 0));
    },
  ],
  [
    'REGIONS_OVERLAP',
    'two regions of which neither holds the other',
    () => {
      region(16 + 24, u32Bytes(2 * MiB));
      region(48 + 24, u32Bytes(2 * MiB));
    },
  ],
  [
    'UNKNOWN_REGION',
    'an unknown region that is required',
    () => {
      region(8, u32Bytes(3));
      region(80, regionBytes(4 * MiB, MiB, 1));
    },
  ],
  ['REGION_MISSING', 'no block table', () => region(16, regionBytes(3 * MiB, MiB, 0))],
  ['METADATA_SIGNATURE', 'no metadata table', () => patch(broken, TABLES.metadata, Buffer.from('Metadata'))],
  ['TOO_MANY_ITEMS', '2048 items', () => patch(broken, TABLES.metadata + 10, u16Bytes(2048))],
  [
    'TOO_MANY_USER_ITEMS',
    '1025 items of users',
    async () => {
      for (let n = 0; n < 1025; n += 1) {
        const entry = Buffer.concat([guidToBytes(newGuid()), u64Bytes(0n), u32Bytes(1)]);
        await item(5 + n, 0, entry);
      }
      await patch(broken, TABLES.metadata + 10, u16Bytes(5 + 1025));
    },
  ],
  ['ITEM_PLACE', 'an item inside the table', () => item(1, 16, u32Bytes(4096))],
  ['ITEM_PLACE', 'an item beyond the region', () => item(1, 16, u32Bytes(MiB - 4))],
  ['ITEM_PLACE', 'an item larger than 1 MiB', () => item(1, 20, u32Bytes(MiB + 8))],
  ['ITEM_TWICE', 'an item twice', () => addItem('2fa54224-cd1b-4876-b211-5dbed83bf4b8', 80 * KiB, 8, 6)],
  ['ITEMS_OVERLAP', 'two items at one place', () => addItem(newGuid(), 64 * KiB + 4, 8, 0)],
  ['UNKNOWN_ITEM', 'an unknown item that is required', () => addItem(newGuid(), 80 * KiB, 8, 4)],
  [
    'ITEM_MISSING',
    'no virtual disk size',
    () => item(1, 0, guidToBytes(newGuid())).then(() => item(1, 24, u32Bytes(0))),
  ],
  ['ITEM_LENGTH', 'a virtual disk size of 4 bytes', () => item(1, 20, u32Bytes(4))],
  [
    'INCOMPLETE_FILE',
    'a creation that never finished',
    () => addItem('71cc85f0-1b69-4e28-9558-c3bf83ae75d3', 80 * KiB, 8, 4),
  ],
  ['FILE_PARAMETERS', 'unknown flags', () => itemBytes(4, u32Bytes(4))],
  ['BLOCK_SIZE', 'blocks of 3 MiB', () => itemBytes(0, u32Bytes(3 * MiB))],
  ['BLOCK_SIZE', 'blocks of 512 KiB', () => itemBytes(0, u32Bytes(512 * KiB))],
  ['DISK_SIZE', 'a disk of nothing', () => itemBytes(8, u64Bytes(0n))],
  ['DISK_SIZE', 'a disk of half sectors', () => itemBytes(8, u64Bytes(1000n))],
  ['DISK_SIZE', 'a disk above 64 TiB', () => itemBytes(8, u64Bytes(2n ** 46n + 512n))],
  ['NUMBER_TOO_LARGE', 'a disk of 2^60 bytes', () => itemBytes(8, u64Bytes(2n ** 60n))],
  ['SECTOR_SIZE', 'logical sectors of 520 bytes', () => itemBytes(32, u32Bytes(520))],
  ['SECTOR_SIZE', 'physical sectors of 8 KiB', () => itemBytes(40, u32Bytes(8192))],
  ['BAT_TOO_SMALL', 'a disk larger than its table', () => itemBytes(8, u64Bytes(2n ** 45n))],
  ['BAT_RESERVED_BITS', 'a reserved bit', () => patch(broken, TABLES.bat + 1, Uint8Array.of(0x10))],
  ['BAT_STATE', 'state 4', () => patchEntry(broken, 1, 4, 0)],
  ['BAT_STATE', 'state 5', () => patchEntry(broken, 1, 5, 0)],
  ['BLOCK_PLACE', 'a block in the header area', () => patchEntry(broken, 1, 6, 0)],
  ['BLOCK_PLACE', 'a block behind the end', () => patchEntry(broken, 1, 6, 6)],
  ['BLOCK_PLACE', 'a block beyond 2^53', () => patch(broken, TABLES.bat, u64Bytes(0xfffffffffff00006n))],
  ['BLOCK_OVERLAP', 'two blocks at one place', () => patchEntry(broken, 1, 6, 4)],
  ['BLOCK_OVERLAP', 'a block over the log', () => patchEntry(broken, 1, 6, 1)],
  ['BLOCK_OVERLAP', 'a block over the metadata', () => patchEntry(broken, 1, 6, 2)],
  ['BLOCK_OVERLAP', 'a block over its own table', () => patchEntry(broken, 1, 6, 3)],
];

const CHUNK = 2048;
const LOCATOR = 48;
const childDefects: Defect[] = [
  ['BITMAP_MISSING', 'a partly present block without bitmap', () => patchEntry(broken, CHUNK, 0, 0)],
  ['BAT_STATE', 'a bitmap in the state zero', () => patchEntry(broken, CHUNK, 2, 0)],
  ['BLOCK_OVERLAP', 'a bitmap over its block', () => patchEntry(broken, CHUNK, 6, 5)],
  ['BLOCK_PLACE', 'a bitmap behind the end', () => patchEntry(broken, CHUNK, 6, 7)],
  ['LOCATOR_TYPE', 'a parent named in another way', () => itemBytes(LOCATOR, guidToBytes(newGuid()))],
  ['LOCATOR_MALFORMED', 'more keys than fit', () => itemBytes(LOCATOR + 18, u16Bytes(60_000))],
  ['LOCATOR_MALFORMED', 'a key outside the item', () => itemBytes(LOCATOR + 20, u32Bytes(60_000))],
  ['LOCATOR_MALFORMED', 'a key of no length', () => itemBytes(LOCATOR + 28, u16Bytes(0))],
  ['LOCATOR_MALFORMED', 'a value of odd length', () => itemBytes(LOCATOR + 30, u16Bytes(75))],
  [
    'LOCATOR_MALFORMED',
    'the same key twice',
    () => itemBytes(LOCATOR + 32, readFileSync(broken).subarray(ITEMS + LOCATOR + 20, ITEMS + LOCATOR + 32)),
  ],
  ['LOCATOR_MALFORMED', 'no identity', () => itemBytes(LOCATOR + 20 + 3 * 12, Buffer.from('x'))],
  ['ITEM_MISSING', 'a child without locator', () => patch(broken, TABLES.metadata + 10, u16Bytes(5))],
];

for (const [source, list] of [
  ['base', defects],
  ['child', childDefects],
] as const) {
  for (const [code, claim, make] of list) {
    test(`VHDX_${code}: ${claim}`, async () => {
      copyFileSync(source === 'base' ? base : child, broken);
      await make();
      const fault = await contentOf(broken).then(
        () => 'it opened',
        (e: unknown) => e,
      );
      assert.ok(hasCode(fault, `VHDX_${code}`), String(fault));
      assert.ok(fault.message.includes(broken), 'the message names the file');
      const { findings, sound } = await checkVhdx(broken);
      assert.ok(
        findings.some((finding) => finding.code === fault.code && finding.severity === 'damage'),
        `the check finds ${findings.map((finding) => finding.code).join()}`,
      );
      assert.ok(!sound && findings.every((finding) => finding.message.includes(broken)));
    });
  }
}

test('every code of this folder is provoked by one of its tests', () => {
  const names = globSync('*.test.ts', { cwd: import.meta.dirname });
  const text = names.map((name) => readFileSync(join(import.meta.dirname, name), 'utf8')).join('\n');
  const codes = [...declaredFaults.keys()].filter((code) => code.startsWith('VHDX_'));
  assert.ok(codes.length > 40);
  const provoked = (code: string): boolean =>
    text.includes(`'${code}'`) || text.includes(`'${code.slice(5)}'`);
  assert.deepEqual(
    codes.filter((code) => !provoked(code)),
    [],
  );
});

test('VHDX_BITMAP_MISSING: also when the bitmap’s entry is in a page of the table that is all zeros', async () => {
  const parent = join(folder, 'large.vhdx');
  const path = join(folder, 'large.avhdx');
  await createVhdx(parent, { size: 20 * GiB, kind: 'dynamic' });
  await createDifferencingVhdx(path, { parentPath: parent });
  const file = await openVhdxWritable(path);
  await file.write(12 * GiB, Buffer.alloc(512, 1));
  await file.close();
  // Chunk 3 begins at entry 6147, in the first page of 8192 entries; its bitmap is entry 8195.
  await patchEntry(path, 8195, 0, 0);
  await assert.rejects(
    withChain(path, async () => {}),
    (e) => hasCode(e, 'VHDX_BITMAP_MISSING'),
  );
});

test('the header with the larger sequence number is current, whichever of the two it is', async () => {
  for (const at of HEADERS) {
    copyFileSync(base, broken);
    const guid = newGuid();
    patchSealed(broken, [at], 4096, 8, u64Bytes(2n ** 63n));
    patchSealed(broken, [at], 4096, 32, guidToBytes(guid));
    await withChain(broken, async (disk) => assert.equal(disk.files[0]!.dataWriteGuid, guid));
  }
});

/** The content, or the fault that reading ended with; anything else is a failure of the test. */
async function outcome(path: string): Promise<Buffer | undefined> {
  try {
    return await contentOf(path);
  } catch (error) {
    assert.ok(isFault(error) && error.kind !== 'bug', `an unexpected error: ${String(error)}`);
    return undefined;
  }
}

const CUT_STEP = 192 * KiB;

test('a file cut anywhere is refused or, when nothing of it is missing, read right', async () => {
  for (const [whole, content] of [
    [base, baseContent],
    [child, childContent],
  ] as const) {
    const size = readFileSync(whole).length;
    const cuts = Array.from({ length: size / CUT_STEP }, (_, n) => [n * CUT_STEP, n * CUT_STEP + 513]).flat();
    for (const cut of [...cuts.filter((at) => at < size), size - 1]) {
      copyFileSync(whole, broken);
      truncateSync(broken, cut);
      const got = await outcome(broken);
      if (got) assertSameBytes(got, content, `cut at ${cut}`);
    }
  }
});

/** Where the structures are, and whether a checksum or their own redundancy covers them. */
const areas = [
  { name: 'file identifier', at: 0, length: 520, covered: true },
  { name: 'header 1', at: 64 * KiB, length: 4096, covered: true },
  { name: 'header 2', at: 128 * KiB, length: 4096, covered: true },
  { name: 'region table 1', at: 192 * KiB, length: 128, covered: true },
  { name: 'region table 2', at: 256 * KiB, length: 128, covered: true },
  { name: 'empty log', at: MiB, length: 8192, covered: true },
  { name: 'metadata table', at: TABLES.metadata, length: 256, covered: false },
  { name: 'metadata items', at: ITEMS, length: 512, covered: false },
  { name: 'block table', at: TABLES.bat, length: 64, covered: false },
  { name: 'bitmap entry', at: TABLES.bat + 8 * CHUNK, length: 8, covered: false },
  { name: 'sector bitmap', at: 6 * MiB, length: 512, covered: false },
];

for (const { name, at, length, covered } of areas) {
  const claim = covered ? 'a fault or the right bytes' : 'a fault or bytes, and neither a crash nor a hang';
  test(`flipped bytes in the ${name}: ${claim}`, async () => {
    const flips = fc.array(fc.tuple(fc.nat({ max: length - 1 }), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const file = readFileSync(child);
        for (const [offset, mask] of changes) file[at + offset]! ^= mask;
        writeFileSync(broken, file);
        const got = await outcome(broken);
        if (got && covered) assertSameBytes(got, childContent, name);
        if (got) assert.ok((await checkVhdx(broken)).sound, 'what opens is no damage');
      }),
      { numRuns: 25 },
    );
  });
}

const oddities: [claim: string, make: () => unknown][] = [
  [
    'two equal headers with one sequence number, as Disk2vhd writes',
    () => {
      for (const at of HEADERS) patchSealed(broken, [at], 4096, 8, u64Bytes(1n));
    },
  ],
  ['a sequence number above 2^53', () => patchSealed(broken, [HEADERS[0]!], 4096, 8, u64Bytes(2n ** 63n))],
  [
    'a number beyond any file in the header that is not current',
    () => {
      patchSealed(broken, [HEADERS[1]!], 4096, 72, u64Bytes(2n ** 63n));
      patchSealed(broken, [HEADERS[0]!], 4096, 8, u64Bytes(9n));
    },
  ],
  ['one bad copy of the region table', () => patch(broken, REGION_TABLES[0]! + 20, Uint8Array.of(1, 2))],
  [
    'an unknown region that is not required',
    () => {
      truncateSync(broken, 7 * MiB);
      region(8, u32Bytes(3));
      region(80, regionBytes(6 * MiB, MiB, 0));
    },
  ],
  ['an unknown item that is not required', () => addItem(newGuid(), 80 * KiB, 8, 0)],
  [
    'a user item that is required and has a known name',
    () => addItem('2fa54224-cd1b-4876-b211-5dbed83bf4b8', 80 * KiB, 8, 5),
  ],
  [
    'unmapped, zero and undefined blocks that keep an old offset',
    async () => {
      await patchEntry(broken, 1, 3, 4);
      await patchEntry(broken, 2, 2, 99);
    },
  ],
  ['an undefined block with an old offset', () => patchEntry(broken, 1, 1, 5)],
  ['a partly present block in a disk without parent', () => patchEntry(broken, 0, 7, 4)],
  ['a short last block at the end of the file, as old qemu wrote', () => truncateSync(broken, 5 * MiB + 512)],
  ['some bytes behind the last block', () => truncateSync(broken, 6 * MiB + 512)],
];

for (const [claim, make] of oddities) {
  test(`read nevertheless: ${claim}`, async () => {
    copyFileSync(base, broken);
    await make();
    assertSameBytes(await contentOf(broken), baseContent, claim);
  });
}

test('every state of a block reads as the specification numbers it: zeros, the parent’s or the file’s, never what is at offset 0', async () => {
  const own = Buffer.concat([Buffer.alloc(4096, 1), Buffer.alloc(MiB - 4096)]);
  const zeros = Buffer.alloc(MiB);
  for (const [state, offsetMiB, expected] of [
    [0, 0, zeros],
    [0, 4, zeros],
    [1, 0, zeros],
    [2, 0, zeros],
    [3, 4, zeros],
    [6, 4, own],
    [7, 4, own],
  ] as const) {
    copyFileSync(base, broken);
    await patchEntry(broken, 0, state, offsetMiB);
    const content = Buffer.concat([expected, baseContent.subarray(MiB)]);
    assertSameBytes(await contentOf(broken), content, `base, state ${state} at ${offsetMiB} MiB`);
  }
  for (const [state, hidden] of [
    [0, false],
    [1, true],
    [2, true],
    [3, true],
  ] as const) {
    copyFileSync(child, broken);
    await patchEntry(broken, 0, state, 0);
    const below = Buffer.from(baseContent);
    if (hidden) below.fill(0, 0, 2 * MiB);
    assertSameBytes(await contentOf(broken), below, `child, state ${state}`);
  }
});

test('in a child, zero, undefined and unmapped blocks hide the parent, and a fully present one ignores its bitmap', async () => {
  for (const state of [1, 2, 3]) {
    copyFileSync(child, broken);
    await patchEntry(broken, 0, state, 4);
    const expected = Buffer.from(baseContent).fill(0, 0, 2 * MiB);
    assertSameBytes(await contentOf(broken), expected, `state ${state}`);
  }
  copyFileSync(child, broken);
  await patchEntry(broken, 0, 6, 4);
  const own = Buffer.from(baseContent)
    .fill(0, 0, 2 * MiB)
    .fill(9, 512, 1536);
  assertSameBytes(await contentOf(broken), own, 'fully present');
});
