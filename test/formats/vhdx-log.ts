/** Changes of a log of three entries that is to be replayed: torn, sealed again, pointing elsewhere. */
import { crc32c } from '../../src/base/index.ts';
import type { LoggedChange } from '../../src/vhdx/log-writer.fixture.ts';
import { ANYTHING, SAME, SAME_OR_REFUSED, type Expectation } from './expectation.ts';
import type { MutableImage, Seal } from './mutable-image.ts';
import { areaMutator, changeIn, fieldMutator, type FieldOf } from './structure-fields.ts';
import type { Mutant, Mutator } from './subject.ts';
import { KIB, MIB, PLACES, placeOf } from './vhdx-layout.ts';

export const RING = MIB;
export const SECTOR = 4 * KIB;

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
  /** Any entries that follow each other. */
  readonly parts: readonly Buffer[];
  /** All but one. */
  readonly skipping: readonly Buffer[];
}

/** A changed sector, and where on the disk it is shown; `undefined` for one of a table. */
interface LoggedPayload {
  readonly virtual: number;
  readonly descriptorAt: number;
  readonly sectorAt: number;
}

/** Of a position in the ring. */
const inFile = (position: number): number => PLACES.log + (position % RING);

export function logMutators(image: MutableImage, entries: readonly Entry[], contents: Contents): Mutator[] {
  // An entry that does not count any more ends the log before it.
  const upToAnEntry: Expectation = { opens: 'maybe', variants: contents.prefixes };
  const used = entries.reduce((sum, { length }) => sum + length, 0);
  const start = entries[0]!.at;
  return [
    {
      name: 'log, not sealed',
      weight: 10,
      make: (random) => {
        const at = inFile(start + random.below(used));
        const patch = changeIn(image, { at, length: 1 }, random);
        return { what: `log at ${at}`, patches: [patch], expect: upToAnEntry };
      },
    },
    areaMutator(image, {
      name: 'rest of the log',
      at: inFile(start + used),
      length: RING - used,
      expect: SAME,
      weight: 1,
    }),
    ...entries.flatMap((entry, index) => entryMutators(image, entry, index, contents)),
  ];
}

function entryMutators(image: MutableImage, entry: Entry, index: number, contents: Contents): Mutator[] {
  const upToAnEntry: Expectation = { opens: 'maybe', variants: contents.prefixes };
  const seals = [entrySeal(entry)];
  const structure = (name: string, at: number, fields: FieldOf[]): Mutator =>
    fieldMutator(image, { name, copies: [inFile(at)], endian: 'little', weight: 3, seals, fields });
  const header = structure(`log entry ${index}, sealed`, entry.at, entryFields(index, contents));
  const descriptors = entry.changes.map((change, n) => {
    const name = `log entry ${index}, descriptor ${n}, sealed`;
    return structure(name, entry.at + 64 + 32 * n, descriptorFields('data' in change, upToAnEntry));
  });
  return [header, ...descriptors, ...payloadsOf(entry).map((logged) => dataMutator(image, entry, logged))];
}

function entryFields(index: number, { prefixes, parts, skipping }: Contents): FieldOf[] {
  const isHead = index === 2;
  const upToAnEntry: Expectation = { opens: 'maybe', variants: prefixes };
  // Without descriptors it is an entry like another, and changes nothing.
  const upToAnEntryOrEmpty: Expectation = { opens: 'maybe', variants: [...prefixes, skipping[index]!] };
  const gone = { size: 4, rule: () => upToAnEntry };
  const places = [0, 4096, RING - 2 * SECTOR, RING, 1, 2 ** 31];
  const size = {
    size: 8,
    values: [0, 3 * MIB, 6 * MIB, 7 * MIB, 64 * MIB, 2 ** 48, 2 ** 48 + MIB, 2n ** 63n],
  };
  return [
    { name: 'signature', at: 0, ...gone },
    { name: 'entryLength', at: 8, ...gone, values: [4096, 8192, 12_288, 16_384, RING, 2 ** 31] },
    {
      name: 'tail',
      at: 12,
      size: 4,
      values: places,
      rule: () => (isHead ? { opens: 'maybe', variants: parts } : SAME),
    },
    { name: 'sequenceNumber', at: 16, size: 8, rule: () => upToAnEntry },
    {
      name: 'descriptorCount',
      at: 24,
      size: 4,
      values: [0, 1, 2, 3, 126, 127, 2 ** 31],
      rule: () => upToAnEntryOrEmpty,
    },
    { name: 'reserved', at: 28, size: 4, rule: () => SAME },
    { name: 'logGuid', at: 32, size: 16, rule: () => upToAnEntry },
    { name: 'flushedFileOffset', at: 48, ...size, rule: () => (isHead ? SAME_OR_REFUSED : SAME) },
    { name: 'lastFileOffset', at: 56, ...size, rule: () => (isHead ? SAME_OR_REFUSED : SAME) },
  ];
}

function descriptorFields(isData: boolean, upToAnEntry: Expectation): FieldOf[] {
  const places = [
    0,
    64 * KIB,
    192 * KIB,
    MIB,
    2 * MIB,
    3 * MIB,
    4 * MIB,
    5 * MIB + 512,
    2 ** 48,
    2n ** 53n,
    2n ** 63n,
  ];
  return [
    { name: 'signature', at: 0, size: 4, values: [0x6f72657a, 0x63736564], rule: () => upToAnEntry },
    // Bytes of the logged sector are judged by `dataMutator`.
    { name: isData ? 'leadingBytes' : 'zeroLength', at: 8, size: 8, values: places, rule: () => ANYTHING },
    { name: 'fileOffset', at: 16, size: 8, values: places, rule: () => ANYTHING },
    { name: 'sequenceNumber', at: 24, size: 8, rule: () => upToAnEntry },
  ];
}

/** CRC-32C over the whole entry, around the end of the ring. */
const entrySeal =
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

/** The sectors of an entry that are shown by the disk: those of the last entry, over which nothing was logged later. */
function payloadsOf({ at, changes }: Entry): LoggedPayload[] {
  const [first, second] = changes;
  if (changes.length !== 2 || !first || first.offset === PLACES.bat || !second) return [];
  const area = at + SECTOR;
  return [
    { virtual: 3 * MIB, descriptorAt: at + 64, sectorAt: area },
    { virtual: MIB / 2, descriptorAt: at + 96, sectorAt: area + SECTOR },
  ];
}

/** One byte of a logged sector, sealed: that byte of the disk. The first 8 and the last 4 are in the descriptor. */
function dataMutator(
  image: MutableImage,
  entry: Entry,
  { virtual, descriptorAt, sectorAt }: LoggedPayload,
): Mutator {
  return {
    name: 'logged sector, sealed',
    weight: 3,
    make: (random): Mutant => {
      const at = random.pick([random.below(8), SECTOR - 4 + random.below(4), random.below(SECTOR)]);
      const offset = inFile(placeInLog(at, descriptorAt, sectorAt));
      const byte = image.bytes[offset]! ^ random.between(1, 256);
      const touched = [{ offset: virtual + at, length: 1 }];
      return {
        what: `byte ${at} of the logged sector at ${virtual}`,
        patches: [{ offset, bytes: Buffer.of(byte) }],
        seals: [entrySeal(entry)],
        expect: {
          opens: 'yes',
          touched,
          content: (window, into) => {
            const index = virtual + at - window.offset;
            if (index >= 0 && index < into.length) into[index] = byte;
          },
        },
      };
    },
  };
}

function placeInLog(at: number, descriptorAt: number, sectorAt: number): number {
  if (at < 8) return descriptorAt + 8 + at;
  return at < SECTOR - 4 ? sectorAt + at : descriptorAt + 4 + (at - (SECTOR - 4));
}

/** Payload in place: a byte over which the log lays nothing is shown, the others are not. */
export function loggedPayloadMutators(image: MutableImage, entries: readonly Entry[]): Mutator[] {
  const logged = entries.flatMap(({ changes }) => changes);
  const { fileOffset } = placeOf(image.bytes, 0);
  return [
    {
      name: 'payload below a log',
      weight: 6,
      make: (random) => {
        const at = random.below(MIB);
        const offset = fileOffset + at;
        const byte = image.bytes[offset]! ^ random.between(1, 256);
        const patches = [{ offset, bytes: Buffer.of(byte) }];
        const isHidden = logged.some(
          (change) => offset >= change.offset && offset < change.offset + lengthOf(change),
        );
        const content = (window: { offset: number }, into: Buffer): void => {
          const index = at - window.offset;
          if (index >= 0 && index < into.length) into[index] = byte;
        };
        const shown: Expectation = { opens: 'yes', touched: [{ offset: at, length: 1 }], content };
        return { what: `payload below a log at ${at}`, patches, expect: isHidden ? SAME : shown };
      },
    },
    areaMutator(image, {
      name: 'block table below a log',
      at: PLACES.bat,
      length: SECTOR,
      expect: SAME,
      amongOthers: ANYTHING,
      weight: 2,
    }),
  ];
}

const lengthOf = (change: LoggedChange): number => ('data' in change ? change.data.length : change.zeros);
