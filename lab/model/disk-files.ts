/** Making and remaking the base file of a disk. */
import { copyFile, open, rename, rm, stat } from 'node:fs/promises';
import { MiB, isZero, newGuid } from '../../src/base/index.ts';
import { FileReader, RawDisk, type Disk } from '../../src/disk/index.ts';
import { piecesOf } from '../../src/extents/index.ts';
import { createVhdx, openVhdx, openVhdxWritable, readVhdxInfo, type VhdxInfo } from '../../src/vhdx/index.ts';
import { LabFailure } from './failure.ts';
import type { DiskState } from './host-state.ts';
import { RETURN } from './return-codes.ts';

const COPY_SIZE = 4 * MiB;

/** What a new disk holds and looks like. One of `size`, `fromRaw`, `fromVhdx` says where its content comes from. */
export interface DiskContent {
  /** Bytes of a blank disk, or of a larger disk than the raw image fills. */
  readonly size?: number;
  /** Local path of a raw image. */
  readonly fromRaw?: string;
  /** Local path of a VHDX without parents; it is copied as it is, identity included. */
  readonly fromVhdx?: string;
  readonly kind?: 'dynamic' | 'fixed';
  readonly blockSize?: number;
  readonly logicalSectorSize?: 512 | 4096;
  readonly physicalSectorSize?: 512 | 4096;
}

/** Creates the VHDX at `path` and, when there is content, its raw copy at `basePath`. */
export async function makeDiskFile(path: string, basePath: string, content: DiskContent): Promise<VhdxInfo> {
  if (content.fromVhdx !== undefined) return importVhdx(content.fromVhdx, path, basePath);
  const sector = content.logicalSectorSize ?? 512;
  const rawBytes = content.fromRaw === undefined ? 0 : (await stat(content.fromRaw)).size;
  const size = Math.ceil(Math.max(content.size ?? 0, rawBytes) / sector) * sector;
  if (size === 0) throw new LabFailure(RETURN.invalidParameter, 'a disk needs a size, a raw image or a VHDX');
  await createVhdx(path, {
    size,
    kind: content.kind ?? 'dynamic',
    logicalSectorSize: sector,
    physicalSectorSize: content.physicalSectorSize ?? 4096,
    virtualDiskId: newGuid(),
    ...(content.blockSize === undefined ? {} : { blockSize: content.blockSize }),
  });
  if (content.fromRaw !== undefined) await importRaw(content.fromRaw, path, basePath, sector);
  return infoOf(path);
}

async function importVhdx(from: string, path: string, basePath: string): Promise<VhdxInfo> {
  await copyFile(from, path);
  const disk = await openVhdx(await FileReader.open(path), { path });
  try {
    await copyToRaw(disk, basePath);
  } finally {
    await disk.close();
  }
  return infoOf(path);
}

async function importRaw(from: string, path: string, basePath: string, sectorSize: number): Promise<void> {
  const raw = new RawDisk(await FileReader.open(from));
  try {
    await copyToRaw(raw, basePath);
    await copyToVhdx(raw, path, sectorSize);
  } finally {
    await raw.close();
  }
}

async function infoOf(path: string): Promise<VhdxInfo> {
  const reader = await FileReader.open(path);
  try {
    return await readVhdxInfo(reader, { path });
  } finally {
    await reader.close();
  }
}

/** Sparse: zeros are not written. */
async function copyToRaw(disk: Disk, path: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.truncate(disk.size);
    for await (const { offset, bytes } of dataOf(disk)) await file.write(bytes, 0, bytes.length, offset);
  } finally {
    await file.close();
  }
}

/** The last bytes of an image that is no whole number of sectors are padded with zeros. */
async function copyToVhdx(disk: Disk, path: string, sectorSize: number): Promise<void> {
  const file = await openVhdxWritable(path);
  try {
    for await (const { offset, bytes } of dataOf(disk)) {
      const padded = new Uint8Array(Math.ceil(bytes.length / sectorSize) * sectorSize);
      padded.set(bytes);
      if (offset < file.size)
        await file.write(offset, padded.subarray(0, Math.min(padded.length, file.size - offset)));
    }
  } finally {
    await file.close();
  }
}

async function* dataOf(disk: Disk): AsyncGenerator<{ offset: number; bytes: Uint8Array }> {
  const buffer = new Uint8Array(COPY_SIZE);
  for await (const { offset, length } of piecesOf(disk.allocated(), COPY_SIZE)) {
    const bytes = buffer.subarray(0, length);
    await disk.read(offset, bytes);
    if (!isZero(bytes)) yield { offset, bytes };
  }
}

/** Puts a file of another size, with the same identity and content, in the place of the VHDX at `path`. */
export async function replaceWithSize(path: string, size: number, disk: DiskState): Promise<void> {
  const next = `${path}.new`;
  await rm(next, { force: true });
  const old = await openVhdx(await FileReader.open(path), { path });
  try {
    await createVhdx(next, {
      size,
      kind: old.kind === 'fixed' ? 'fixed' : 'dynamic',
      blockSize: old.blockSize,
      logicalSectorSize: disk.logicalSectorSize,
      physicalSectorSize: disk.physicalSectorSize,
      virtualDiskId: disk.id,
    });
    await copyToVhdx(old, next, disk.logicalSectorSize);
  } finally {
    await old.close();
  }
  await rename(next, path);
}
