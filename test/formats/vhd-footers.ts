/** Changes of the footers of a VHD: one of two, both, or the only one of a fixed disk, sealed again or not. */
import { endOf, type Extent } from '../../src/extents/index.ts';
import { ANYTHING, REFUSED, SAME, type Expectation } from './expectation.ts';
import { always, fieldMutator, type FieldOf, type Rule } from './structure-fields.ts';
import type { Mutator } from './subject.ts';
import { BLOCK_SIZE, PLACES, SECTOR, sumSeal, type VhdModel } from './vhd-layout.ts';

export type Kind = 'fixed' | 'dynamic' | 'differencing';

export interface VhdSituation {
  readonly kind: Kind;
  /** A child names the file by its identity. */
  readonly isParent?: boolean;
}
const TYPES = { fixed: 2n, dynamic: 3n, differencing: 4n };
export function footerMutators(model: VhdModel, situation: VhdSituation): Mutator[] {
  const { image } = model;
  const [start, end] = [0, image.originalSize - SECTOR];
  const fields = footerFields(model, situation);
  const seal = (at: number): ReturnType<typeof sumSeal> => sumSeal(at, SECTOR, 64);
  const shared = { endian: 'big' as const, fields, weight: 3 };
  const flips = (name: string, at: number): Mutator => ({
    name,
    weight: 3,
    make: (random) => {
      // A sum does not see two changes that cancel each other out: one byte at a time.
      const offset = at + random.below(SECTOR);
      const bytes = Buffer.of(image.bytes[offset]! ^ random.between(1, 256));
      return {
        what: `${name} at ${offset - at}`,
        patches: [{ offset, bytes }],
        expect: SAME,
        amongOthers: ANYTHING,
      };
    },
  });
  return [
    flips('footer, not sealed', end),
    flips('copy of the footer, not sealed', start),
    fieldMutator(image, {
      ...shared,
      name: 'both footers, sealed',
      copies: [start, end],
      weight: 8,
      seals: [seal(start), seal(end)],
    }),
    fieldMutator(image, {
      ...shared,
      name: 'footer, sealed',
      copies: [end],
      seals: [seal(end)],
      // Without its cookie the end is no footer, and the copy counts.
      expect: (byRule, { name }) => (name === 'cookie' ? SAME : byRule),
      amongOthers: () => ANYTHING,
    }),
    fieldMutator(image, {
      ...shared,
      name: 'copy of the footer, sealed',
      copies: [start],
      seals: [seal(start)],
      expect: () => SAME,
      amongOthers: () => ANYTHING,
    }),
  ];
}

function footerFields(model: VhdModel, { kind, isParent = false }: VhdSituation): FieldOf[] {
  const isFixed = kind === 'fixed';
  return [
    { name: 'cookie', at: 0, size: 8, rule: always(REFUSED) },
    { name: 'features', at: 8, size: 4, rule: always(SAME) },
    { name: 'version', at: 12, size: 4, values: [0x10001, 0x20000], rule: versionRule },
    { name: 'dataOffset', at: 16, size: 8, values: PLACES, rule: always(isFixed ? SAME : REFUSED) },
    { name: 'timestamp', at: 24, size: 4, rule: always(SAME) },
    {
      name: 'creatorApplication',
      at: 28,
      size: 4,
      values: [0x76706320, 0x77696e20, 0x71656d75],
      rule: always(SAME),
    },
    { name: 'originalSize', at: 40, size: 8, values: PLACES, rule: always(SAME) },
    {
      name: 'currentSize',
      at: 48,
      size: 8,
      values: sizeValues(model.size),
      rule: sizeRule(model, isFixed, isParent),
    },
    { name: 'geometry', at: 56, size: 4, rule: always(SAME) },
    { name: 'diskType', at: 60, size: 4, values: [0, 2, 3, 4, 5], rule: (type) => typeRule(type, kind) },
    { name: 'uniqueId', at: 68, size: 16, rule: always(isParent ? REFUSED : SAME) },
    { name: 'savedState', at: 84, size: 1, rule: always(SAME) },
    { name: 'reserved', at: 85, size: 8, rule: always(SAME) },
    { name: 'end of the reserved', at: 504, size: 8, rule: always(SAME) },
  ];
}

export const versionRule: Rule = (version) => (version >> 16n === 1n ? SAME : REFUSED);

/** As a fixed disk the file is its own content; as a child it names no parent. */
function typeRule(type: bigint, kind: Kind): Expectation {
  if (type < 2n || type > 4n) return REFUSED;
  if (type === TYPES[kind]) return SAME;
  if (kind === 'fixed' || type === TYPES.differencing) return REFUSED;
  return ANYTHING;
}

const sizeValues = (size: number): (number | bigint)[] => [
  0,
  512,
  1000,
  BLOCK_SIZE,
  size - 512,
  size + 512,
  size + BLOCK_SIZE,
  2 * size,
  2040 * 2 ** 30,
  2040 * 2 ** 30 + 512,
  2n ** 63n,
];

const sizeRule =
  (model: VhdModel, isFixed: boolean, isParent: boolean): Rule =>
  (value) => {
    if (value === 0n || value % 512n !== 0n || value > 2040 * 2 ** 30) return REFUSED;
    const size = Number(value);
    if (size > model.size && (isFixed || Math.ceil(size / BLOCK_SIZE) > model.blocks)) return REFUSED;
    if (isParent) {
      return {
        opens: 'maybe',
        touched: [{ offset: Math.min(size, model.size), length: Math.max(0, model.size - size) }],
      };
    }
    const touched = [{ offset: model.size, length: Math.max(0, size - model.size) }];
    return { opens: size > model.size ? 'maybe' : 'yes', size, touched };
  };

/** A fixed disk is its bytes, and its footer has no copy. */
export function fixedMutators(model: VhdModel): Mutator[] {
  const { image } = model;
  const end = image.originalSize - SECTOR;
  return [
    {
      name: 'footer, not sealed',
      weight: 3,
      make: (random) => {
        const offset = end + random.below(SECTOR);
        const patches = [{ offset, bytes: Buffer.of(image.bytes[offset]! ^ random.between(1, 256)) }];
        return { what: `footer at ${offset - end}`, patches, expect: REFUSED, amongOthers: ANYTHING };
      },
    },
    fieldMutator(image, {
      name: 'footer, sealed',
      copies: [end],
      endian: 'big',
      weight: 8,
      seals: [sumSeal(end, SECTOR, 64)],
      fields: footerFields(model, { kind: 'fixed' }),
    }),
    {
      name: 'content',
      weight: 4,
      make: (random) => {
        const at = random.below(model.size);
        const byte = image.bytes[at]! ^ random.between(1, 256);
        const content = (window: Extent, into: Buffer): void => {
          if (at >= window.offset && at < endOf(window)) into[at - window.offset] = byte;
        };
        const touched = [{ offset: at, length: 1 }];
        const patches = [{ offset: at, bytes: Buffer.of(byte) }];
        return { what: `content at ${at}`, patches, expect: { opens: 'yes', touched, content } };
      },
    },
  ];
}
