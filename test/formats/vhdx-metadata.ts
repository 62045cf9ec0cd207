/** Changes of the metadata of a VHDX, which has no checksum: each item and each entry of its table. */
import { ANYTHING, REFUSED, SAME, SAME_OR_REFUSED, type Expectation } from './expectation.ts';
import { always, areaMutator, fieldMutator, type FieldOf, type Rule } from './structure-fields.ts';
import type { MutableImage } from './mutable-image.ts';
import type { Mutator } from './subject.ts';
import type { Situation } from './vhdx-headers.ts';
import { BLOCK_SIZE, KIB, MIB, PLACES, itemsOf, type DiskModel, type Item } from './vhdx-layout.ts';

export function metadataMutators(model: DiskModel, situation: Situation): Mutator[] {
  const { image } = model;
  const items = itemsOf(image);
  const end = Math.max(...items.map(({ at, length }) => at + length));
  const structure = (name: string, at: number, weight: number, fields: FieldOf[]): Mutator =>
    fieldMutator(image, { name, copies: [at], endian: 'little', weight, fields });
  return [
    structure('metadata table', PLACES.metadata, 3, [
      { name: 'signature', at: 0, size: 8, rule: always(REFUSED) },
      { name: 'reserved', at: 8, size: 2, rule: always(SAME) },
      {
        name: 'entryCount',
        at: 10,
        size: 2,
        values: [0, 1, 4, 6, 7, 2047, 2048],
        rule: always(SAME_OR_REFUSED),
      },
      { name: 'reserved 2', at: 12, size: 16, rule: always(SAME) },
    ]),
    ...items.map((item) =>
      structure(`metadata entry of the ${item.name}`, item.entryAt, 1, entryFields(items)),
    ),
    ...items
      .filter(({ name }) => name !== 'parent locator')
      .map((item) => structure(item.name, item.at, 2, itemFields(model, item, situation))),
    ...items
      .filter(({ name }) => name === 'parent locator')
      .flatMap(({ at, length }) => [
        // Whatever path leads to it, only the right parent is taken.
        areaMutator(image, { name: 'parent locator', at, length, expect: SAME_OR_REFUSED, weight: 4 }),
        structure('parent locator, its fields', at, 5, locatorFields(length)),
      ]),
    oneMoreItem(image, items),
    areaMutator(image, {
      name: 'behind the metadata entries',
      at: PLACES.metadata + 32 + 32 * items.length,
      length: 1024,
      expect: SAME,
      amongOthers: SAME_OR_REFUSED,
      weight: 1,
    }),
    areaMutator(image, {
      name: 'behind the metadata items',
      at: end,
      length: PLACES.bat - end,
      expect: SAME,
      weight: 1,
    }),
  ];
}

/** Of a user, or unknown: only what is required and of nobody must be known. None is there twice for one owner. */
function oneMoreItem(image: MutableImage, items: readonly Item[]): Mutator {
  return {
    name: 'one more metadata item',
    weight: 2,
    make: (random) => {
      const isKnown = random.oneIn(4);
      const known = image.bytes.subarray(items[0]!.entryAt, items[0]!.entryAt + 16);
      const flags = random.below(8);
      const isUser = (flags & 1) === 1;
      const entry = Buffer.alloc(32);
      entry.set(isKnown ? known : random.bytes(16));
      entry.writeUInt32LE(128 * KIB, 16);
      entry.writeUInt32LE(8, 20);
      entry.writeUInt32LE(flags, 24);
      const isRefused = !isUser && (isKnown || (flags & 4) !== 0);
      return {
        what: `one more metadata item, flags ${flags}, ${isKnown ? 'known' : 'unknown'}`,
        patches: [
          { offset: PLACES.metadata + 10, bytes: Buffer.of(items.length + 1, 0) },
          { offset: PLACES.metadata + 32 + 32 * items.length, bytes: entry },
        ],
        expect: isRefused ? REFUSED : SAME,
      };
    },
  };
}

/** Of its header and of the first, the second and the last of its five entries. */
function locatorFields(length: number): FieldOf[] {
  const rule = always(SAME_OR_REFUSED);
  const places = [0, 20, 32, length - 2, length, 2 ** 31];
  const entries = [0, 1, 4].flatMap((index): FieldOf[] => {
    const at = 20 + 12 * index;
    return [
      { name: `keyOffset ${index}`, at, size: 4, values: places, rule },
      { name: `valueOffset ${index}`, at: at + 4, size: 4, values: places, rule },
      { name: `keyLength ${index}`, at: at + 8, size: 2, values: [0, 1, 2, 65_534], rule },
      { name: `valueLength ${index}`, at: at + 10, size: 2, values: [0, 1, 2, 65_534], rule },
    ];
  });
  return [
    { name: 'locatorType', at: 0, size: 16, rule: always(REFUSED) },
    { name: 'reserved', at: 16, size: 2, rule: always(SAME) },
    { name: 'keyValueCount', at: 18, size: 2, values: [0, 1, 2, 256, 257], rule },
    ...entries,
  ];
}

function entryFields(items: readonly Item[]): FieldOf[] {
  const offsets = items.map(({ at }) => at - PLACES.metadata);
  const places = [...offsets, 0, 64 * KIB, MIB - 8, 2 ** 31];
  return [
    { name: 'itemId', at: 0, size: 16, rule: always(REFUSED) },
    { name: 'offset', at: 16, size: 4, values: places, rule: always(ANYTHING) },
    { name: 'length', at: 20, size: 4, values: [0, 4, 8, 16, MIB, MIB + 1], rule: always(SAME_OR_REFUSED) },
    { name: 'flags', at: 24, size: 4, rule: (flags) => ((flags & 1n) === 1n ? REFUSED : SAME) },
    { name: 'reserved', at: 28, size: 4, rule: always(SAME) },
  ];
}

function itemFields(model: DiskModel, { name }: Item, { isParent = false }: Situation): FieldOf[] {
  const sectors: Rule = (size) => (size === 512n || size === 4096n ? SAME_OR_REFUSED : REFUSED);
  const fields: Readonly<Record<string, FieldOf[]>> = {
    'file parameters': [
      {
        name: 'blockSize',
        at: 0,
        size: 4,
        values: [MIB, 2 * MIB, 32 * MIB, 256 * MIB, 2 ** 29, 4096],
        rule: blockSizeRule,
      },
      { name: 'flags', at: 4, size: 4, rule: (flags) => flagsRule(Number(flags), model.isChild) },
    ],
    'virtual disk size': [
      {
        name: 'size',
        at: 0,
        size: 8,
        values: sizeValues(model.size),
        rule: (size) => (isParent ? asParent : asLeaf)(model, sizeRule(model, size)),
      },
    ],
    'virtual disk id': [{ name: 'id', at: 0, size: 16, rule: always(SAME) }],
    'logical sector size': [
      {
        name: 'size',
        at: 0,
        size: 4,
        values: [512, 4096],
        rule: isParent || model.isChild ? always(REFUSED) : sectors,
      },
    ],
    'physical sector size': [{ name: 'size', at: 0, size: 4, values: [512, 4096], rule: sectors }],
  };
  return fields[name]!;
}

const blockSizeRule: Rule = (size) => {
  const isPossible = size >= MIB && size <= 256 * MIB && (size & (size - 1n)) === 0n;
  return isPossible ? ANYTHING : REFUSED;
};

/** A base that says it is a child has no locator; a child that says it is a base has no parent to read from. */
function flagsRule(flags: number, isChild: boolean): Expectation {
  if (flags > 3) return REFUSED;
  const saysChild = (flags & 2) !== 0;
  if (saysChild === isChild) return SAME;
  return isChild ? ANYTHING : REFUSED;
}

const asLeaf = (_: DiskModel, expectation: Expectation): Expectation => expectation;

/** The size of the disk is the child's; where its parent ends zeros begin. */
function asParent({ size }: DiskModel, expectation: Expectation): Expectation {
  if (expectation.size === undefined) return expectation;
  const { size: newSize, opens } = expectation;
  return { opens, touched: [{ offset: Math.min(newSize, size), length: Math.max(0, size - newSize) }] };
}

const sizeValues = (size: number): (number | bigint)[] => [
  512,
  4096,
  BLOCK_SIZE,
  size - 512,
  size + 4096,
  2 * size,
  131_072 * MIB,
  131_073 * MIB,
  2 ** 46,
  2n ** 63n,
];

/** A table of 1 MiB has room for 131,072 blocks; in a child for 63 chunks of 2048 (or 7 of 16,384) and their bitmaps. */
function sizeRule({ size, sectorSize, isChild, blocks }: DiskModel, value: bigint): Expectation {
  if (value === 0n || value > 2 ** 46 || value % BigInt(sectorSize) !== 0n) return REFUSED;
  const newSize = Number(value);
  const chunk = (2 ** 23 * sectorSize) / BLOCK_SIZE;
  const count = Math.ceil(newSize / BLOCK_SIZE);
  const entries = isChild ? Math.ceil(count / chunk) * (chunk + 1) : count + Math.floor((count - 1) / chunk);
  if (entries * 8 > MIB) return REFUSED;
  const least = Math.min(size, newSize);
  // What a last block held behind the end, and entries behind the last one, come to light.
  const grown = { offset: least, length: Math.max(0, newSize - least) };
  return { opens: count > blocks ? 'maybe' : 'yes', size: newSize, touched: [grown] };
}
