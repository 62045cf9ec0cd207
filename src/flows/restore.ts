/**
 * Restore of a restore point's disks into image files, with the VM's settings beside them.
 *
 *   choose the disks ─► refuse what is in the way, for all of them ─► write one image after the other ─► vm.json
 *
 * What would stop the last image is found before the first byte of the first is read: a restore is started by people in a
 * hurry, and one that is refused after an hour is worse than one that is refused.
 */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isFault, silentProgress, warningOf, type Progress, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { createImage, imageFault, imageFormats, ImageName, type ImageFormat } from '../images/index.ts';
import type { PointDisk, Repository, RestorePoint } from '../repository/index.ts';
import { flowFaults } from './faults.ts';
import type { DiskRestoreRecord, RestoreRecord } from './run-record.ts';

export interface RestoreRequest {
  readonly point: RestorePoint;
  /** Folder that receives one image a disk and `vm.json`; made when missing. */
  readonly folder: string;
  readonly format: ImageFormat;
  /** Numbers (from 1), VirtualDiskIds or file names of disks; all when left out. */
  readonly disks?: readonly string[];
  /** Replaces images of these names, finished and unfinished ones, once the new ones are complete. Default: refused. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress;
}

/** One disk and the file it goes to. */
interface Target {
  readonly disk: PointDisk;
  readonly path: string;
}

interface SettingsFile {
  readonly warnings: readonly Warning[];
  write(): Promise<void>;
}

/** Throws `FLOW_NO_SUCH_DISK`, `FLOW_NO_FOLDER`, `FLOW_SETTINGS_EXIST`, `IMAGE_EXISTS`, `IMAGE_UNFINISHED` before it reads. */
export async function restorePoint(repository: Repository, request: RestoreRequest): Promise<RestoreRecord> {
  const { point } = request;
  const startedAt = new Date().toISOString();
  const targets = targetsOf(request);
  await makeFolder(request.folder);
  if (!request.overwrite) for (const { path } of targets) await ImageName.choose(path);
  const settings = await settingsFile(repository, request);
  const disks: DiskRestoreRecord[] = [];
  for (const target of targets) disks.push(await restoreDisk(repository, request, target));
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

async function restoreDisk(
  repository: Repository,
  request: RestoreRequest,
  { disk, path }: Target,
): Promise<DiskRestoreRecord> {
  const started = performance.now();
  const progress = request.progress ?? silentProgress;
  progress.phase(`restore ${basename(path)}`, disk.size);
  const target = await createImage(request.format, path, {
    size: disk.size,
    logicalSectorSize: disk.logicalSectorSize,
    physicalSectorSize: disk.physicalSectorSize,
    overwrite: request.overwrite ?? false,
  });
  try {
    const stats = await repository.restoreDisk({
      root: disk.root,
      size: disk.size,
      target,
      progress,
      signal: request.signal,
    });
    await target.finish();
    return {
      diskId: disk.diskId,
      path,
      format: request.format,
      virtualBytes: disk.size,
      writtenBytes: stats.writtenBytes,
      seconds: (performance.now() - started) / 1000,
    };
  } catch (error) {
    await target.abort();
    throw error;
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
  if (!(bytes instanceof Uint8Array)) return { warnings: [bytes], write: async () => {} };
  const configuration: unknown = JSON.parse(Buffer.from(bytes).toString());
  const { id, vm, consistency } = point;
  const text = `${JSON.stringify({ point: id, vm, consistency, configuration }, null, 2)}\n`;
  const existing = await readFile(path, 'utf8').catch(undefinedIfMissing);
  if (existing !== undefined && existing !== text && !overwrite) throw flowFaults.settingsExist({ path });
  return {
    warnings: [],
    async write() {
      try {
        await writeFile(`${path}.partial`, text);
        await rename(`${path}.partial`, path);
      } catch (error) {
        throw imageFault(error, path);
      }
    },
  };
}

/** Damage to a few KiB of settings must not keep anybody from the disks: it becomes a warning. */
async function readSettings(
  repository: Repository,
  point: RestorePoint,
  options: CallOptions,
): Promise<Uint8Array | Warning> {
  try {
    return await repository.readBlob(point.vm.configuration, options);
  } catch (error) {
    if (!isFault(error) || error.kind !== 'corrupt') throw error;
    return warningOf(flowFaults.settingsLost({ reason: error.message }, { cause: error }));
  }
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

/** The disks asked for, each once and with a file name that is unique in the folder. */
function targetsOf({ point, folder, format, disks: wanted }: RestoreRequest): Target[] {
  const names = diskNames(point);
  const all = point.disks.map((disk, i): Target => ({
    disk,
    path: join(folder, `${names[i]!}.${imageFormats[format].extension}`),
  }));
  if (!wanted) return all;
  return [...new Set(wanted.map((text) => all[indexOf(text, point, names)]!))];
}

/** A number wins over a file of that name: the numbers are what `hvlift points --disks` shows. */
function indexOf(text: string, point: RestorePoint, names: readonly string[]): number {
  const file = text.replace(/\.a?vhdx?$/i, '');
  const id = text.toLowerCase();
  const index = /^\d+$/.test(text)
    ? Number(text) - 1
    : point.disks.findIndex((disk, i) => disk.diskId.toLowerCase() === id || names[i] === file);
  if (point.disks[index]) return index;
  throw flowFaults.noSuchDisk({ disk: text, disks: names.map((name, i) => `${i + 1}: ${name}`).join(', ') });
}

/** The file name of each disk on the host without folder and extension; a number is appended to what occurs twice. */
export function diskNames(point: { readonly disks: readonly { readonly path: string }[] }): string[] {
  const taken = new Set<string>();
  return point.disks.map((disk) => {
    const base =
      (disk.path.split(/[\\/]/).at(-1) ?? '')
        .replace(/\.a?vhdx?$/i, '')
        .replace(/[^\p{L}\p{N}._ -]/gu, '_') || 'disk';
    let name = base;
    for (let n = 2; taken.has(name.toLowerCase()); n += 1) name = `${base}-${n}`;
    taken.add(name.toLowerCase());
    return name;
  });
}
