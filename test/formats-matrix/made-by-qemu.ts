/** Images that qemu creates and fills. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GiB, MiB } from '../../src/base/index.ts';
import type { MemoryDisk } from '../../src/disk/index.ts';
import { bytesOf, disk, strokesOf } from './content.ts';
import { modifiersOf, pairwise, product, type Made, type MatrixImage } from './image.ts';

const SECTOR = 512;

export const qemuImg = (...args: string[]): string =>
  execFileSync('qemu-img', args, { encoding: 'utf8', stdio: 'pipe' });

/** The size of the disk in `path`, as qemu sees it. */
export function qemuSize(format: string, path: string): number {
  return JSON.parse(qemuImg('info', '--output=json', '-f', format, path))['virtual-size'] as number;
}

/** Sizes about blocks of `blockSize`, by name. */
export const SIZES = {
  'one sector': (_blockSize: number, sector: number) => sector,
  'a sector less than a block': (blockSize: number, sector: number) => blockSize - sector,
  'one block': (blockSize: number) => blockSize,
  'a sector more than a block': (blockSize: number, sector: number) => blockSize + sector,
  'three blocks and seven sectors': (blockSize: number, sector: number) => 3 * blockSize + 7 * sector,
} as const;
export type SizeName = keyof typeof SIZES;
export const SIZE_NAMES = Object.keys(SIZES) as SizeName[];

const VHDX_ROWS = product({
  kind: ['dynamic', 'fixed'],
  blockMiB: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  size: SIZE_NAMES,
  zeroStates: ['on', 'off'],
  by: ['convert', 'writes'],
} as const);

const VHD_ROWS = product({
  kind: ['dynamic', 'fixed'],
  forced: ['on', 'off'],
  size: [...SIZE_NAMES, '2040 GiB'],
  by: ['convert', 'writes'],
} as const).filter(({ size, by }) => size !== '2040 GiB' || by === 'writes');

export function madeByQemu(all: boolean): MatrixImage[] {
  return [
    ...(all ? VHDX_ROWS : pairwise(VHDX_ROWS.filter(isQuick))).map(vhdxImage),
    ...(all ? VHD_ROWS : pairwise(VHD_ROWS)).map(vhdImage),
  ];
}

/** The smallest and the largest blocks, and those of Windows; qemu writes all of a block of 256 MiB when it converts. */
function isQuick({ blockMiB, by }: (typeof VHDX_ROWS)[number]): boolean {
  return [1, 2, 32].includes(blockMiB) || (blockMiB === 256 && by === 'writes');
}

function vhdxImage({ kind, blockMiB, size, zeroStates, by }: (typeof VHDX_ROWS)[number]): MatrixImage {
  const blockSize = blockMiB * MiB;
  const shape = { size: SIZES[size](blockSize, SECTOR), blockSize, sectorSize: SECTOR };
  return {
    name: `VHDX of qemu, ${kind}, ${size}, blocks of ${blockMiB} MiB, zero states ${zeroStates}, by ${by}`,
    trait: 'VHDX of qemu',
    modifiers: modifiersOf(shape),
    format: 'vhdx',
    make: (folder) => {
      const options = `subformat=${kind},block_size=${blockSize},block_state_zero=${zeroStates}`;
      return filled({ path: join(folder, 'disk.vhdx'), format: 'vhdx', options, shape, by });
    },
  };
}

function vhdImage({ kind, forced, size, by }: (typeof VHD_ROWS)[number]): MatrixImage {
  const blockSize = 2 * MiB;
  return {
    name: `VHD of qemu, ${kind}, ${size}, size forced ${forced}, by ${by}`,
    trait: forced === 'on' ? 'VHD of qemu, size forced' : 'VHD of qemu, size of its geometry',
    format: 'vhd',
    make: (folder) => {
      // The largest geometry holds 8 MiB less; qemu refuses more when it may not force the size.
      const bytes =
        size === '2040 GiB'
          ? forced === 'on'
            ? 2040 * GiB
            : 65535 * 16 * 255 * SECTOR
          : SIZES[size](blockSize, SECTOR);
      const shape = { size: bytes, blockSize, sectorSize: SECTOR };
      const options = `subformat=${kind},force_size=${forced}`;
      return filled({ path: join(folder, 'disk.vhd'), format: 'vpc', options, shape, by });
    },
  };
}

interface Order {
  readonly path: string;
  readonly format: 'vhdx' | 'vpc';
  readonly options: string;
  readonly shape: { readonly size: number; readonly blockSize: number; readonly sectorSize: number };
  readonly by: 'convert' | 'writes';
}

async function filled({ path, format, options, shape, by }: Order): Promise<Made> {
  const strokes = strokesOf(shape);
  const seed = 'qemu';
  if (by === 'convert') {
    const raw = `${path}.raw`;
    qemuImg('create', '-q', '-f', 'raw', raw, String(shape.size));
    writeStrokes('raw', raw, strokes, seed);
    qemuImg('convert', '-f', 'raw', '-O', format, '-o', options, raw, path);
  } else {
    qemuImg('create', '-q', '-f', format, '-o', options, path, String(shape.size));
    writeStrokes(format, path, strokes, seed);
  }
  const content: MemoryDisk = await disk(qemuSize(format, path), strokes, seed);
  return { files: [path], content, narrow: shape.size > GiB };
}

function writeStrokes(
  format: string,
  path: string,
  strokes: ReturnType<typeof strokesOf>,
  seed: string,
): void {
  const commands = strokes.flatMap((stroke) => {
    const bytes = `${path}.${stroke.offset}`;
    writeFileSync(bytes, bytesOf(stroke, seed));
    return ['-c', `write -s ${bytes} ${stroke.offset} ${stroke.length}`];
  });
  execFileSync('qemu-io', ['-f', format, ...commands, path], { stdio: 'pipe' });
}
