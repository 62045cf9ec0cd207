/**
 * A power cut at any moment of a session: the file opens, what was flushed is there, and what nobody touched is untouched.
 *
 * VHD has no log. What keeps a disk whole is an order: the footer's copy at the beginning before the end is overwritten; data,
 * and the zeros behind a bitmap that is to become full, before the bitmap and the table's entry; each entry in a sector that is
 * written whole. So a VHD promises less than a VHDX: blocks added since the last flush may be gone, and the room they took
 * is lost for good; never is a sector something that nobody wrote. A new file is no VHD until its last byte is there.
 *
 * The tests after it make mistakes on purpose in what was recorded and expect that the same enumeration finds each of them.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { after, randomOf, wrongAt, type Expected } from '../chain/crash-content.fixture.ts';
import { MemoryFile, Recorder, crashStates, type FileOperation } from '../chain/crash.fixture.ts';
import { KiB, isFault, newGuid } from '../base/index.ts';
import type { PlacedWriter, RangeReader } from '../disk/index.ts';
import { openVhd } from './chain.ts';
import { createVhd } from './create.ts';
import { PlacedDynamic } from './placed-dynamic.ts';
import { PlacedFixed } from './placed-fixed.ts';
import { scratchFolder } from './scratch.fixture.ts';
import { openVhdWritable, writableOver } from './vhd-file.ts';

/** Always the same states, so that a failure is of the change that is tested. */
const SEED = 20_261_124;
const STATES = 3_000;

const BLOCK = 512 * KiB;
/** The last one is short. They are looked at as one window. */
const BLOCKS = 5;
const WINDOW = (BLOCKS - 1) * BLOCK + 8 * KiB;
/** 130 blocks apart their entries lie in different sectors of the block table, which a crash may tear apart. */
const STRIDES = { dynamic: 130, partial: 130, fixed: 1 } as const;
/** `partial`: another writer's, with sectors left out of a block and a bad copy of the footer at the beginning. */
type Kind = keyof typeof STRIDES;
const KINDS: readonly Kind[] = ['dynamic', 'partial', 'fixed'];
const SECTOR_SIZES = [512, 4096] as const;
/** Behind footer and dynamic header; see `PlacedDynamic`. */
const TABLE_OFFSET = 1536;

const sizeOf = (kind: Kind): number => (BLOCKS - 1) * STRIDES[kind] * BLOCK + 8 * KiB;

const folder = scratchFolder();
const images = new Map<Kind, Buffer>();
const contents = new Map<Kind, Buffer>();

before(async () => {
  for (const kind of KINDS) {
    const path = join(folder, `${kind}.vhd`);
    const size = sizeOf(kind);
    await createVhd(path, kind === 'fixed' ? { size, kind } : { size, kind: 'dynamic', blockSize: BLOCK });
    const file = await openVhdWritable(path);
    for (const [block, fill] of [0xaa, 0xab].entries()) {
      await file.write(block * STRIDES[kind] * BLOCK, Buffer.alloc(BLOCK, fill));
    }
    await file.close();
    const image = readFileSync(path);
    if (kind === 'partial') leaveOut(image);
    images.set(kind, image);
    contents.set(kind, Buffer.from(await windowOf(kind, new MemoryFile(image))));
  }
});

/** The second half of the first block, and every other eight sectors of the second; and the copy of the footer. */
function leaveOut(image: Buffer): void {
  const bitmapAt = (block: number): number => image.readUInt32BE(TABLE_OFFSET + block * 130 * 4) * 512;
  image.fill(0, bitmapAt(0) + 64, bitmapAt(0) + 128);
  for (let at = 0; at < 128; at += 2) image[bitmapAt(1) + at] = 0;
  image.fill(0x55, 0, 512);
}

/** The parts of a range of the window, by where they are on the disk. */
function* partsOf(kind: Kind, start: number, end: number): Generator<{ offset: number; length: number }> {
  for (let at = start; at < end;) {
    const block = Math.floor(at / BLOCK);
    const length = Math.min(end, (block + 1) * BLOCK) - at;
    yield { offset: block * STRIDES[kind] * BLOCK + (at % BLOCK), length };
    at += length;
  }
}

const content = Buffer.alloc(WINDOW);

/** Good until the next call. */
async function windowOf(kind: Kind, file: RangeReader): Promise<Buffer> {
  const disk = await openVhd(file);
  let at = 0;
  for (const { offset, length } of partsOf(kind, 0, WINDOW)) {
    await disk.read(offset, content.subarray(at, (at += length)));
  }
  await disk.close();
  return content;
}

interface Session {
  readonly kind: Kind;
  readonly operations: readonly FileOperation[];
  readonly expected: readonly Expected[];
}

const LENGTHS = [512, 4 * KiB, 12 * KiB, 100 * KiB, BLOCK, BLOCK + 8 * KiB];

/** A session of random changes and flushes on a file in memory; what must be there is noted before and after each. */
async function recorded(kind: Kind, random: () => number, changes: number): Promise<Session> {
  const recorder = new Recorder(images.get(kind)!);
  const expected: Expected[] = [];
  let state: Expected = { flushed: contents.get(kind)!, since: [] };
  const note = (next: Expected): void => recorder.note(expected.push((state = next)) - 1);
  note(state);
  const file = await writableOver(recorder.open(kind));
  const pick = (count: number): number => Math.floor(random() * count);
  for (let n = 0; n < changes; n += 1) {
    const length = LENGTHS[pick(LENGTHS.length)]!;
    const unit = length >= BLOCK ? BLOCK : 512;
    const offset = Math.min(pick(WINDOW / unit) * unit, WINDOW - length);
    const fill = pick(3) === 0 ? 0 : 1 + pick(255);
    note({ flushed: state.flushed, since: [...state.since, { offset, length, fill }] });
    for (const part of partsOf(kind, offset, offset + length)) {
      if (fill > 0) await file.write(part.offset, Buffer.alloc(part.length, fill));
      else await file.zero(part.offset, part.length);
    }
    if (pick(3) > 0) continue;
    await file.flush();
    note({ flushed: after(state), since: [] });
  }
  await file.close();
  note({ flushed: after(state), since: [] });
  return { kind, operations: recorder.operations, expected };
}

/** What is wrong with the files that power cuts in `session` leave, up to the first. */
async function enumerated(
  { kind, operations, expected }: Session,
  random: () => number,
  sectorSize: 512 | 4096,
): Promise<{ readonly states: number; readonly defect?: string }> {
  let states = 0;
  const options = { sectorSize, statesEach: 10, random };
  for (const { done, file } of crashStates(images.get(kind)!, operations, options)) {
    states += 1;
    const notes = operations.slice(0, done).filter((operation) => operation.kind === 'note');
    try {
      const at = wrongAt(await windowOf(kind, file), expected[notes.at(-1)!.note]!);
      if (at !== undefined) return { states, defect: `after ${done} operations: wrong bytes at ${at}` };
    } catch (error) {
      if (!isFault(error)) throw error;
      return { states, defect: `after ${done} operations: ${error.code}` };
    }
  }
  return { states };
}

for (const kind of KINDS) {
  for (const sectorSize of SECTOR_SIZES) {
    test(`a power cut at any moment leaves a ${kind} disk whole: sectors of ${sectorSize}`, async (t) => {
      const random = randomOf(SEED + sectorSize + kind.length);
      let done = 0;
      while (done < STATES / KINDS.length / SECTOR_SIZES.length) {
        const { states, defect } = await enumerated(await recorded(kind, random, 12), random, sectorSize);
        assert.equal(defect, undefined, `seed ${SEED}`);
        done += states;
      }
      t.diagnostic(`${done} states, seed ${SEED}`);
    });
  }
}

type Mistake = (operations: readonly FileOperation[]) => FileOperation[];

const isTable = (operation: FileOperation | undefined): boolean =>
  operation?.kind === 'write' &&
  operation.offset >= TABLE_OFFSET &&
  operation.offset < TABLE_OFFSET + 4 * KiB;
const isCopy = (operation: FileOperation | undefined): boolean =>
  operation?.kind === 'write' && operation.offset === 0;

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

const MISTAKES: readonly (readonly [claim: string, kind: Kind, mistake: Mistake])[] = [
  ['no sync between data and the entry that names it', 'dynamic', withoutSync((_, next) => isTable(next))],
  [
    'no sync between zeros and the bitmap that lets them be seen',
    'partial',
    withoutSync((_, next) => next?.kind === 'write' && next.bytes.every((byte) => byte === 0xff)),
  ],
  ['no sync behind the last entries', 'dynamic', withoutSync((last) => isTable(last))],
  ['no sync between the footer’s copy and the block over the footer', 'partial', withoutSync(isCopy)],
  ['the footer’s copy is not made good', 'partial', (all) => all.filter((operation) => !isCopy(operation))],
];

for (const [claim, kind, mistake] of MISTAKES) {
  test(`the enumeration finds a mistake: ${claim}`, async () => {
    const random = randomOf(SEED + claim.length);
    for (let attempt = 0; attempt < 40; attempt += 1) {
      const session = await recorded(kind, random, 12);
      const mistaken = { ...session, operations: mistake(session.operations) };
      if ((await enumerated(mistaken, random, 512)).defect !== undefined) return;
    }
    assert.fail(`not found with seed ${SEED}`);
  });
}

for (const kind of ['dynamic', 'fixed'] as const) {
  test(`a ${kind} file that is being made is no VHD, or all of it, whenever the power goes`, async () => {
    const random = randomOf(SEED);
    const recorder = new Recorder(new Uint8Array(0));
    const file = recorder.open(kind);
    const options = { size: sizeOf(kind), uniqueId: newGuid() };
    const writer: PlacedWriter =
      kind === 'fixed'
        ? new PlacedFixed(file, options)
        : new PlacedDynamic(file, { ...options, blockSize: BLOCK });
    const expected = Buffer.alloc(WINDOW);
    for (const [block, fill] of [1, 2, 3].entries()) {
      expected.fill(fill, block * BLOCK, (block + 1) * BLOCK);
      for (const { fileOffset, length } of await writer.place(block * STRIDES[kind] * BLOCK, BLOCK)) {
        await file.write(fileOffset, Buffer.alloc(length, fill));
      }
    }
    await writer.finish();
    const seen = { refused: 0, whole: 0 };
    const states = { sectorSize: 512, statesEach: 20, random } as const;
    for (const { file: left } of crashStates(new Uint8Array(0), recorder.operations, states)) {
      try {
        assert.equal(wrongAt(await windowOf(kind, left), { flushed: expected, since: [] }), undefined);
        seen.whole += 1;
      } catch (error) {
        if (!isFault(error)) throw error;
        seen.refused += 1;
      }
    }
    assert.ok(seen.refused > 0 && seen.whole > 0, JSON.stringify(seen));
  });
}
