import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { KiB, MiB, hasCode, newGuid, guidToBytes } from '../base/index.ts';
import { checkVhdx } from './check.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import { DirtyLog } from './log-writer.fixture.ts';
import { repairVhdx } from './repair.ts';
import {
  TABLES,
  assertSameBytes,
  contentOf,
  patch,
  patchEntry,
  patchSealed,
  scratchFolder,
  u64Bytes,
} from './scratch.fixture.ts';
import { openVhdxWritable } from './vhdx-file.ts';

const folder = scratchFolder();
const base = join(folder, 'base.vhdx');
const broken = join(folder, 'broken.vhdx');
const repaired = join(folder, 'repaired.vhdx');
const SIZE = 8 * MiB + 512;
let content: Buffer;

before(async () => {
  await createVhdx(base, { size: SIZE, kind: 'dynamic', blockSize: MiB });
  const file = await openVhdxWritable(base);
  await file.write(0, Buffer.alloc(3 * MiB, 0x11));
  await file.write(8 * MiB, Buffer.alloc(512, 0x22));
  await file.close();
  content = await contentOf(base);
});

const codes = async (path: string): Promise<string[]> =>
  (await checkVhdx(path)).findings.map((finding) => finding.code);

test('a sound file has no findings, and what lies in it is counted', async () => {
  const { findings, sound, info, fileBytes, usedBytes } = await checkVhdx(base);
  assert.deepEqual([findings, sound, info?.size], [[], true, SIZE]);
  assert.deepEqual([fileBytes, usedBytes], [8 * MiB, 8 * MiB]);
});

/** A page of the block table in the log alone: block 3 gets what lies at 7 MiB, where block 8 was. */
function makeDirty(): void {
  const log = new DirtyLog(MiB);
  const data = Buffer.from(readFileSync(broken).subarray(TABLES.bat, TABLES.bat + 4096));
  data.writeBigUInt64LE((7n << 20n) | 6n, 8 * 3);
  data.writeBigUInt64LE(0n, 8 * 8);
  log.write(0, { sequence: 7n, tail: 0, changes: [{ offset: TABLES.bat, data }], last: 8 * MiB });
  log.install(broken);
}

/** Each leaves a disk that reads right, and names what is not as it should be. */
const notices: [code: string, claim: string, make: () => unknown][] = [
  ['HEADER_DAMAGED', 'the first header is flipped', () => patch(broken, 64 * KiB + 20, Buffer.from('x'))],
  ['HEADER_DAMAGED', 'the second header is flipped', () => patch(broken, 128 * KiB + 20, Buffer.from('x'))],
  [
    'HEADER_COPIES_DIFFER',
    'a writer changed one header and was stopped',
    () => {
      patchSealed(broken, [64 * KiB], 4096, 8, u64Bytes(99n));
      patchSealed(broken, [64 * KiB], 4096, 16, guidToBytes(newGuid()));
    },
  ],
  [
    'REGION_TABLE_DAMAGED',
    'the first region table is flipped',
    () => patch(broken, 200 * KiB, Buffer.from('x')),
  ],
  [
    'REGION_TABLE_DAMAGED',
    'the second region table is flipped',
    () => patch(broken, 300 * KiB, Buffer.from('x')),
  ],
  ['LOG_NEEDS_REPLAY', 'a writer was stopped', makeDirty],
  ['SIZE_UNALIGNED', 'the last block is short', () => truncateSync(broken, 7 * MiB + 512)],
];

for (const [code, claim, make] of notices) {
  test(`VHDX_${code}: ${claim}; the disk reads, and both repairs leave a file without findings`, async () => {
    copyFileSync(base, broken);
    await make();
    const check = await checkVhdx(broken);
    assert.deepEqual(
      check.findings.map((finding) => [finding.code, finding.severity]),
      [[`VHDX_${code}`, 'notice']],
    );
    assert.ok(check.sound);
    const expected = await contentOf(broken);
    const before = readFileSync(broken);
    rmSync(repaired, { force: true });
    await repairVhdx(broken, { to: repaired });
    assertSameBytes(readFileSync(broken), before, 'the source of a copy is not touched');
    await repairVhdx(broken, { inPlace: true });
    for (const path of [repaired, broken]) {
      assert.deepEqual(await codes(path), []);
      assertSameBytes(await contentOf(path), expected, path);
      assert.equal((await checkVhdx(path)).info?.dataWriteGuid, check.info?.dataWriteGuid);
    }
  });
}

test('VHDX_REGION_TABLES_DIFFER: two sound region tables that say different things', async () => {
  copyFileSync(base, broken);
  patchSealed(broken, [256 * KiB], 64 * KiB, 100, Buffer.from('x'));
  const { findings, sound } = await checkVhdx(broken);
  assert.deepEqual([findings.map((finding) => finding.code), sound], [['VHDX_REGION_TABLES_DIFFER'], false]);
});

test('a check goes on: every defect of the tables is named, of headers, of items and of each entry', async () => {
  copyFileSync(base, broken);
  await patch(broken, 64 * KiB + 20, Buffer.from('x'));
  await patch(broken, 300 * KiB, Buffer.from('x'));
  await patch(broken, TABLES.metadata + 64 * KiB + 4, Uint8Array.of(4));
  await patchEntry(broken, 3, 5, 0);
  await patchEntry(broken, 4, 6, 6);
  await patchEntry(broken, 5, 6, 500);
  await patch(broken, TABLES.bat + 8 * 6 + 1, Uint8Array.of(0x10));
  assert.deepEqual(await codes(broken), [
    'VHDX_FILE_PARAMETERS',
    'VHDX_HEADER_DAMAGED',
    'VHDX_REGION_TABLE_DAMAGED',
    'VHDX_BAT_STATE',
    'VHDX_BLOCK_OVERLAP',
    'VHDX_BLOCK_PLACE',
    'VHDX_BAT_RESERVED_BITS',
  ]);
});

test('a log without a valid entry is damage, and what is behind it is looked at all the same', async () => {
  copyFileSync(base, broken);
  new DirtyLog(MiB).install(broken);
  await patchEntry(broken, 3, 5, 0);
  assert.deepEqual(await codes(broken), ['VHDX_NO_VALID_LOG_ENTRIES', 'VHDX_BAT_STATE']);
});

test('a table of nothing but defects is named a thousand times and counted to the end', async () => {
  const path = join(folder, 'hostile.vhdx');
  await createVhdx(path, { size: 4096 * MiB, kind: 'dynamic', blockSize: MiB });
  await patch(path, TABLES.bat, Buffer.alloc(8 * 4096, Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0)));
  const { findings, moreFindings, sound } = await checkVhdx(path);
  assert.deepEqual([findings.length, moreFindings, sound], [1000, 3096, false]);
});

test('what cannot be mended is refused with its code, and no copy is left', async () => {
  copyFileSync(base, broken);
  await patchEntry(broken, 3, 6, 6);
  rmSync(repaired, { force: true });
  const before = readFileSync(broken);
  for (const target of [{ to: repaired }, { inPlace: true } as const]) {
    await assert.rejects(repairVhdx(broken, target), (e) => hasCode(e, 'VHDX_BLOCK_OVERLAP'));
  }
  assertSameBytes(readFileSync(broken), before, 'untouched');
  assert.ok(!existsSync(repaired));
  writeFileSync(repaired, 'mine');
  await assert.rejects(repairVhdx(base, { to: repaired }), (e) => hasCode(e, 'VHDX_FILE_EXISTS'));
  assert.equal(readFileSync(repaired, 'utf8'), 'mine');
});

test('a copy that is aborted at any point leaves no file', async () => {
  rmSync(repaired, { force: true });
  let stops = 0;
  for (; ; stops += 1) {
    let left = stops;
    const throwIfAborted = (): void => {
      if (left === 0) throw new Error('stop');
      left -= 1;
    };
    const signal = { throwIfAborted } as AbortSignal;
    const done = await repairVhdx(base, { to: repaired }, { signal }).then(
      () => true,
      () => false,
    );
    if (done) break;
    assert.ok(!existsSync(repaired), `stopped at ${stops}`);
  }
  assert.ok(stops > 10, `${stops} points`);
  assertSameBytes(await contentOf(repaired), content, 'the last one');
});

test('a child whose parent was repaired into a copy accepts the copy as its parent', async () => {
  const child = join(folder, 'child.avhdx');
  copyFileSync(base, broken);
  await createDifferencingVhdx(child, { parentPath: broken });
  await patch(broken, 64 * KiB + 20, Buffer.from('x'));
  rmSync(repaired, { force: true });
  await repairVhdx(broken, { to: repaired });
  rmSync(broken);
  copyFileSync(repaired, broken);
  assertSameBytes(await contentOf(child), content, 'chain');
});

test(
  'a repaired copy of a file that was not closed is opened by libvhdi and checked by qemu, and is no larger than needed',
  requires(['qemu-img', 'vhdiinfo'], 'that other readers take a repaired file'),
  async () => {
    copyFileSync(base, broken);
    makeDirty();
    rmSync(repaired, { force: true });
    await repairVhdx(broken, { to: repaired });
    assert.match(
      execFileSync('vhdiinfo', [repaired], { encoding: 'utf8' }),
      new RegExp(`\\(${SIZE} bytes\\)`),
    );
    execFileSync('qemu-img', ['check', '-f', 'vhdx', repaired]);
    const raw = join(folder, 'repaired.raw');
    writeFileSync(raw, await contentOf(broken));
    execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'vhdx', raw, repaired]);
    assert.equal(statSync(repaired).size, 8 * MiB);
  },
);
