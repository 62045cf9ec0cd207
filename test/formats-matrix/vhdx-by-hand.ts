/** VHDX files that neither qemu nor our writers make, built byte by byte: what real files were seen to hold, and what they may. */
import { join } from 'node:path';
import { KiB, MiB } from '../../src/base/index.ts';
import { MemoryDisk } from '../../src/disk/index.ts';
import { buildVhdx, type BuiltBlock, type BuiltVhdx } from './built-vhdx.ts';
import { noise } from './content.ts';
import { modifiersOf, product, type MatrixImage } from './image.ts';
import { alone } from './vhdx-alone.ts';
import { chains } from './vhdx-chains.ts';

export type Layer = Omit<BuiltVhdx, 'parent' | 'identity'>;

export interface HandMade {
  readonly name: string;
  readonly trait: string;
  /** Base first. */
  readonly layers: readonly Layer[];
  /** Done to the leaf when it is written. */
  readonly damage?: (path: string, content: MemoryDisk) => Promise<void>;
}

export function vhdxByHand(all: boolean): MatrixImage[] {
  const shapes = product({ blockMiB: [1, 2, 32, 256], sector: [512, 4096] } as const).filter(
    ({ blockMiB, sector }) => all || blockMiB === 1 || (blockMiB === 32 && sector === 512),
  );
  return shapes.flatMap(({ blockMiB, sector }) =>
    handMade(partsOf(blockMiB * MiB, sector))
      // What is damaged is read and written as a whole, which the files of large blocks are too long for.
      .filter(({ damage }) => damage === undefined || blockMiB < 256)
      .map((each) => vhdxImage(each, blockMiB, sector)),
  );
}

function handMade(parts: Parts): HandMade[] {
  return [...alone(parts), ...chains(parts)];
}

function vhdxImage({ name, trait, layers, damage }: HandMade, blockMiB: number, sector: number): MatrixImage {
  return {
    name: `VHDX by hand, ${name}, blocks of ${blockMiB} MiB, sectors of ${sector} bytes`,
    trait,
    modifiers: modifiersOf({ size: layers.at(-1)!.size, sectorSize: sector }),
    format: 'vhdx',
    make: async (folder) => {
      const content = new MemoryDisk(layers.at(-1)!.size);
      const files: string[] = [];
      let parent: BuiltVhdx['parent'];
      for (const [n, layer] of layers.entries()) {
        const fileName = `${n}.vhdx`;
        files.unshift(join(folder, fileName));
        const identity = buildVhdx(files[0]!, { ...layer, ...(parent ? { parent } : {}) });
        parent = { identity, name: fileName };
        await applyLayer(layer, content);
      }
      await damage?.(files[0]!, content);
      return { files, content };
    },
  };
}

/** What the layer makes of the disk below it. */
async function applyLayer(
  { kind, size, blockSize, sectorSize = 512, blocks }: Layer,
  content: MemoryDisk,
): Promise<void> {
  for (const { index, state, strokes = [], sectors = [] } of blocks) {
    const start = index * blockSize;
    const length = Math.min(blockSize, size - start, content.size - start);
    if (state === 'absent') continue;
    const byBits = state === 'partial' && kind === 'differencing';
    const runs = byBits
      ? sectors.map(([first, count]) => [first * sectorSize, (first + count) * sectorSize] as const)
      : [[0, length] as const];
    for (const [from, to] of runs) {
      const end = Math.min(to, length);
      if (from >= end) continue;
      await content.zero(start + from, end - from);
      for (const stroke of state === 'present' || state === 'partial' ? strokes : []) {
        const low = Math.max(from, stroke.offset);
        const high = Math.min(end, stroke.offset + stroke.bytes.length);
        if (low < high)
          await content.write(start + low, stroke.bytes.subarray(low - stroke.offset, high - stroke.offset));
      }
    }
  }
}

/** What the images are put together from. */
export interface Parts {
  readonly block: (index: number, seed: string, more?: Partial<BuiltBlock>) => BuiltBlock;
  readonly size: number;
  readonly blockSize: number;
  readonly sector: number;
  /** Blocks in a chunk. */
  readonly chunk: number;
  /** Blocks 0 to 3 of five. */
  readonly base: Layer;
  readonly child: Omit<Layer, 'blocks'>;
  /** Some sectors of a block, the last among them. */
  readonly partial: Pick<BuiltBlock, 'state' | 'sectors'>;
  /** Blocks 0 to 2. */
  readonly emptied: readonly BuiltBlock[];
}

function partsOf(blockSize: number, sector: number): Parts {
  const block: Parts['block'] = (index, seed, more = {}) => ({
    index,
    state: 'present',
    strokes: [
      { offset: 0, bytes: noise(`${seed} ${index}`, 70 * KiB) },
      { offset: blockSize - 3 * sector, bytes: noise(`${seed} ${index} end`, 3 * sector) },
    ],
    ...more,
  });
  const size = 5 * blockSize - 24 * sector;
  const blocks = [0, 1, 2, 3].map((index) => block(index, 'base'));
  const last = blockSize / sector - 1;
  return {
    block,
    size,
    blockSize,
    sector,
    chunk: (2 ** 23 * sector) / blockSize,
    base: { size, kind: 'dynamic', blockSize, sectorSize: sector, blocks },
    child: { size, kind: 'differencing', blockSize, sectorSize: sector },
    partial: {
      state: 'partial',
      sectors: [
        [0, 3],
        [5, 1],
        [8, 9],
        [last, 1],
      ],
    },
    emptied: (['undefined', 'zero', 'unmapped'] as const).map((state, index) => ({ state, index })),
  };
}
