/**
 * A power cut at any moment of a session: the file opens, what was flushed is there, and what nobody touched is untouched.
 *
 * The last tests make mistakes on purpose in what was recorded and expect that the same enumeration finds each of them:
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
import { readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { KiB, MiB, isFault } from '../base/index.ts';
import type { RangeReader } from '../disk/index.ts';
import { openVhdxChain } from './chain.ts';
import { MemoryFile, Recorder, crashStates, type CrashState, type FileOperation } from './crash.fixture.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import { checksumOf } from './format.ts';
import { TABLES, scratchFolder, withChain } from './scratch.fixture.ts';
import { readVhdxInfo } from './structure.ts';
import { openVhdxWritable, writableOver } from './vhdx-file.ts';

const folder = scratchFolder();
/** More of them in a long run: CRASH_STATES=100000. */
const STATES = Number(process.env['CRASH_STATES'] ?? 5000);
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** The blocks that the sessions use; the last is short. They are looked at as one window. */
const BLOCKS = 5;
const WINDOW = (BLOCKS - 1) * MiB + 8 * KiB;
/** 600 blocks apart their entries lie in different sectors of the block table, which a crash may tear apart. */
const STRIDE = { dynamic: 600, differencing: 600, fixed: 1 } as const;
const sizeOf = (kind: Kind): number => (BLOCKS - 1) * STRIDE[kind] * MiB + 8 * KiB;
const KINDS = ['dynamic', 'fixed', 'differencing'] as const;
type Kind = (typeof KINDS)[number];
const pathOf = (kind: Kind): string => join(folder, `${kind}.vhdx`);
const images = new Map<string, Buffer>();
const contents = new Map<Kind, Buffer>();

before(async () => {
  console.log(`seed ${SEED}`);
  for (const kind of ['dynamic', 'fixed'] as const) {
    await createVhdx(pathOf(kind), { size: sizeOf(kind), kind, blockSize: MiB });
    const file = await openVhdxWritable(pathOf(kind));
    for (const [block, fill] of [0xaa, 0xab, 0xac].entries()) {
      await file.write(block * STRIDE[kind] * MiB, Buffer.alloc(MiB, fill));
    }
    await file.zero(STRIDE[kind] * MiB, MiB);
    await file.close();
  }
  const parentPath = pathOf('dynamic');
  await createDifferencingVhdx(pathOf('differencing'), { parentPath, blockSize: MiB });
  for (const kind of KINDS) {
    images.set(pathOf(kind), readFileSync(pathOf(kind)));
    await withChain(pathOf(kind), async (disk) => contents.set(kind, await windowOf(kind, disk)));
  }
});

/** The parts of a range of the window, by where they are on the disk. */
function* partsOf(kind: Kind, start: number, end: number): Generator<{ offset: number; length: number }> {
  for (let at = start; at < end;) {
    const block = Math.floor(at / MiB);
    const length = Math.min(end, (block + 1) * MiB) - at;
    yield { offset: block * STRIDE[kind] * MiB + (at % MiB), length };
    at += length;
  }
}

async function windowOf(kind: Kind, disk: RangeReader, into = Buffer.alloc(WINDOW)): Promise<Buffer> {
  let at = 0;
  for (const { offset, length } of partsOf(kind, 0, WINDOW)) {
    await disk.read(offset, into.subarray(at, (at += length)));
  }
  return into;
}

/** xorshift32: the same states for the same seed. */
function randomOf(seed: number): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

/** The disk at a note: its content at the last flush, and what was done since. */
interface Expected {
  readonly flushed: Buffer;
  readonly since: readonly Change[];
}

interface Change {
  readonly offset: number;
  readonly length: number;
  readonly fill: number;
}

interface Session {
  readonly kind: Kind;
  readonly operations: readonly FileOperation[];
  readonly expected: readonly Expected[];
}

const LENGTHS = [4 * KiB, 4 * KiB, 12 * KiB, 100 * KiB, MiB, MiB + 8 * KiB];

/** A session of random changes and flushes on a file in memory; what must be there is noted before and after each. */
async function recorded(kind: Kind, random: () => number, changes: number): Promise<Session> {
  const recorder = new Recorder(images.get(pathOf(kind))!);
  const expected: Expected[] = [];
  let state: Expected = { flushed: contents.get(kind)!, since: [] };
  const note = (next: Expected): void => {
    recorder.note(expected.push((state = next)) - 1);
  };
  note(state);
  const file = await writableOver(recorder.open(pathOf(kind)));
  const pick = (count: number): number => Math.floor(random() * count);
  for (let n = 0; n < changes; n += 1) {
    const length = LENGTHS[pick(LENGTHS.length)]!;
    const unit = length >= MiB ? MiB : 4 * KiB;
    const offset = Math.min(pick(WINDOW / unit) * unit, WINDOW - length);
    const what = pick(4);
    const change = { offset, length, fill: what < 2 ? 1 + pick(255) : 0 };
    note({ flushed: state.flushed, since: [...state.since, change] });
    for (const part of partsOf(kind, offset, offset + length)) {
      if (what < 2) await file.write(part.offset, Buffer.alloc(part.length, change.fill));
      else await (what === 2 ? file.zero(part.offset, part.length) : file.trim(part.offset, part.length));
    }
    if (pick(3) > 0) continue;
    await file.flush();
    note({ flushed: after(state), since: [] });
  }
  await file.close();
  note({ flushed: after(state), since: [] });
  return { kind, operations: recorder.operations, expected };
}

function after({ flushed, since }: Expected): Buffer {
  const next = Buffer.from(flushed);
  for (const { offset, length, fill } of since) next.fill(fill, offset, offset + length);
  return next;
}

const content = Buffer.alloc(WINDOW);

/** The window of the chain whose leaf a crash left; good until the next call. */
async function contentAfter(kind: Kind, leaf: RangeReader): Promise<Buffer> {
  const open = (path: string): Promise<RangeReader> =>
    Promise.resolve(path === pathOf(kind) ? leaf : new MemoryFile(images.get(path)!));
  const disk = await openVhdxChain(pathOf(kind), { open });
  await windowOf(kind, disk, content);
  await disk.close();
  return content;
}

const SECTOR = 512;

/** Where `got` is neither what was flushed nor what was written since; `undefined` when nowhere. */
function wrongAt(got: Buffer, { flushed, since }: Expected): number | undefined {
  if (got.equals(flushed)) return undefined;
  for (let at = 0; at < got.length; at += SECTOR) {
    if (got.compare(flushed, at, at + SECTOR, at, at + SECTOR) === 0) continue;
    const isUniform = got.compare(got, at + 1, at + SECTOR, at, at + SECTOR - 1) === 0;
    const written = ({ offset, length, fill }: Change): boolean =>
      got[at] === fill && at >= offset && at < offset + length;
    if (!isUniform || !since.some(written)) return at;
  }
  return undefined;
}

/** What is wrong with the file of `state`; `undefined` when nothing. */
async function defectOf(session: Session, state: CrashState): Promise<string | undefined> {
  const notes = session.operations.slice(0, state.done).filter((operation) => operation.kind === 'note');
  const expected = session.expected[notes.at(-1)!.note]!;
  try {
    const at = wrongAt(await contentAfter(session.kind, state.file), expected);
    return at === undefined ? undefined : `after ${state.done} operations: wrong bytes at ${at}`;
  } catch (error) {
    if (!isFault(error)) throw error;
    return `after ${state.done} operations: ${error.code}`;
  }
}

interface Enumeration {
  readonly states: number;
  readonly defects: readonly string[];
}

async function enumerated(
  session: Session,
  random: () => number,
  sectorSize: 512 | 4096,
  statesEach = 10,
  defectsMax = 1,
): Promise<Enumeration> {
  const defects: string[] = [];
  let states = 0;
  const image = images.get(pathOf(session.kind))!;
  for (const state of crashStates(image, session.operations, { sectorSize, statesEach, random })) {
    states += 1;
    const defect = await defectOf(session, state);
    if (defect !== undefined) defects.push(defect);
    if (defects.length >= defectsMax) break;
  }
  return { states, defects };
}

for (const kind of KINDS) {
  for (const sectorSize of [512, 4096] as const) {
    test(`a power cut at any moment leaves a ${kind} disk whole: sectors of ${sectorSize}`, async () => {
      const random = randomOf(SEED + sectorSize + kind.length);
      let states = 0;
      while (states < STATES / 6) {
        const session = await recorded(kind, random, 20);
        const result = await enumerated(session, random, sectorSize);
        assert.deepEqual(result.defects, [], `seed ${SEED}`);
        states += result.states;
      }
    });
  }
}

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
      // One in twenty of those with a log: each costs qemu half a second.
      if (!(await readVhdxInfo(file)).logReplayed || (dirty += 1) % 20 !== 1) continue;
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
  for (const { offset, length } of partsOf('dynamic', 0, WINDOW)) {
    await file.write(expected, at, length, offset);
    at += length;
  }
  execFileSync('qemu-img', ['check', '-q', '-r', 'all', '-f', 'vhdx', path]);
  execFileSync('qemu-img', ['compare', '-q', '-f', 'raw', '-F', 'vhdx', raw, path]);
  await withChain(path, async (disk) => {
    assert.ok((await windowOf('dynamic', disk)).equals(expected), 'what qemu replayed reads the same here');
  });
}
