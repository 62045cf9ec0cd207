/** Restore of a restore point's disks into image files, with the VM's settings beside them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { silentProgress, type Progress } from '../base/index.ts';
import { createImage, type ImageFormat } from '../images/index.ts';
import type { PointDisk, Repository, RestorePoint } from '../repository/index.ts';
import { flowFaults } from './faults.ts';
import type { DiskRestoreRecord, RestoreRecord } from './run-record.ts';

export interface RestoreRequest {
  readonly point: RestorePoint;
  /** Folder that receives one image a disk and `vm.json`. */
  readonly folder: string;
  readonly format: ImageFormat;
  /** Numbers (from 0) or file names of disks; all when left out. */
  readonly disks?: readonly string[];
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress;
}

export async function restorePoint(repository: Repository, request: RestoreRequest): Promise<RestoreRecord> {
  const { point } = request;
  const startedAt = new Date().toISOString();
  await mkdir(request.folder, { recursive: true });
  const disks: DiskRestoreRecord[] = [];
  for (const [disk, name] of chosenDisks(point, request.disks)) {
    disks.push(await restoreDisk(repository, request, disk, name));
  }
  await writeConfiguration(repository, request);
  return {
    type: 'restore',
    pointId: point.id,
    vm: { id: point.vm.id, name: point.vm.name },
    startedAt,
    finishedAt: new Date().toISOString(),
    disks,
  };
}

async function restoreDisk(
  repository: Repository,
  request: RestoreRequest,
  disk: PointDisk,
  name: string,
): Promise<DiskRestoreRecord> {
  const started = performance.now();
  const path = join(request.folder, `${name}.${request.format}`);
  const progress = request.progress ?? silentProgress;
  progress.phase(`restore ${basename(path)}`);
  const target = await createImage(request.format, path, {
    size: disk.size,
    logicalSectorSize: disk.logicalSectorSize,
    physicalSectorSize: disk.physicalSectorSize,
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

/** The settings are for the person who rebuilds the VM, and for tools of later versions; they hold no secret. */
async function writeConfiguration(repository: Repository, request: RestoreRequest): Promise<void> {
  const { point } = request;
  const bytes = await repository.readBlob(point.vm.configuration, { signal: request.signal });
  await writeFile(
    join(request.folder, 'vm.json'),
    `${JSON.stringify({ point: point.id, vm: point.vm, consistency: point.consistency, configuration: JSON.parse(Buffer.from(bytes).toString()) }, null, 2)}\n`,
  );
}

/** The disks asked for, each with a file name that is unique in the folder. */
function chosenDisks(point: RestorePoint, wanted: readonly string[] | undefined): [PointDisk, string][] {
  const names = diskNames(point);
  const all = point.disks.map((disk, index): [PointDisk, string] => [disk, names[index]!]);
  if (!wanted) return all;
  return wanted.map((text) => {
    const index = /^\d+$/.test(text) ? Number(text) : names.indexOf(text.replace(/\.a?vhdx?$/i, ''));
    const found = all[index];
    if (!found)
      throw flowFaults.noSuchDisk({ disk: text, disks: names.map((n, i) => `${i}: ${n}`).join(', ') });
    return found;
  });
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
