/** Changes of a log of three entries that is to be replayed: torn, sealed again, pointing elsewhere. */
import { crc32c } from '../../src/base/index.ts';
import type { LoggedChange } from '../../src/vhdx/log-writer.fixture.ts';
import { ANYTHING, REFUSED, SAME, type Expectation } from './expectation.ts';
import type { MutableImage, Seal } from './mutable-image.ts';
import { areaMutator, changeIn, fieldMutator, type FieldOf, type Rule } from './structure-fields.ts';
import type { Mutator } from './subject.ts';
import { KIB, MIB, PLACES } from './vhdx-layout.ts';

export const RING = MIB;
export const SECTOR = 4 * KIB;
/** The largest file that a block table of Microsoft's can speak of. */
const LARGEST = 2 ** 48;

export interface Entry {
  /** In the ring; it may go around its end. */
  readonly at: number;
  readonly length: number;
  readonly changes: readonly LoggedChange[];
}

/** What the disk holds when only a part of the log counts. */
export interface Contents {
  /** The first entry, the first two, all of them. */
  readonly prefixes: readonly Buffer[];
  /** All of them, the last two, the last one. */
  readonly suffixes: readonly Buffer[];
  /** All but one. */
  readonly skipping: readonly Buffer[];
}

/** Of a position in the ring. */
export const inFile = (position: number): number => PLACES.log + (position % RING);

export function logMutators(image: MutableImage, entries: readonly Entry[], contents: Contents): Mutator[] {
  const used = entries.reduce((sum, { length }) => sum + length, 0);
  const start = entries[0]!.at;
  return [
    {
      name: 'log, not sealed',
      weight: 10,
      make: (random) => {
        const index = random.below(entries.length);
        const { at, length } = entries[index]!;
        const patch = changeIn(image, { at: inFile(at + random.below(length)), length: 1 }, random);
        const what = `log entry ${index}, not sealed, at ${patch.offset}`;
        return { what, patches: [patch], expect: without(index, contents) };
      },
    },
    areaMutator(image, {
      name: 'rest of the log',
      at: inFile(start + used),
      length: RING - used,
      expect: SAME,
      weight: 1,
    }),
    beginningElsewhere(entries, contents),
    ...entries.flatMap((_, index) => entryMutators(image, entries, index, contents)),
  ];
}

/** An entry that does not count any more ends the log before it; the tail of all of them is the first. */
function without(index: number, { prefixes }: Contents): Expectation {
  return index === 0 ? REFUSED : { opens: 'yes', variants: [prefixes[index - 1]!] };
}

function entryMutators(
  image: MutableImage,
  entries: readonly Entry[],
  index: number,
  contents: Contents,
): Mutator[] {
  const entry = entries[index]!;
  const seals = [entrySeal(entry)];
  const structure = (name: string, at: number, fields: FieldOf[]): Mutator =>
    fieldMutator(image, { name, copies: [inFile(at)], endian: 'little', weight: 3, seals, fields });
  const descriptors = entry.changes.map((change, n) => {
    const name = `log entry ${index}, descriptor ${n}, sealed`;
    return structure(name, entry.at + 64 + 32 * n, descriptorFields(change, without(index, contents)));
  });
  return [
    structure(
      `log entry ${index}, sealed`,
      entry.at,
      entryFields(image.originalSize, entries, index, contents),
    ),
    ...descriptors,
    renumbering(entry, index, contents),
  ];
}

const placesOf = (entries: readonly Entry[]): number[] => [
  ...entries.map(({ at }) => at),
  0,
  4096,
  RING,
  1,
  2 ** 31,
];

function entryFields(
  fileSize: number,
  entries: readonly Entry[],
  index: number,
  contents: Contents,
): FieldOf[] {
  const isHead = index === 2;
  const gone = (): Expectation => without(index, contents);
  const values = [0, 3 * MIB, 6 * MIB, 7 * MIB, 64 * MIB, 2 ** 48, 2 ** 48 + MIB, 2n ** 63n];
  return [
    { name: 'signature', at: 0, size: 4, rule: gone },
    { name: 'entryLength', at: 8, size: 4, values: [4096, 8192, 12_288, 16_384, RING, 2 ** 31], rule: gone },
    {
      name: 'tail',
      at: 12,
      size: 4,
      values: placesOf(entries),
      rule: (tail) => (isHead ? fromTail(entries, Number(tail), contents) : SAME),
    },
    { name: 'sequenceNumber', at: 16, size: 8, rule: gone },
    {
      name: 'descriptorCount',
      at: 24,
      size: 4,
      values: [0, 1, 2, 3, 126, 127, 2 ** 31],
      // Without descriptors the second one is an entry like others, and changes nothing.
      rule: (count) =>
        index === 1 && count === 0n ? { opens: 'yes', variants: [contents.skipping[1]!] } : gone(),
    },
    { name: 'reserved', at: 28, size: 4, rule: () => SAME },
    { name: 'logGuid', at: 32, size: 16, rule: gone },
    {
      name: 'flushedFileOffset',
      at: 48,
      size: 8,
      values,
      rule: refusedIf((size) => isHead && size > fileSize),
    },
    {
      name: 'lastFileOffset',
      at: 56,
      size: 8,
      values: [...values, fileSize, fileSize + MIB],
      // The table gives a block the MiB behind the end of the file.
      rule: refusedIf((size) => isHead && (size < fileSize + MIB || size > LARGEST)),
    },
  ];
}

function beginningElsewhere(entries: readonly Entry[], contents: Contents): Mutator {
  const head = entries.at(-1)!;
  return {
    name: 'tail of the newest entry',
    weight: 3,
    make: (random) => {
      const tail = random.pick(placesOf(entries));
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(tail);
      return {
        what: `tail of the newest entry at ${tail}`,
        patches: [{ offset: inFile(head.at) + 12, bytes }],
        seals: [entrySeal(head)],
        expect: fromTail(entries, tail, contents),
      };
    },
  };
}

/** What is applied when the newest entry says that the log begins at `tail`. */
function fromTail(entries: readonly Entry[], tail: number, { suffixes }: Contents): Expectation {
  const first = entries.findIndex(({ at }) => at === tail);
  return first < 0 ? REFUSED : { opens: 'yes', variants: [suffixes[first]!] };
}

/** An entry that is whole, with another number: it does not follow the one before it. */
function renumbering({ at, changes }: Entry, index: number, { prefixes }: Contents): Mutator {
  const data = changes.filter((change) => 'data' in change);
  return {
    name: 'log entry with another number',
    weight: 3,
    make: (random) => {
      const number = random.bytes(8);
      number[7]! |= 1;
      const sectors = data.map((_, n) => at + SECTOR * (1 + n));
      return {
        what: `log entry ${index} with number ${number.toString('hex')}`,
        patches: [
          { offset: inFile(at) + 16, bytes: number },
          ...changes.map((_, n) => ({ offset: inFile(at) + 64 + 32 * n + 24, bytes: number })),
          ...sectors.map((sector) => ({ offset: inFile(sector) + 4, bytes: number.subarray(4) })),
          ...sectors.map((sector) => ({ offset: inFile(sector) + 4092, bytes: number.subarray(0, 4) })),
        ],
        seals: [entrySeal({ at, length: SECTOR * (1 + data.length), changes })],
        expect: { opens: 'yes', variants: [prefixes[Math.max(index, 1) - 1]!] },
      };
    },
  };
}

function descriptorFields(change: LoggedChange, gone: Expectation): FieldOf[] {
  const tables = [0, 64 * KIB, 192 * KIB, MIB, 2 * MIB, 3 * MIB];
  const places = [...tables, 4 * MIB, 5 * MIB + 512, LARGEST, 2n ** 53n, 2n ** 63n];
  const isData = 'data' in change;
  return [
    { name: 'signature', at: 0, size: 4, values: [0x6f72657a, 0x63736564], rule: () => gone },
    {
      name: isData ? 'leadingBytes' : 'zeroLength',
      at: 8,
      size: 8,
      values: places,
      // Bytes of a logged sector are judged by `dataMutator`.
      rule: (length) => (isData ? ANYTHING : target(BigInt(change.offset), length)),
    },
    {
      name: 'fileOffset',
      at: 16,
      size: 8,
      values: places,
      rule: (offset) => target(offset, BigInt(lengthOf(change))),
    },
    { name: 'sequenceNumber', at: 24, size: 8, rule: () => gone },
  ];
}

/** Where no log may write: between sectors, in front of the region tables, over itself, beyond any file. */
function target(offset: bigint, length: bigint): Expectation {
  const end = offset + length;
  const isAligned = offset % BigInt(SECTOR) === 0n && length % BigInt(SECTOR) === 0n;
  const isOverLog = offset < PLACES.log + RING && end > PLACES.log;
  return !isAligned || offset < 192 * KIB || isOverLog || end > LARGEST ? REFUSED : ANYTHING;
}

const refusedIf =
  (isWrong: (value: bigint) => boolean): Rule =>
  (value) =>
    isWrong(value) ? REFUSED : SAME;

/** CRC-32C over the whole entry, around the end of the ring. */
export const entrySeal =
  ({ at, length }: Entry): Seal =>
  (bytes) => {
    const entry = Buffer.concat(
      Array.from({ length: length / SECTOR }, (_, n) => {
        const sector = inFile(at + n * SECTOR);
        return bytes.subarray(sector, sector + SECTOR);
      }),
    );
    entry.writeUInt32LE(0, 4);
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32LE(crc32c(entry));
    return { offset: inFile(at) + 4, bytes: checksum };
  };

export const lengthOf = (change: LoggedChange): number =>
  'data' in change ? change.data.length : change.zeros;
