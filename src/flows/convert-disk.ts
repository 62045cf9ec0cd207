/**
 * A disk file into an image of any format, or into a stream.
 *
 *   open with parents ─► nothing in the way, nothing of the source hit ─► copy ─► is the source what it was?
 *                                                                  final name ◄── read back (verify) ◄─┘
 *
 * The source is only read. The image has its name once it is complete and passed what was asked of it; what fails leaves nothing
 * new, and an image that was to be replaced stays.
 */
import { basename } from 'node:path';
import { silentProgress, type Progress } from '../base/index.ts';
import { copyDisk } from '../copy/index.ts';
import { RawDisk, type CallOptions, type Disk } from '../disk/index.ts';
import {
  checkFits,
  createImage,
  imageStream,
  openQcow2,
  openSparseVmdk,
  writeCompressedImage,
  type CompressedFormat,
  type ImageFormat,
  type StreamFormat,
} from '../images/index.ts';
import type { DiskFormat } from '../virtualdisk/index.ts';
import { compareContent } from './compare-disks.ts';
import { flowFaults } from './faults.ts';
import { LocalDisk, openLocalFile, type LocalDiskOptions } from './local-disk.ts';
import { filesOf, formatInfo, isCompressed } from './restore-formats.ts';

export type ConvertFormat = ImageFormat | CompressedFormat;

export interface ConvertRequest extends LocalDiskOptions {
  readonly source: string;
  readonly target: string;
  readonly format: ConvertFormat;
  /** Replaces an image of that name, finished or not, once the new one is complete, and verified where asked for. Default: refused. */
  readonly overwrite?: boolean;
  /** Reads the image again and compares. */
  readonly verify?: boolean;
  readonly progress?: Progress;
}

export interface ConvertRecord {
  readonly source: string;
  readonly sourceFormat: DiskFormat;
  readonly target: string;
  readonly format: ConvertFormat;
  readonly virtualBytes: number;
  /** Data of the image, before metadata; compressed where the format is. */
  readonly writtenBytes: number;
  /** The image was read again and is the same disk. */
  readonly verified: boolean;
  readonly seconds: number;
}

/**
 * Faults: those of {@link LocalDisk.open} and of reading, `FLOW_TARGET_IS_SOURCE`, `IMAGE_` before anything is written;
 * `DISK_NO_SPACE`, `DISK_IO_FAILED`, `FLOW_SOURCE_CHANGED`, `FLOW_CONVERTED_DIFFERS`, `IMAGE_DAMAGED` later.
 */
export async function convertDisk(request: ConvertRequest): Promise<ConvertRecord> {
  const { source: path, target, format, verify = false, progress = silentProgress } = request;
  const started = performance.now();
  await using source = await LocalDisk.open(path, request);
  checkFits(format, formatInfo(format), source.disk);
  await refuseOwnFiles(source, filesOf(format, target));
  progress.phase(`convert ${basename(path)} to ${format}`, source.disk.size);
  const { writtenBytes } = isCompressed(format)
    ? await compress(source, { ...request, format })
    : await place(source, { ...request, format });
  return {
    source: path,
    sourceFormat: source.opened.format,
    target,
    format,
    virtualBytes: source.disk.size,
    writtenBytes,
    verified: verify,
    seconds: (performance.now() - started) / 1000,
  };
}

/** The names an image has while it is written count too: what an earlier run left under them is removed. */
async function refuseOwnFiles(source: LocalDisk, targets: readonly string[]): Promise<void> {
  for (const target of targets.flatMap((name) => [name, `${name}.partial`])) {
    const own = await source.fileAt(target);
    if (own !== undefined) throw flowFaults.targetIsSource({ target, source: own });
  }
}

type Conversion<F> = ConvertRequest & { readonly format: F };
interface Written {
  readonly writtenBytes: number;
}

async function place(source: LocalDisk, request: Conversion<ImageFormat>): Promise<Written> {
  const { format, target: path, overwrite = false, signal, progress = silentProgress } = request;
  const { disk, opened } = source;
  const { size, logicalSectorSize } = disk;
  const physical = opened.format === 'vhdx' ? { physicalSectorSize: opened.disk.physicalSectorSize } : {};
  const check = (partialPath: string): Promise<void> => checkImage(source, partialPath, request);
  const target = await createImage(format, path, { size, logicalSectorSize, ...physical, overwrite, check });
  try {
    const stats = await copyDisk({ source: disk, target, signal, progress });
    await target.finish();
    return stats;
  } catch (error) {
    await target.abort();
    throw error;
  }
}

async function compress(source: LocalDisk, request: Conversion<CompressedFormat>): Promise<Written> {
  const { format, target, overwrite = false, signal, progress = silentProgress } = request;
  const check = (partialPath: string): Promise<void> => checkImage(source, partialPath, request);
  return await writeCompressedImage(format, target, source.disk, { overwrite, check, signal, progress });
}

async function checkImage(source: LocalDisk, partialPath: string, request: ConvertRequest): Promise<void> {
  await source.checkUnchanged();
  if (!request.verify) return;
  const { format, target, signal, progress = silentProgress } = request;
  progress.phase(`read back ${basename(target)}`, source.disk.size);
  const image = await openImage(format, partialPath, { signal });
  try {
    const { equal, firstDifference } = await compareContent(source.disk, image, { signal, progress });
    if (!equal) throw flowFaults.convertedDiffers({ path: target, offset: firstDifference });
  } finally {
    await image.close();
  }
}

/** As what was written: plain bytes are that, whatever disk or image the guest keeps in them. */
async function openImage(format: ConvertFormat, path: string, options: CallOptions): Promise<Disk> {
  const image = { ...options, open: openLocalFile };
  if (format === 'raw' || format === 'vmdk-flat') return new RawDisk(await openLocalFile(path));
  if (format === 'qcow2' || format === 'qcow2-zstd') return openQcow2(path, image);
  if (format === 'vmdk' || format === 'vmdk-stream') return openSparseVmdk(path, image);
  return (await LocalDisk.open(path, options)).disk;
}

export interface ConvertStreamRequest extends LocalDiskOptions {
  readonly source: string;
  readonly format: StreamFormat;
  readonly progress?: Progress;
}

/** The bytes of the image. What throws after the first byte leaves a stream that is cut off. Faults as {@link convertDisk}. */
export async function* convertStream(request: ConvertStreamRequest): AsyncGenerator<Uint8Array> {
  const { source: path, format, signal, progress = silentProgress } = request;
  await using source = await LocalDisk.open(path, request);
  progress.phase(`send ${basename(path)} as ${format}`, source.disk.size);
  yield* imageStream(format, source.disk, { signal, progress });
  await source.checkUnchanged();
}
