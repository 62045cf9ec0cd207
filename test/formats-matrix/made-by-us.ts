/** Images that our own writers make: placed, in place with zeroing and trimming, and left open with a log in force. */
import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { GiB, KiB, MiB, TiB, isZero } from '../../src/base/index.ts';
import { MemoryDisk, type PlacedWriter, type RangeWriter } from '../../src/disk/index.ts';
import { clip, normalise } from '../../src/extents/index.ts';
import { createPlacedVhd, createVhd, openVhdWritable } from '../../src/vhd/index.ts';
import {
  createDifferencingVhdx,
  createPlacedDifferencingVhdx,
  createPlacedVhdx,
  createVhdx,
  openVhdxWritable,
  type VhdxFile,
} from '../../src/vhdx/index.ts';
import { bytesOf, strokesOf, type DiskShape } from './content.ts';
import { modifiersOf, pairwise, product, type Made, type MatrixImage } from './image.ts';
import { SIZES, SIZE_NAMES, type SizeName } from './made-by-qemu.ts';

const HOWS = ['placed', 'in place', 'left open'] as const;
type How = (typeof HOWS)[number];

const VHDX_ROWS = product({
  kind: ['dynamic', 'fixed'],
  blockMiB: [1, 2, 32, 256],
  sector: [512, 4096],
  size: [...SIZE_NAMES, '64 TiB'],
  how: HOWS,
} as const).filter(({ size, kind, blockMiB }) => size !== '64 TiB' || (kind === 'dynamic' && blockMiB >= 32));

const CHILD_ROWS = product({
  blockMiB: [1, 2, 32],
  parentBlockMiB: [1, 32],
  sector: [512, 4096],
  size: SIZE_NAMES,
  files: [2, 4],
  how: HOWS,
} as const);

const VHD_ROWS = product({
  kind: ['dynamic', 'fixed'],
  blockKiB: [2048, 512],
  size: [...SIZE_NAMES, '2040 GiB'],
  how: ['placed', 'in place'],
} as const).filter(({ kind, blockKiB }) => kind === 'dynamic' || blockKiB === 2048);

export function madeByUs(all: boolean): MatrixImage[] {
  return [
    ...(all ? VHDX_ROWS : pairwise(VHDX_ROWS)).map(vhdxImage),
    ...(all ? CHILD_ROWS : pairwise(CHILD_ROWS)).map(childImage),
    ...(all ? VHD_ROWS : pairwise(VHD_ROWS)).map(vhdImage),
  ];
}

function shapeOf(size: SizeName | '64 TiB' | '2040 GiB', blockSize: number, sectorSize: number): DiskShape {
  const large = { '64 TiB': 64 * TiB, '2040 GiB': 2040 * GiB };
  const bytes =
    size in large ? large[size as keyof typeof large] : SIZES[size as SizeName](blockSize, sectorSize);
  return { size: bytes, blockSize, sectorSize };
}

function vhdxImage({ kind, blockMiB, sector, size, how }: (typeof VHDX_ROWS)[number]): MatrixImage {
  const shape = shapeOf(size, blockMiB * MiB, sector);
  return {
    name: `VHDX of ours, ${kind}, ${size}, blocks of ${blockMiB} MiB, sectors of ${sector} bytes, ${how}`,
    trait: 'VHDX of ours',
    modifiers: modifiersOf({ ...shape, leftOpen: how === 'left open' }),
    format: 'vhdx',
    make: async (folder) => {
      const path = join(folder, 'disk.vhdx');
      const options = { ...shape, kind, logicalSectorSize: sector };
      const content = new MemoryDisk(shape.size);
      if (how === 'placed') {
        await place(await createPlacedVhdx(path, options), shape, content, 0);
        return { files: [path], content, narrow: isLarge(kind, shape) };
      }
      await createVhdx(path, options);
      const file = await edited(path, shape, content, 0, how);
      return { files: [file], content, narrow: isLarge(kind, shape) };
    },
  };
}

/** Beyond what the slow decoder walks through: 2¹⁶ blocks, or 1 GiB of blocks that are all there. */
function isLarge(kind: string, { size, blockSize }: DiskShape): boolean {
  return kind === 'fixed' ? size > GiB : size / blockSize > 2 ** 16;
}

function childImage(row: (typeof CHILD_ROWS)[number]): MatrixImage {
  const { blockMiB, parentBlockMiB, sector, size, files: count, how } = row;
  const shape = shapeOf(size, blockMiB * MiB, sector);
  const emptied = how !== 'placed' && leavesEmpty(size, count);
  return {
    name: `chain of ours, ${count} files, ${size}, blocks of ${blockMiB} over ${parentBlockMiB} MiB, sectors of ${sector} bytes, ${how}`,
    trait: emptied ? 'VHDX chain of ours, emptied blocks' : 'VHDX chain of ours',
    modifiers: modifiersOf({ ...shape, leftOpen: how === 'left open' }),
    format: 'vhdx',
    make: async (folder) => {
      const base = join(folder, 'base.vhdx');
      const content = new MemoryDisk(shape.size);
      await createVhdx(base, {
        size: shape.size,
        kind: 'dynamic',
        blockSize: parentBlockMiB * MiB,
        logicalSectorSize: sector,
      });
      await edited(base, shape, content, 0, 'in place');
      const files = [base];
      for (let n = 1; n < count; n += 1) {
        const options = { parentPath: files[0]!, blockSize: shape.blockSize };
        files.unshift(await child(join(folder, `${n}.avhdx`), options, { shape, content, n, how }));
      }
      return { files, content };
    },
  };
}

/** Whether `edit` leaves a block of a child empty over data: the fourth, the whole disk, or a second one of one sector. */
function leavesEmpty(size: SizeName, files: number): boolean {
  const small = size === 'one sector' || size === 'a sector more than a block';
  return size === 'three blocks and seven sectors' || (small && files > 2);
}

async function child(
  path: string,
  options: { readonly parentPath: string; readonly blockSize: number },
  { shape, content, n, how }: { shape: DiskShape; content: MemoryDisk; n: number; how: How },
): Promise<string> {
  if (how === 'placed') {
    await place(await createPlacedDifferencingVhdx(path, options), shape, content, n);
    return path;
  }
  await createDifferencingVhdx(path, options);
  return edited(path, shape, content, n, how);
}

function vhdImage({ kind, blockKiB, size, how }: (typeof VHD_ROWS)[number]): MatrixImage {
  return {
    name: `VHD of ours, ${kind}, ${size}, blocks of ${blockKiB} KiB, ${how}`,
    trait: 'VHD of ours',
    format: 'vhd',
    make: async (folder): Promise<Made> => {
      const path = join(folder, 'disk.vhd');
      const shape = shapeOf(size, blockKiB * KiB, 512);
      const content = new MemoryDisk(shape.size);
      const options = { size: shape.size, kind, blockSize: shape.blockSize };
      if (how === 'placed') await place(await createPlacedVhd(path, options), shape, content, 0);
      else {
        await createVhd(path, options);
        const file = await openVhdWritable(path);
        await edit(file, shape, content, 0);
        await file.close();
      }
      return { files: [path], content, narrow: isLarge(kind, shape) };
    },
  };
}

/** Fills a placed image as a restore does: ranges in order; sectors of zeros get their place and are not written. */
async function place(
  writer: PlacedWriter,
  shape: DiskShape,
  content: MemoryDisk,
  layer: number,
): Promise<void> {
  const { sectorSize } = shape;
  const handle = await open(writer.path, 'r+');
  for (const stroke of layerStrokes(shape, layer)) {
    const bytes = bytesOf(stroke, `layer ${layer}`);
    bytes.subarray(4 * sectorSize, 8 * sectorSize).fill(0);
    await content.write(stroke.offset, bytes);
    let done = 0;
    for (const { fileOffset, length } of await writer.place(stroke.offset, stroke.length)) {
      for (let at = 0; at < length; at += sectorSize) {
        const sector = bytes.subarray(done + at, done + at + sectorSize);
        if (!isZero(sector)) await handle.write(sector, 0, sectorSize, fileOffset + at);
      }
      done += length;
    }
  }
  await handle.close();
  await writer.finish();
}

function layerStrokes(shape: DiskShape, layer: number): ReturnType<typeof strokesOf> {
  const shift = 3 * layer * shape.sectorSize;
  const shifted = strokesOf(shape).map(({ offset, length }) => ({ offset: offset + shift, length }));
  return normalise(clip(shifted, shape.size));
}

/** Opens, changes and closes `path`; when left open, a copy of it as it was before it was closed. */
async function edited(
  path: string,
  shape: DiskShape,
  content: MemoryDisk,
  layer: number,
  how: 'in place' | 'left open',
): Promise<string> {
  const file = await openVhdxWritable(path);
  await edit(file, shape, content, layer);
  if (how === 'in place') {
    await file.close();
    return path;
  }
  await file.flush();
  const left = `${path}.left-open`;
  execFileSync('cp', ['--sparse=always', path, left]);
  await file.close();
  return left;
}

/** Writes, zeroes and trims: whole blocks, parts of blocks, twice the same place; what it leaves goes into `content`. */
async function edit(
  file: RangeWriter & Partial<Pick<VhdxFile, 'trim'>>,
  shape: DiskShape,
  content: MemoryDisk,
  layer: number,
): Promise<void> {
  const { size, blockSize, sectorSize: sector } = shape;
  const seed = `layer ${layer}`;
  const write = async (offset: number, length: number, name: string): Promise<void> => {
    const end = Math.min(size, offset + length);
    if (offset >= end) return;
    const bytes = bytesOf({ offset, length: end - offset }, name);
    await file.write(offset, bytes);
    await content.write(offset, bytes);
  };
  const empty = async (what: 'zero' | 'trim', offset: number, length: number): Promise<void> => {
    const end = Math.min(size, offset + length);
    if (offset >= end) return;
    await (what === 'trim' && file.trim ? file.trim(offset, end - offset) : file.zero(offset, end - offset));
    await content.zero(offset, end - offset);
  };
  // Nothing is there yet but in the layers below: zeros must hide them.
  if (layer > 0) await empty('zero', 3 * blockSize, blockSize);
  await write(2 * blockSize, 16 * sector, `${seed} before`);
  await write(blockSize, 5 * sector, `${seed} before`);
  await file.flush();
  await empty('zero', 2 * blockSize, blockSize);
  await empty('trim', blockSize, blockSize);
  await file.flush();
  for (const { offset, length } of layerStrokes(shape, layer)) await write(offset, length, seed);
  await empty('zero', 7 * sector, 6 * sector);
  await empty('trim', 20 * sector, 2 * sector);
  if (layer === 2) await empty('zero', 0, blockSize);
  await write(9 * sector, sector, `${seed} again`);
}
