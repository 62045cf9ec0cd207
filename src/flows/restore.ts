/**
 * Restore of a restore point's disks into image files or one package, with the VM's settings beside them.
 *
 *   choose the disks ─► refuse what is in the way, for all of them ─► write one image after the other ─► vm.json
 *
 * What would stop the last image is found before the first byte of the first is read: a restore is started by people in a
 * hurry, and one that is refused after an hour is worse than one that is refused.
 */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { silentProgress, type Progress, type Warning } from '../base/index.ts';
import {
  checkFits,
  createImage,
  imageFault,
  ImageName,
  writeCompressedImage,
  writeOva,
  type CompressedFormat,
  type ImageFormat,
} from '../images/index.ts';
import {
  warningsOfReading,
  type PointDisk,
  type Repository,
  type RestorePoint,
} from '../repository/index.ts';
import { flowFaults } from './faults.ts';
import { closeAll, ovaContents, sizeOf } from './ova-contents.ts';
import { chosenDisks, fileNameOf } from './point-disks.ts';
import { filesOf, formatInfo, isCompressed, type RestoreFormat } from './restore-formats.ts';
import type { DiskRestoreRecord, RestoreRecord } from './run-record.ts';
import { readHostFiles, writeHostFiles } from './settings-files.ts';
import { readSettings } from './vm-settings.ts';

export interface RestoreRequest {
  readonly point: RestorePoint;
  /** Folder that receives one image a disk, or one package, and `vm.json`; made when missing. */
  readonly folder: string;
  readonly format: RestoreFormat;
  /** Numbers (from 1), VirtualDiskIds or file names of disks; all when left out. */
  readonly disks?: readonly string[];
  /** Replaces images of these names, finished and unfinished ones, once the new ones are complete. Default: refused. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress;
  /** Threads that decompress and check; default: one a processor. 0: none, which is quicker for disks of a few MiB. */
  readonly workers?: number | undefined;
}

/** One disk and the file it goes to. */
interface Target {
  readonly disk: PointDisk;
  readonly path: string;
}

interface SettingsFile {
  /** The VM's settings; empty when they are lost. */
  readonly configuration: object;
  readonly warnings: readonly Warning[];
  write(): Promise<void>;
}

/** Throws `FLOW_NO_SUCH_DISK`, `FLOW_NO_FOLDER`, `FLOW_SETTINGS_EXIST`, `IMAGE_EXISTS`, `IMAGE_UNFINISHED`, `IMAGE_SIZE_REFUSED`, `IMAGE_SECTOR_SIZE_REFUSED` before it reads. */
export async function restorePoint(repository: Repository, request: RestoreRequest): Promise<RestoreRecord> {
  const targets = targetsOf(request);
  for (const { disk } of targets) checkFits(request.format, formatInfo(request.format), disk);
  await using reading = await repository.startReading(request.point, request);
  try {
    const record = await restoreTargets(repository, request, targets);
    return { ...record, warnings: [...warningsOfReading(reading), ...record.warnings] };
  } catch (error) {
    throw await reading.explain(error);
  }
}

async function restoreTargets(
  repository: Repository,
  request: RestoreRequest,
  targets: readonly Target[],
): Promise<RestoreRecord> {
  const { point } = request;
  const startedAt = new Date().toISOString();
  await makeFolder(request.folder);
  if (!request.overwrite) await refuseExisting(request.format, targets);
  const settings = await settingsFile(repository, request);
  const disks =
    request.format === 'ova'
      ? await restorePackage(repository, request, targets, settings.configuration)
      : await restoreDisks(repository, { ...request, format: request.format }, targets);
  await settings.write();
  return {
    type: 'restore',
    pointId: point.id,
    vm: { id: point.vm.id, name: point.vm.name },
    startedAt,
    finishedAt: new Date().toISOString(),
    disks,
    warnings: settings.warnings,
  };
}

async function refuseExisting(format: RestoreFormat, targets: readonly Target[]): Promise<void> {
  const paths = new Set(targets.flatMap(({ path }) => filesOf(format, path)));
  for (const path of paths) await ImageName.choose(path);
}

type DiskRequest<F = ImageFormat | CompressedFormat> = RestoreRequest & { readonly format: F };

async function restoreDisks(
  repository: Repository,
  request: DiskRequest,
  targets: readonly Target[],
): Promise<DiskRestoreRecord[]> {
  const records: DiskRestoreRecord[] = [];
  for (const target of targets) {
    const { disk, path } = target;
    const started = performance.now();
    request.progress?.phase(`restore ${basename(path)}`, disk.size);
    const { format } = request;
    const { writtenBytes } = isCompressed(format)
      ? await compressDisk(repository, { ...request, format }, target)
      : await placeDisk(repository, { ...request, format }, target);
    const seconds = (performance.now() - started) / 1000;
    records.push(recordOf(request, target, { writtenBytes, seconds }));
  }
  return records;
}

function recordOf(
  { format }: RestoreRequest,
  { disk, path }: Target,
  stats: { readonly writtenBytes: number; readonly seconds: number },
): DiskRestoreRecord {
  return { diskId: disk.diskId, path, format, virtualBytes: disk.size, ...stats };
}

/** Workers write the bytes where the image places them. */
async function placeDisk(
  repository: Repository,
  request: DiskRequest<ImageFormat>,
  { disk, path }: Target,
): Promise<{ readonly writtenBytes: number }> {
  const { signal, overwrite = false, progress = silentProgress, workers } = request;
  const { root, size, logicalSectorSize, physicalSectorSize } = disk;
  const threads = workers === undefined ? {} : { workers };
  const options = { size, logicalSectorSize, physicalSectorSize, overwrite };
  const target = await createImage(request.format, path, options);
  try {
    const stats = await repository.restoreDisk({ root, size, target, progress, signal, ...threads });
    await target.finish();
    return stats;
  } catch (error) {
    await target.abort();
    throw error;
  }
}

/** Bytes that are compressed have no place before: the disk is read in order. */
async function compressDisk(
  repository: Repository,
  request: DiskRequest<CompressedFormat>,
  { disk, path }: Target,
): Promise<{ readonly writtenBytes: number }> {
  const { signal, overwrite = false, progress = silentProgress } = request;
  const reader = repository.openDisk(disk.root, disk.size, { ...disk, order: 'ascending' });
  try {
    return await writeCompressedImage(request.format, path, reader, { signal, overwrite, progress });
  } finally {
    await reader.close();
  }
}

async function restorePackage(
  repository: Repository,
  request: RestoreRequest,
  targets: readonly Target[],
  configuration: object,
): Promise<DiskRestoreRecord[]> {
  const { point, signal, overwrite = false, progress = silentProgress } = request;
  const { disks, contents } = ovaContents(repository, point, {
    configuration,
    disks: targets.map(({ disk }) => disk),
  });
  const path = packagePath(request);
  progress.phase(`restore ${basename(path)}`, sizeOf(disks));
  try {
    const stats = await writeOva(path, contents, { signal, overwrite, progress });
    return disks.map((disk, i) => recordOf(request, { disk, path }, stats.disks[i]!));
  } finally {
    await closeAll(contents);
  }
}

/**
 * The settings are for the person who rebuilds the VM, and for tools of later versions; they hold no secret. Disks of one
 * point restored one by one into one folder share the file; that of another point is not replaced unasked.
 */
async function settingsFile(
  repository: Repository,
  { point, folder, overwrite, signal }: RestoreRequest,
): Promise<SettingsFile> {
  const path = join(folder, 'vm.json');
  const bytes = await readSettings(repository, point, { signal });
  if (!(bytes instanceof Uint8Array)) {
    return { configuration: {}, warnings: [bytes], write: async () => {} };
  }
  const configuration = JSON.parse(Buffer.from(bytes).toString()) as object;
  const { id, vm, consistency } = point;
  const text = `${JSON.stringify({ point: id, vm, consistency, configuration }, null, 2)}\n`;
  const host = await readHostFiles(repository, point, { signal });
  const existing = await readFile(path, 'utf8').catch(undefinedIfMissing);
  if (existing !== undefined && existing !== text && !overwrite) throw flowFaults.settingsExist({ path });
  return {
    configuration,
    warnings: host.warnings,
    async write() {
      try {
        await writeFile(`${path}.partial`, text);
        await rename(`${path}.partial`, path);
      } catch (error) {
        throw imageFault(error, path);
      }
      await writeHostFiles(folder, host.files);
    },
  };
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}

/** Not by `recursive`: on a read-only volume that says ENOENT of a folder whose parent is there. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path) {
      throw flowFaults.noFolder({ path, reason: message }, { cause: error });
    }
    await makeFolder(dirname(path));
    await makeFolder(path);
  }
}

/** The disks asked for, each with its file; those of a package share one. */
function targetsOf(request: RestoreRequest): Target[] {
  const { point, folder, format, disks } = request;
  const { extension } = formatInfo(format);
  return chosenDisks(point, disks).map(({ disk, name }) => ({
    disk,
    path: format === 'ova' ? packagePath(request) : join(folder, `${name}.${extension}`),
  }));
}

function packagePath({ point, folder }: RestoreRequest): string {
  return join(folder, `${fileNameOf(point.vm.name) || 'vm'}.ova`);
}
