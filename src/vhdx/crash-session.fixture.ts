/**
 * Sessions of a writer on three kinds of disks, recorded, cut at any moment, and what is wrong with what is left.
 *
 * The disks are small where it is looked at and large where it counts: five blocks that lie far apart in the block table.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { KiB, MiB, isFault } from '../base/index.ts';
import type { RangeReader } from '../disk/index.ts';
import { openVhdxChain } from './chain.ts';
import {
  MemoryFile,
  Recorder,
  crashStates,
  type CrashState,
  type FileOperation,
} from '../chain/crash.fixture.ts';
import { after, randomOf, wrongAt, type Expected } from '../chain/crash-content.fixture.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import { scratchFolder, withChain } from './scratch.fixture.ts';
import { openVhdxWritable, writableOver } from './vhdx-file.ts';

export const folder = scratchFolder();
/** The blocks that the sessions use; the last is short. They are looked at as one window. */
const BLOCKS = 5;
const WINDOW = (BLOCKS - 1) * MiB + 8 * KiB;
/** 600 blocks apart their entries lie in different sectors of the block table, which a crash may tear apart. */
const STRIDE = { dynamic: 600, differencing: 600, fixed: 1 } as const;
export const sizeOf = (kind: Kind): number => (BLOCKS - 1) * STRIDE[kind] * MiB + 8 * KiB;
export const KINDS = ['dynamic', 'fixed', 'differencing'] as const;
export type Kind = (typeof KINDS)[number];
export const pathOf = (kind: Kind): string => join(folder, `${kind}.vhdx`);
export const images = new Map<string, Buffer>();
const contents = new Map<Kind, Buffer>();

before(async () => {
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
export function* partsOf(
  kind: Kind,
  start: number,
  end: number,
): Generator<{ offset: number; length: number }> {
  for (let at = start; at < end;) {
    const block = Math.floor(at / MiB);
    const length = Math.min(end, (block + 1) * MiB) - at;
    yield { offset: block * STRIDE[kind] * MiB + (at % MiB), length };
    at += length;
  }
}

export async function windowOf(kind: Kind, disk: RangeReader, into = Buffer.alloc(WINDOW)): Promise<Buffer> {
  let at = 0;
  for (const { offset, length } of partsOf(kind, 0, WINDOW)) {
    await disk.read(offset, into.subarray(at, (at += length)));
  }
  return into;
}

export interface Session {
  readonly kind: Kind;
  readonly operations: readonly FileOperation[];
  readonly expected: readonly Expected[];
}

const LENGTHS = [4 * KiB, 4 * KiB, 12 * KiB, 100 * KiB, MiB, MiB + 8 * KiB];

/** A session of random changes and flushes on a file in memory; what must be there is noted before and after each. */
export async function recorded(kind: Kind, random: () => number, changes: number): Promise<Session> {
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

const content = Buffer.alloc(WINDOW);

/** The window of the chain whose leaf a crash left; good until the next call. */
export async function contentAfter(kind: Kind, leaf: RangeReader): Promise<Buffer> {
  const open = (path: string): Promise<RangeReader> =>
    Promise.resolve(path === pathOf(kind) ? leaf : new MemoryFile(images.get(path)!));
  const disk = await openVhdxChain(pathOf(kind), { open });
  await windowOf(kind, disk, content);
  await disk.close();
  return content;
}

const SECTOR_SIZES = [512, 4096] as const;

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

export async function enumerated(
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

/** One test for each kind of disk and each sector size of the disk below it: `states` in all, or somewhat more. */
export function cutEverywhere(states: number, seed: number): void {
  const share = states / KINDS.length / SECTOR_SIZES.length;
  for (const kind of KINDS) {
    for (const sectorSize of SECTOR_SIZES) {
      void test(`a power cut at any moment leaves a ${kind} disk whole: sectors of ${sectorSize}`, async (t) => {
        const random = randomOf(seed + sectorSize + kind.length);
        let done = 0;
        while (done < share) {
          const session = await recorded(kind, random, 20);
          const result = await enumerated(session, random, sectorSize);
          assert.deepEqual(result.defects, [], `seed ${seed}`);
          done += result.states;
        }
        t.diagnostic(`${done} states, seed ${seed}`);
      });
    }
  }
}
