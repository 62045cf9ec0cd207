/** Changes of the headers and the region tables of a VHDX: one copy or both, sealed again or not. */
import { ANYTHING, REFUSED, SAME, SAME_OR_REFUSED, type Expectation } from './expectation.ts';
import { always, areaMutator, fieldMutator, type FieldOf } from './structure-fields.ts';
import type { MutableImage, Seal } from './mutable-image.ts';
import type { Mutator } from './subject.ts';
import { KIB, MIB, PLACES, sealOf, type DiskModel } from './vhdx-layout.ts';

export interface Situation {
  /** The log holds the block table, so that what is in place of it is not read. */
  readonly hasLog?: boolean;
  /** A child names the file by its identity, and has the same sectors. */
  readonly isParent?: boolean;
}

const PLACE_VALUES = [
  0,
  512,
  4096,
  ...Array.from({ length: 12 }, (_, n) => n * MIB),
  2 ** 40,
  2n ** 53n,
  2n ** 63n,
];
const ZERO_GUID = 0n;

/** One copy alone cannot do harm unless it is newer than the other; both together say what they say. */
export function headerMutators({ image }: DiskModel, situation: Situation): Mutator[] {
  const { hasLog = false } = situation;
  const fields = headerFields(situation);
  const seals = PLACES.headers.map((at) => sealOf(at, 4 * KIB));
  const newest = newestHeader(image.bytes);
  const copies = PLACES.headers.flatMap((at, slot): Mutator[] => [
    areaMutator(image, {
      name: `header ${slot + 1}, not sealed`,
      at,
      length: 4 * KIB,
      focus: 80,
      expect: SAME,
      amongOthers: hasLog ? ANYTHING : SAME_OR_REFUSED,
      weight: 2,
    }),
    areaMutator(image, {
      name: 'behind a header',
      at: at + 4 * KIB,
      length: 60 * KIB,
      expect: SAME,
      weight: 1,
    }),
    fieldMutator(image, {
      name: `header ${slot + 1}, sealed`,
      copies: [at],
      endian: 'little',
      weight: 2,
      seals: [seals[slot]!],
      fields,
      // The signature makes a copy invalid, the number only says which of two equal ones is newer.
      expect: (byRule, { name }) => (slot !== newest || name === 'signature' ? SAME : byRule),
      amongOthers: weakened,
    }),
  ]);
  return [
    ...copies,
    fieldMutator(image, {
      name: 'both headers, sealed',
      copies: PLACES.headers,
      endian: 'little',
      weight: 6,
      seals,
      fields,
    }),
  ];
}

function newestHeader(bytes: Buffer): number {
  const [first, second] = PLACES.headers.map((at) => bytes.readBigUInt64LE(at + 8));
  return first! > second! ? 0 : 1;
}

const weakened = (expect: Expectation): Expectation =>
  expect.touched === 'any' ? ANYTHING : { ...expect, opens: 'maybe' };

function headerFields({ hasLog = false, isParent = false }: Situation): FieldOf[] {
  const logOnly = (expectation: Expectation): Expectation => (hasLog ? expectation : SAME);
  return [
    { name: 'signature', at: 0, size: 4, rule: always(REFUSED) },
    { name: 'sequenceNumber', at: 8, size: 8, rule: always(SAME) },
    { name: 'fileWriteGuid', at: 16, size: 16, rule: always(SAME) },
    { name: 'dataWriteGuid', at: 32, size: 16, rule: always(isParent ? REFUSED : SAME) },
    // Without a log of that name there is nothing to go by; without a name the log does not count.
    {
      name: 'logGuid',
      at: 48,
      size: 16,
      values: [ZERO_GUID],
      rule: (guid) => (guid === ZERO_GUID ? ANYTHING : REFUSED),
    },
    { name: 'logVersion', at: 64, size: 2, rule: always(logOnly(REFUSED)) },
    { name: 'version', at: 66, size: 2, rule: always(REFUSED) },
    {
      name: 'logLength',
      at: 68,
      size: 4,
      values: PLACE_VALUES,
      rule: always(hasLog ? ANYTHING : SAME_OR_REFUSED),
    },
    {
      name: 'logOffset',
      at: 72,
      size: 8,
      values: PLACE_VALUES,
      rule: always(hasLog ? ANYTHING : SAME_OR_REFUSED),
    },
    { name: 'reserved', at: 80, size: 8, rule: always(SAME) },
    { name: 'end of the reserved', at: 4088, size: 8, rule: always(SAME) },
  ];
}

export function regionMutators({ image }: DiskModel): Mutator[] {
  const fields = regionFields();
  const seals = PLACES.regionTables.map((at) => sealOf(at, 64 * KIB));
  return [
    ...PLACES.regionTables.map((at, copy) =>
      areaMutator(image, {
        name: `region table ${copy + 1}, not sealed`,
        at,
        length: 64 * KIB,
        focus: 80,
        expect: SAME,
        amongOthers: SAME_OR_REFUSED,
        weight: 1,
      }),
    ),
    fieldMutator(image, {
      name: 'region table 1, sealed',
      copies: [PLACES.regionTables[0]],
      endian: 'little',
      weight: 2,
      seals: [seals[0]!],
      fields,
      expect: (byRule, { name }) => (name === 'signature' ? SAME : byRule),
      amongOthers: weakened,
    }),
    fieldMutator(image, {
      name: 'region table 2, sealed',
      copies: [PLACES.regionTables[1]],
      endian: 'little',
      weight: 1,
      seals: [seals[1]!],
      fields,
      expect: () => SAME,
      amongOthers: weakened,
    }),
    fieldMutator(image, {
      name: 'both region tables, sealed',
      copies: PLACES.regionTables,
      endian: 'little',
      weight: 5,
      seals,
      fields,
    }),
    oneMoreRegion(image, seals),
  ];
}

/** Behind what the log gives a place; a region that is required must be known, and none is there twice. */
function oneMoreRegion(image: MutableImage, seals: readonly Seal[]): Mutator {
  return {
    name: 'one more region',
    weight: 2,
    make: (random) => {
      const isTwice = random.oneIn(4);
      const guid = isTwice
        ? image.bytes.subarray(PLACES.regionTables[0] + 16, PLACES.regionTables[0] + 32)
        : random.bytes(16);
      const flags = random.below(4);
      const entry = Buffer.alloc(32);
      entry.set(guid);
      entry.writeBigUInt64LE(BigInt(image.originalSize + MIB), 16);
      entry.writeUInt32LE(MIB, 24);
      entry.writeUInt32LE(flags, 28);
      const count = Buffer.of(3, 0, 0, 0);
      const isRefused = isTwice || (flags & 1) === 1;
      return {
        what: `one more region, flags ${flags}, ${isTwice ? 'twice' : 'unknown'}`,
        patches: PLACES.regionTables.flatMap((at) => [
          { offset: at + 8, bytes: count },
          { offset: at + 80, bytes: entry },
        ]),
        seals,
        fileSize: image.originalSize + 2 * MIB,
        expect: isRefused ? REFUSED : SAME,
      };
    },
  };
}

function regionFields(): FieldOf[] {
  const entries = [0, 1].flatMap((index): FieldOf[] => {
    const at = 16 + 32 * index;
    return [
      { name: `guid ${index}`, at, size: 16, values: [ZERO_GUID], rule: always(REFUSED) },
      { name: `fileOffset ${index}`, at: at + 16, size: 8, values: PLACE_VALUES, rule: always(ANYTHING) },
      { name: `length ${index}`, at: at + 24, size: 4, values: PLACE_VALUES, rule: always(SAME_OR_REFUSED) },
      { name: `flags ${index}`, at: at + 28, size: 4, rule: always(SAME) },
    ];
  });
  return [
    { name: 'signature', at: 0, size: 4, rule: always(REFUSED) },
    { name: 'entryCount', at: 8, size: 4, values: [1, 3, 2047, 2048], rule: always(REFUSED) },
    { name: 'reserved', at: 12, size: 4, rule: always(SAME) },
    ...entries,
    { name: 'behind the entries', at: 16 + 64, size: 16, rule: always(SAME) },
    { name: 'end of the table', at: 64 * KIB - 8, size: 8, rule: always(SAME) },
  ];
}
