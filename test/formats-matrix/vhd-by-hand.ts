/** VHD files that neither qemu nor our writers make, built byte by byte. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KiB, MiB, newGuid } from '../../src/base/index.ts';
import { MemoryDisk } from '../../src/disk/index.ts';
import { beside, buildVhd, type BuiltBlock, type BuiltDisk } from '../../src/vhd/built-vhd.fixture.ts';
import { noise } from './content.ts';
import type { Made, MatrixImage } from './image.ts';

/** Images of 8 MiB: all block sizes there are. */
export function vhdByHand(): MatrixImage[] {
  return vhds().map(vhdImage);
}

interface HandMadeVhd {
  readonly name: string;
  readonly trait: string;
  /** Base first. */
  readonly layers: readonly Omit<BuiltDisk, 'uniqueId' | 'parentId' | 'locators'>[];
  readonly damage?: (bytes: Buffer) => Buffer;
}

function vhds(): HandMadeVhd[] {
  const size = 8 * MiB + 5 * 512;
  const blockSize = 2 * MiB;
  const block = (index: number, seed: string, has?: (sector: number) => boolean): BuiltBlock => ({
    index,
    data: noise(`${seed} ${index}`, blockSize),
    ...(has ? { has } : {}),
  });
  const base = {
    kind: 'dynamic',
    size,
    blockSize,
    blocks: [0, 1, 3].map((index) => block(index, 'base')),
  } as const;
  const child = { kind: 'differencing', size, blockSize } as const;
  const some = (sector: number): boolean => sector % 5 === 0 || (sector > 100 && sector < 900);
  const smallBlocks = {
    ...base,
    blockSize: 512 * KiB,
    blocks: [0, 5].map((index) => ({ index, data: noise(`small ${index}`, 512 * KiB) })),
  };
  return [
    { name: 'dynamic', trait: 'VHD, dynamic', layers: [base] },
    {
      name: 'dynamic, blocks in reverse order',
      trait: 'VHD, dynamic',
      layers: [{ ...base, blocks: base.blocks.toReversed() }],
    },
    { name: 'dynamic, small blocks', trait: 'VHD, dynamic', layers: [smallBlocks] },
    {
      name: 'dynamic, the last block short on the disk',
      trait: 'VHD, dynamic',
      layers: [{ ...base, blocks: [block(4, 'base')] }],
    },
    { name: 'header not at 512', trait: 'VHD, header elsewhere', layers: [{ ...base, gap: 7 }] },
    {
      name: 'table larger than the disk',
      trait: 'VHD, table larger than the disk',
      layers: [{ ...base, tableEntries: 300 }],
    },
    {
      name: 'dynamic, sectors without a bit',
      trait: 'VHD, dynamic with cleared bits',
      layers: [{ ...base, blocks: [block(1, 'base', some)] }],
    },
    {
      name: 'geometry smaller than the disk',
      trait: 'VHD, geometry smaller than the disk',
      layers: [{ ...base, geometry: [240, 4, 17] as const }],
    },
    {
      name: 'geometry smaller, of an unknown creator',
      trait: 'VHD, geometry smaller, creator unknown',
      layers: [{ ...base, geometry: [240, 4, 17] as const, creator: 'abcd' }],
    },
    { name: 'fixed', trait: 'VHD, fixed', layers: [{ kind: 'fixed', size, content: noise('fixed', size) }] },
    {
      name: 'footer at the end damaged',
      trait: 'VHD, end footer damaged',
      layers: [base],
      damage: (bytes) => bytes.fill(0x5a, bytes.length - 512),
    },
    {
      name: 'footer at the end cut off',
      trait: 'VHD, end footer missing',
      layers: [base],
      damage: (bytes) => bytes.subarray(0, bytes.length - 512),
    },
    {
      name: 'footer at the start damaged',
      trait: 'VHD, footer copy damaged',
      layers: [base],
      damage: (bytes) => bytes.fill(0x5a, 0, 512),
    },
    {
      name: 'footer of 511 bytes',
      trait: 'VHD, footer of 511 bytes',
      layers: [base],
      damage: (bytes) => bytes.subarray(0, bytes.length - 1).fill(0, 0, 512),
    },
    {
      name: 'child with some sectors',
      trait: 'VHD chain',
      layers: [base, { ...child, blocks: [block(1, 'child', some), block(2, 'child', some)] }],
    },
    {
      name: 'child with whole blocks',
      trait: 'VHD chain, whole blocks',
      layers: [base, { ...child, blocks: [block(3, 'child')] }],
    },
    {
      name: 'three files',
      trait: 'VHD chain',
      layers: [
        base,
        { ...child, blocks: [block(0, 'one', some)] },
        { ...child, blocks: [block(0, 'two', (sector) => sector % 3 === 0)] },
      ],
    },
    {
      name: 'child over a fixed disk',
      trait: 'VHD chain',
      layers: [
        { kind: 'fixed', size, content: noise('fixed', size) },
        { ...child, blocks: [block(0, 'one', some)] },
      ],
    },
  ];
}

function vhdImage({ name, trait, layers, damage }: HandMadeVhd): MatrixImage {
  return {
    name: `VHD by hand, ${name}`,
    trait,
    format: 'vhd',
    make: async (folder): Promise<Made> => {
      const content = new MemoryDisk(layers.at(-1)!.size);
      const files: string[] = [];
      let parentId: string | undefined;
      for (const [n, layer] of layers.entries()) {
        const uniqueId = newGuid();
        files.unshift(join(folder, `${n}.vhd`));
        const above =
          parentId === undefined
            ? {}
            : { parentId, parentName: `${n - 1}.vhd`, locators: beside(`${n - 1}.vhd`) };
        buildVhd(files[0]!, { ...layer, ...above, uniqueId });
        await applyVhd(layer, content);
        parentId = uniqueId;
      }
      if (damage) writeFileSync(files[0]!, damage(readFileSync(files[0]!)));
      return { files, content };
    },
  };
}

async function applyVhd(
  { kind, size, blockSize = 2 * MiB, blocks = [], content: fixed }: HandMadeVhd['layers'][number],
  content: MemoryDisk,
): Promise<void> {
  if (kind === 'fixed') await content.write(0, fixed!);
  for (const { index, data, has = () => true } of blocks) {
    for (let sector = 0; sector < blockSize / 512; sector += 1) {
      const offset = index * blockSize + sector * 512;
      if (offset < size && has(sector))
        await content.write(offset, data.subarray(sector * 512, sector * 512 + 512));
    }
  }
}
