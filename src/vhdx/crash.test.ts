/**
 * A power cut at any moment of a session: the file opens, what was flushed is there, and what nobody touched is untouched.
 *
 * The tests after it make mistakes on purpose in what was recorded and expect that the same enumeration finds each of them:
 *   no sync between data and the entry that names it     no sync between an entry and its tables in place
 *   no sync between the first entry and the headers      no sync between the tables and headers that drop the log
 *   tables in place before their entry                   tables in place without any log
 *   an entry over the one that is still in force         headers that never name the log
 *
 * The sync between the two copies of a header is not found by it: what a header says lies in one sector, and sectors are
 * whole or not at all here. It stands for disks that are worse than that.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { KiB, MiB } from '../base/index.ts';
import {
  contentAfter,
  cutEverywhere,
  enumerated,
  folder,
  images,
  partsOf,
  pathOf,
  recorded,
  sizeOf,
  windowOf,
  type Kind,
} from './crash-session.fixture.ts';
import { randomOf } from '../chain/crash-content.fixture.ts';
import { crashStates, type FileOperation } from '../chain/crash.fixture.ts';
import { checksumOf } from './format.ts';
import { TABLES, withChain } from './scratch.fixture.ts';
import { readVhdxInfo } from './structure.ts';

/** Always the same states, so that a failure is of the change that is tested; `crash.long.ts` draws others each time. */
const SEED = 20_261_123;

cutEverywhere(10_200, SEED);

type Mistake = (operations: readonly FileOperation[]) => FileOperation[];

const isWriteIn = (operation: FileOperation | undefined, start: number, end: number): boolean =>
  operation?.kind === 'write' && operation.offset >= start && operation.offset < end;
const isHeader = (operation: FileOperation | undefined): boolean => isWriteIn(operation, 64 * KiB, 192 * KiB);
const isEntry = (operation: FileOperation | undefined): boolean => isWriteIn(operation, MiB, 2 * MiB);
const isTable = (operation: FileOperation | undefined): boolean =>
  isWriteIn(operation, TABLES.bat, TABLES.bat + MiB);

/** Leaves out each sync for which `wanted` holds of the operations before and after it. */
const withoutSync =
  (wanted: (last: FileOperation | undefined, next: FileOperation | undefined) => boolean): Mistake =>
  (operations) => {
    const own = operations.filter((operation) => operation.kind !== 'note');
    const dropped = new Set<FileOperation>(
      own.filter((operation, i) => operation.kind === 'sync' && wanted(own[i - 1], own[i + 1])),
    );
    return operations.filter((operation) => !dropped.has(operation));
  };

/** Changes the bytes of each write for which `wanted` holds, and seals them again. */
const rewritten =
  (
    wanted: (operation: FileOperation) => boolean,
    change: (bytes: Buffer) => void,
    place: (offset: number) => number = (offset) => offset,
  ): Mistake =>
  (operations) =>
    operations.map((operation) => {
      if (operation.kind !== 'write' || !wanted(operation)) return operation;
      const bytes = Buffer.from(operation.bytes);
      change(bytes);
      bytes.writeUInt32LE(checksumOf(bytes), 4);
      return { ...operation, offset: place(operation.offset), bytes };
    });

const tablesBeforeEntry: Mistake = (operations) => {
  const result: FileOperation[] = [];
  let entryAt = 0;
  for (const operation of operations) {
    if (isTable(operation)) result.splice(entryAt, 0, operation);
    else result.push(operation);
    if (isEntry(operation)) entryAt = result.length - 1;
  }
  return result;
};

const MISTAKES: [claim: string, kind: Kind, mistake: Mistake, changes?: number][] = [
  ['no sync between data and the entry that names it', 'dynamic', withoutSync((_, next) => isEntry(next))],
  ['no sync between an entry and its tables in place', 'differencing', withoutSync((last) => isEntry(last))],
  [
    'no sync between the first entry and the headers',
    'fixed',
    withoutSync((last, next) => isEntry(last) && isHeader(next)),
  ],
  [
    'no sync between the tables and headers that drop the log',
    'differencing',
    withoutSync((last, next) => !isEntry(last) && !isHeader(last) && isHeader(next)),
    // What only the last flush of a session can lose is rare in long ones.
    1,
  ],
  ['tables in place before their entry', 'differencing', tablesBeforeEntry],
  [
    'tables in place without any log',
    'dynamic',
    (all) => all.filter((one) => !isEntry(one) && !isHeader(one)),
  ],
  [
    'an entry over the one that is still in force',
    'dynamic',
    rewritten(
      isEntry,
      (bytes) => bytes.writeUInt32LE(0, 12),
      () => MiB,
    ),
  ],
  ['headers that never name the log', 'dynamic', rewritten(isHeader, (bytes) => bytes.fill(0, 48, 64))],
];

for (const [claim, kind, mistake, changes = 20] of MISTAKES) {
  test(`the enumeration finds a mistake: ${claim}`, async () => {
    const random = randomOf(SEED + claim.length);
    for (let attempt = 0; attempt < 40; attempt += 1) {
      const session = await recorded(kind, random, changes);
      const mistaken = { ...session, operations: mistake(session.operations) };
      if ((await enumerated(mistaken, random, 512, 10)).defects.length > 0) return;
    }
    assert.fail(`not found with seed ${SEED}`);
  });
}

test(
  'qemu replays what a power cut left to the content that is read here',
  requires(['qemu-img'], 'that another reader takes our logs as we do'),
  async () => {
    const random = randomOf(SEED);
    const session = await recorded('dynamic', random, 12);
    const states = crashStates(images.get(pathOf('dynamic'))!, session.operations, {
      sectorSize: 512,
      statesEach: 3,
      random,
    });
    let dirty = 0;
    for (const { file } of states) {
      // One in forty of those with a log: each costs qemu half a second.
      if (!(await readVhdxInfo(file)).logReplayed || (dirty += 1) % 40 !== 1) continue;
      const bytes = Buffer.alloc(file.size);
      await file.read(0, bytes);
      await assertQemuAgrees(bytes, await contentAfter('dynamic', file));
    }
    assert.ok(dirty > 0);
  },
);

/** On a copy: qemu replays a log when it may write. */
async function assertQemuAgrees(bytes: Buffer, expected: Buffer): Promise<void> {
  const path = join(folder, 'crashed.vhdx');
  const raw = join(folder, 'crashed.raw');
  writeFileSync(path, bytes);
  await using file = await open(raw, 'w');
  await file.truncate(sizeOf('dynamic'));
  let at = 0;
  for (const { offset, length } of partsOf('dynamic', 0, expected.length)) {
    await file.write(expected, at, length, offset);
    at += length;
  }
  execFileSync('qemu-img', ['check', '-q', '-r', 'all', '-f', 'vhdx', path]);
  execFileSync('qemu-img', ['compare', '-q', '-f', 'raw', '-F', 'vhdx', raw, path]);
  await withChain(path, async (disk) => {
    assert.ok((await windowOf('dynamic', disk)).equals(expected), 'what qemu replayed reads the same here');
  });
}
