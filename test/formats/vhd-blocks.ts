/** Changes of the block table, the sector bitmaps and the payload of a VHD: what each does to the disk is known to the byte. */
import { endOf, type Extent } from '../../src/extents/index.ts';
import { REFUSED, type Expectation } from './expectation.ts';
import type { Random } from './random.ts';
import type { Mutant, Mutator } from './subject.ts';
import { ABSENT, BITMAP_SIZE, SECTOR, TABLE, type VhdModel } from './vhd-layout.ts';

export function blockMutators(model: VhdModel): Mutator[] {
  const present = Array.from({ length: model.blocks }, (_, block) => block).filter(
    (block) => model.sectorOf(block) !== ABSENT,
  );
  return [
    { name: 'block table entry', weight: 10, make: (random) => entryMutant(model, random) },
    {
      name: 'sector bitmap',
      weight: 5,
      make: (random) => inBlock(model, random.pick(present), random, 'bitmap'),
    },
    { name: 'payload', weight: 5, make: (random) => inBlock(model, random.pick(present), random, 'payload') },
  ];
}

function entryMutant(model: VhdModel, random: Random): Mutant {
  const block = random.below(model.blocks);
  const before = model.sectorOf(block);
  const others = Array.from({ length: model.blocks }, (_, other) => model.sectorOf(other));
  const candidates = [
    ABSENT,
    0,
    1,
    3,
    before + 1,
    before - 1,
    ...others,
    random.below(model.dataEnd / SECTOR),
    ABSENT - 1,
  ];
  const value = random.pick(candidates) >>> 0;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  const ranges = [model.range(block)];
  const isPossible = value === ABSENT || model.isFree(value, block);
  return {
    what: `entry ${block}: sector ${before} becomes ${value}`,
    patches: [{ offset: TABLE + 4 * block, bytes }],
    expect: isPossible ? { opens: 'yes', touched: ranges, content: contentOf(model, ranges) } : REFUSED,
    // Another change may make room for it.
    amongOthers: { opens: 'maybe', touched: ranges },
  };
}

function inBlock(model: VhdModel, block: number, random: Random, what: 'bitmap' | 'payload'): Mutant {
  const start = model.sectorOf(block) * SECTOR;
  const { offset, length } = model.range(block);
  const count = what === 'bitmap' ? Math.ceil(length / SECTOR / 8) : length;
  const at = random.below(count);
  const place = start + (what === 'bitmap' ? at : BITMAP_SIZE + at);
  const bytes = Buffer.of(model.image.bytes[place]! ^ random.between(1, 256));
  const sectors = {
    offset: offset + at * 8 * SECTOR,
    length: Math.min(8 * SECTOR, length - at * 8 * SECTOR),
  };
  const touched = what === 'bitmap' ? [sectors] : [{ offset: offset + at, length: 1 }];
  return {
    what: `${what} of block ${block} at ${at}`,
    patches: [{ offset: place, bytes }],
    expect: { opens: 'yes', touched, content: contentOf(model, touched) },
  };
}

/** What the file as it is now says of `ranges`. */
function contentOf(model: VhdModel, ranges: readonly Extent[]): NonNullable<Expectation['content']> {
  return (window, into) => {
    if (ranges.some((range) => window.offset < endOf(range) && endOf(window) > range.offset)) {
      model.expect(window, into);
    }
  };
}
