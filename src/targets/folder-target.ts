/** A folder with one image file a disk: raw, sparse and of any size, or a dynamic VHDX. */
import { mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FileReader, syncFolder } from '../disk/index.ts';
import type { DiskSource } from '../machines/index.ts';
import { createVhdx, openVhdxWritable, readVhdxInfo } from '../vhdx/index.ts';
import { targetFaults } from './faults.ts';
import { FolderHistory } from './folder-history.ts';
import type { PlannedTargetDisk, Target, TargetDisk, TargetDiskSpec } from './port.ts';
import { RawTargetDisk } from './raw-target-disk.ts';
import { VhdxTargetDisk } from './vhdx-target-disk.ts';

export const IMAGE_KINDS = ['raw', 'vhdx'] as const;
export type ImageKind = (typeof IMAGE_KINDS)[number];

export class FolderTarget implements Target {
  readonly address: string;
  readonly #folder: string;
  readonly #kind: ImageKind;

  constructor(folder: string, kind: ImageKind) {
    this.#folder = folder;
    this.#kind = kind;
    this.address = `dir:${folder}?format=${kind}`;
  }

  describe(): string {
    return `${this.#kind} images in ${this.#folder}`;
  }

  placeOf({ name }: Pick<TargetDiskSpec, 'name'>): string {
    return join(this.#folder, `${name}.${this.#kind}`);
  }

  sourceOf(spec: TargetDiskSpec): Extract<DiskSource, { kind: 'file' }> {
    return { kind: 'file', path: this.placeOf(spec), format: this.#kind };
  }

  historyOf(owner: string): FolderHistory {
    return new FolderHistory(this.#folder, owner, (spec) => this.sourceOf(spec));
  }

  async prepare(disks: readonly PlannedTargetDisk[]): Promise<void> {
    let neededBytes = 0;
    for (const disk of disks) {
      const there = await this.#check(disk);
      if (!there) neededBytes += disk.neededBytes;
    }
    if (neededBytes > 0) await this.#checkRoom(neededBytes);
  }

  async openDisk(spec: TargetDiskSpec): Promise<TargetDisk> {
    const path = this.placeOf(spec);
    const isNew = (await this.#found(path)) === undefined;
    if (isNew) await this.#makeFolder();
    const disk = await (this.#kind === 'raw'
      ? RawTargetDisk.open(path, spec, isNew)
      : openVhdx(path, spec, isNew));
    if (isNew) await syncFolder(this.#folder);
    return disk;
  }

  /** The file system keeps when a file was last written, to a few milliseconds. */
  async markOf(spec: TargetDiskSpec): Promise<string | undefined> {
    const found = await stat(this.placeOf(spec), { bigint: true });
    return `${found.ino}-${found.size}-${found.mtimeNs}`;
  }

  /** Whether it is there. */
  async #check(disk: PlannedTargetDisk): Promise<boolean> {
    const place = this.placeOf(disk);
    const found = await this.#found(place);
    if (found === undefined && disk.expected === 'ours') throw targetFaults.diskMissing({ place });
    if (found !== undefined && disk.expected === 'new') throw targetFaults.occupied({ place });
    if (found !== undefined && this.#kind === 'vhdx') await checkVhdxFits(place, disk);
    return found !== undefined;
  }

  async #found(path: string): Promise<number | undefined> {
    try {
      const found = await stat(path);
      if (found.isFile()) return found.size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw unusable(this.#folder, error);
    }
    throw targetFaults.folderUnusable({ path: this.#folder, reason: `${path} is no regular file` });
  }

  async #checkRoom(neededBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(await existing(this.#folder)).catch((error: unknown) => {
      throw unusable(this.#folder, error);
    });
    const freeBytes = bavail * bsize;
    if (freeBytes < neededBytes) throw targetFaults.noRoom({ path: this.#folder, neededBytes, freeBytes });
  }

  async #makeFolder(): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true });
    } catch (error) {
      throw unusable(this.#folder, error);
    }
  }
}

async function openVhdx(path: string, spec: TargetDiskSpec, isNew: boolean): Promise<TargetDisk> {
  const { size, logicalSectorSize, diskId } = spec;
  if (isNew) await newVhdx(path, { size, logicalSectorSize, virtualDiskId: diskId });
  else await checkVhdxFits(path, spec);
  return new VhdxTargetDisk(await openVhdxWritable(path), isNew);
}

/** Under another name until it is whole: what a crash leaves under the final one can be opened. */
async function newVhdx(
  path: string,
  shape: { size: number; logicalSectorSize: number; virtualDiskId: string },
): Promise<void> {
  const unfinished = `${path}.unfinished`;
  await rm(unfinished, { force: true });
  await createVhdx(unfinished, { ...shape, kind: 'dynamic' });
  {
    await using handle = await open(unfinished, 'r+');
    await handle.sync();
  }
  await rename(unfinished, path);
}

async function checkVhdxFits(place: string, spec: TargetDiskSpec): Promise<void> {
  const reader = await FileReader.open(place).catch((error: unknown) => {
    throw unusable(dirname(place), error);
  });
  try {
    const { size, logicalSectorSize, kind } = await readVhdxInfo(reader, { path: place });
    if (kind === 'differencing') throw targetFaults.notAnImage({ place });
    if (size !== spec.size) throw targetFaults.sizeFixed({ place, size, wanted: spec.size });
    if (logicalSectorSize === spec.logicalSectorSize) return;
    throw targetFaults.sectorSizeDiffers({
      place,
      sectorSize: logicalSectorSize,
      wanted: spec.logicalSectorSize,
    });
  } finally {
    await reader.close();
  }
}

/** The folder, or the nearest above it that exists. */
async function existing(folder: string): Promise<string> {
  const there = await stat(folder).catch(() => undefined);
  const parent = dirname(folder);
  return there || parent === folder ? folder : existing(parent);
}

function unusable(path: string, error: unknown): Error {
  return targetFaults.folderUnusable({ path, reason: (error as Error).message }, { cause: error });
}
