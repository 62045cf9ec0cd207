/** Changes of the block table, the sector bitmap and the payload of a VHDX: what each does to the disk is known to the byte. */
import { endOf, type Extent } from '../../src/extents/index.ts';
import { ANYTHING, REFUSED, SAME, SAME_OR_REFUSED, type Expectation } from './expectation.ts';
import type { Random } from './random.ts';
import { areaMutator } from './structure-fields.ts';
import type { Mutant, Mutator } from './subject.ts';
import {
  BLOCK_SIZE,
  MIB,
  entryAt,
  isInFile,
  placeOf,
  type BlockPlace,
  type DiskModel,
} from './vhdx-layout.ts';

export function tableMutators(model: DiskModel): Mutator[] {
  const { image } = model;
  const used = model.isChild ? [...model.places.keys(), model.bitmapEntry] : [...model.places.keys()];
  const lastUsed = used.at(-1)!;
  const area = (name: string, from: number, to: number): Mutator =>
    areaMutator(image, {
      name,
      at: entryAt(from),
      length: entryAt(to) - entryAt(from),
      expect: SAME,
      amongOthers: SAME_OR_REFUSED,
      weight: 1,
    });
  return [
    {
      name: 'block table entry',
      weight: 14,
      make: (random) => entryMutant(model, random.pick(used), random),
    },
    area('behind the block table', lastUsed + 1, 131_072),
    ...(model.isChild ? [area('entries of blocks that are not', model.blocks, model.bitmapEntry)] : []),
    ...(model.isChild ? [bitmapMutator(model)] : []),
  ];
}

function entryMutant(model: DiskModel, entry: number, random: Random): Mutant {
  const before = placeOf(model.image.bytes, entry);
  const state = random.below(8);
  const offsetMiB = random.pick([
    before.fileOffset / MIB,
    before.fileOffset / MIB + 4096,
    ...Array.from({ length: 12 }, (_, n) => n),
    2 ** 28,
    2 ** 43,
  ]);
  const reserved = random.oneIn(8) ? 1n << BigInt(random.between(3, 20)) : 0n;
  const value = (BigInt(offsetMiB) << 20n) | reserved | BigInt(state);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  const expect =
    reserved === 0n ? expectedOfEntry(model, { block: entry, state, fileOffset: offsetMiB * MIB }) : REFUSED;
  return {
    what: `entry ${entry}: state ${state} at ${offsetMiB} MiB, reserved ${reserved}`,
    patches: [{ offset: entryAt(entry), bytes }],
    expect,
    // Another change may make room for it, or make a block one that the bitmap speaks of.
    amongOthers: entry === model.bitmapEntry ? ANYTHING : { opens: 'maybe', touched: [model.range(entry)] },
  };
}

function expectedOfEntry(model: DiskModel, { block: entry, state, fileOffset }: BlockPlace): Expectation {
  const isBitmap = entry === model.bitmapEntry;
  const partial = model.places.filter((place) => place.state === 7);
  if (state === 4 || state === 5 || (isBitmap && state > 0 && state < 6)) return REFUSED;
  if (isBitmap && state === 0) return partial.length > 0 ? REFUSED : SAME;
  if (!isBitmap && state === 7 && model.isChild && !isInFile(model.bitmap.state)) return REFUSED;
  const ranges = isBitmap ? partial.map(({ block }) => model.range(block)) : [model.range(entry)];
  if (isInFile(state)) {
    const length = isBitmap ? MIB : model.range(entry).length;
    const isFree = !model.claimedWithout(entry).has(fileOffset / MIB);
    if (!isFree || fileOffset + length > model.image.originalSize) return REFUSED;
  }
  return { opens: 'yes', touched: ranges, content: contentOf(model, ranges) };
}

/** What the file as it is now says of `ranges`. */
function contentOf(model: DiskModel, ranges: readonly Extent[]): NonNullable<Expectation['content']> {
  return (window, into) => {
    if (ranges.some((range) => window.offset < endOf(range) && endOf(window) > range.offset)) {
      model.expect(window, into);
    }
  };
}

function bitmapMutator(model: DiskModel): Mutator {
  const { bitmap } = model;
  const sectorsPerBlock = BLOCK_SIZE / model.sectorSize;
  return {
    name: 'sector bitmap',
    weight: 6,
    make: (random) => {
      const at = random.below(Math.ceil((model.blocks * sectorsPerBlock) / 8));
      const bytes = random.bytes(random.pick([1, 1, 8, 64]));
      const ranges = model.places.filter(({ state }) => state === 7).map(({ block }) => model.range(block));
      return {
        what: `sector bitmap: ${bytes.length} bytes at ${at}`,
        patches: [{ offset: bitmap.fileOffset + at, bytes }],
        expect: { opens: 'yes', touched: ranges, content: contentOf(model, ranges) },
      };
    },
  };
}

export function payloadMutators(model: DiskModel): Mutator[] {
  const { image } = model;
  const unclaimed = unclaimedMiB(model);
  const inBlock = (random: Random): Mutant => {
    const { block, fileOffset } = random.pick(model.places.filter(({ state }) => isInFile(state)));
    const range = model.range(block);
    // As often as not where a window is: at the edges.
    const at = random.pick([
      random.below(range.length),
      random.below(Math.min(512, range.length)),
      range.length - 1,
    ]);
    const bytes = Buffer.of(image.bytes[fileOffset + at]! ^ random.between(1, 256));
    const touched = [{ offset: range.offset + at, length: 1 }];
    return {
      what: `payload of block ${block} at ${at}`,
      patches: [{ offset: fileOffset + at, bytes }],
      expect: { opens: 'yes', touched, content: contentOf(model, touched) },
    };
  };
  return [
    { name: 'payload', weight: 6, make: inBlock },
    ...unclaimed.map((at) =>
      areaMutator(image, { name: 'room that nothing claims', at, length: MIB, expect: SAME, weight: 1 }),
    ),
  ];
}

/** Below the end; a log that is empty counts as well. */
function unclaimedMiB(model: DiskModel): number[] {
  const claimed = model.claimedWithout(-1);
  const all = Array.from({ length: Math.floor(model.image.originalSize / MIB) }, (_, n) => n);
  return [MIB, ...all.filter((n) => !claimed.has(n)).map((n) => n * MIB)];
}
