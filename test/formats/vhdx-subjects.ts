/** VHDX files in memory: fixed, dynamic, of 4 KiB sectors, with a log, and a chain of which either file is changed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { subtract, type Extent } from '../../src/extents/index.ts';
import {
  createDifferencingVhdx,
  createVhdx,
  openVhdxWritable,
  type CreateVhdxOptions,
} from '../../src/vhdx/index.ts';
import { seenThrough } from './expectation.ts';
import { MutableImage } from './mutable-image.ts';
import { Random } from './random.ts';
import { windowsOf, type Mutator, type Subject } from './subject.ts';
import { BLOCK_SIZE, DiskModel, MIB, type BlockPlace } from './vhdx-layout.ts';
import { vhdxMutators } from './vhdx-mutators.ts';
import { withLog } from './vhdx-log-subject.ts';

const SIZE = 3 * MIB + 8192;

export async function vhdxSubjects(folder: string): Promise<Subject[]> {
  const random = new Random(7);
  const dynamic = await baseFile(folder, 'dynamic', { kind: 'dynamic' }, random);
  const fixed = await baseFile(folder, 'fixed', { kind: 'fixed' }, random);
  const large = await baseFile(folder, 'sectors-4k', { kind: 'dynamic', logicalSectorSize: 4096 }, random);
  const chain = await childOf(folder, dynamic, 512, random);
  const largeChain = await childOf(folder, large, 4096, random);
  return [
    alone(dynamic, 512),
    alone(fixed, 512),
    alone(large, 4096),
    withLog(dynamic, 'log', 4096),
    withLog(dynamic, 'log around the end of its ring', MIB - 8192),
    ...bothOf(dynamic, chain, 512),
    ...bothOf(large, largeChain, 4096),
  ];
}

interface File {
  readonly path: string;
  readonly bytes: Buffer;
}

async function baseFile(
  folder: string,
  name: string,
  options: Pick<CreateVhdxOptions, 'kind' | 'logicalSectorSize'>,
  random: Random,
): Promise<File> {
  const path = join(folder, `${name}.vhdx`);
  await createVhdx(path, { size: SIZE, blockSize: BLOCK_SIZE, ...options });
  const file = await openVhdxWritable(path);
  // Blocks in another order than on the disk; one is not there, one is zeros.
  await file.write(3 * MIB, random.bytes(8192));
  await file.write(0, random.bytes(MIB));
  await file.zero(2 * MIB, MIB);
  await file.close();
  return { path, bytes: readFileSync(path) };
}

/** Of its blocks one is partly there, one wholly, one unmapped, one not at all. */
async function childOf(folder: string, parent: File, sectorSize: number, random: Random): Promise<File> {
  const path = join(folder, `child-${sectorSize}.avhdx`);
  await createDifferencingVhdx(path, { parentPath: parent.path, blockSize: BLOCK_SIZE });
  const file = await openVhdxWritable(path);
  await file.write(MIB, random.bytes(MIB));
  for (const at of [0, 8192, MIB / 2, MIB - 4096]) await file.write(at, random.bytes(4096));
  await file.trim(2 * MIB, MIB);
  await file.close();
  return { path, bytes: readFileSync(path) };
}

function alone({ path, bytes }: File, sectorSize: number): Subject {
  const image = new MutableImage(bytes);
  const model = new DiskModel(image, SIZE, sectorSize);
  const name = path.split('/').at(-1)!;
  const files = new Map([[path, image]]);
  return { name, path, files, image, ...looksOf(model), mutators: vhdxMutators(model) };
}

/** The whole content, by the model, and where it is looked at. */
function looksOf(model: DiskModel): Pick<Subject, 'content' | 'windows'> {
  return { content: model.content, windows: windowsOf(model.size, BLOCK_SIZE) };
}

/** The same chain twice: its child is changed, its parent is. */
function bothOf(parent: File, child: File, sectorSize: number): Subject[] {
  const above = new MutableImage(child.bytes);
  const below = new MutableImage(parent.bytes);
  const files = new Map([
    [child.path, above],
    [parent.path, below],
  ]);
  const base = new DiskModel(below, SIZE, sectorSize);
  const model = new DiskModel(above, SIZE, sectorSize, base.content);
  const looks = looksOf(model);
  const { path } = child;
  const transparent = subtract([{ offset: 0, length: SIZE }], opaque(model));
  const through = vhdxMutators(base, { isParent: true }).map((mutator) => seen(mutator, transparent));
  return [
    { name: `child, ${sectorSize}`, path, files, image: above, ...looks, mutators: vhdxMutators(model) },
    { name: `parent, ${sectorSize}`, path, files, image: below, ...looks, mutators: through },
  ];
}

/** A change of the parent as the chain shows it. */
export function seen({ make, ...mutator }: Mutator, transparent: readonly Extent[]): Mutator {
  return {
    ...mutator,
    make: (random) => {
      const { expect, amongOthers, ...mutant } = make(random);
      const rest = amongOthers ? { amongOthers: seenThrough(amongOthers, transparent) } : {};
      return { ...mutant, expect: seenThrough(expect, transparent), ...rest };
    },
  };
}

/** What of the disk the child itself holds or zeroes. */
function opaque(model: DiskModel): Extent[] {
  const own = ({ block, state }: BlockPlace): Extent[] => {
    if (state === 0) return [];
    if (state !== 7) return [model.range(block)];
    return sectorsOf(model, block);
  };
  return model.places.flatMap(own);
}

function sectorsOf(model: DiskModel, block: number): Extent[] {
  const { offset, length } = model.range(block);
  const { bytes } = model.image;
  const sectors: Extent[] = [];
  for (let at = offset; at < offset + length; at += model.sectorSize) {
    const sector = at / model.sectorSize;
    const bits = bytes[model.bitmap.fileOffset + Math.floor(sector / 8)]!;
    if (((bits >> (sector % 8)) & 1) === 1) sectors.push({ offset: at, length: model.sectorSize });
  }
  return sectors;
}
