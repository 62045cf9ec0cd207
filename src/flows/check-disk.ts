/** Checking a disk file that lies about, and writing a sound copy of one. */
import { isFault, warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { checkVhdx, repairVhdx } from '../vhdx/index.ts';
import { detectDiskFormat, type DiskFormat, type VirtualDisk } from '../virtualdisk/index.ts';
import { flowFaults } from './faults.ts';
import { LocalDisk, openLocalFile, type LocalDiskOptions } from './local-disk.ts';
import { noteWarnings } from './vhd-note-warnings.ts';

export interface DiskFinding extends Warning {
  /** `notice`: the disk reads as it should all the same. */
  readonly severity: 'damage' | 'notice';
}

export interface DiskCheckRecord {
  readonly path: string;
  readonly format: DiskFormat;
  /** No finding is damage. */
  readonly sound: boolean;
  readonly findings: readonly DiskFinding[];
  /** Found beyond those listed. */
  readonly moreFindings: number;
  readonly virtualBytes?: number;
}

/**
 * Every defect of a VHDX; of a VHD, with its parents, the first; a raw disk has none. Throws `VIRTUALDISK_` faults for what
 * is no disk, those of opening a file, and `DISK_IO_FAILED`.
 */
export async function checkDisk(path: string, options: LocalDiskOptions = {}): Promise<DiskCheckRecord> {
  const format = await formatOf(path, options);
  if (format === 'vhdx') {
    const { sound, findings, moreFindings, info } = await checkVhdx(path, options);
    const size = info ? { virtualBytes: info.size } : {};
    return { path, format, sound, findings, moreFindings, ...size };
  }
  const findings: DiskFinding[] = [];
  const virtualBytes = await sizeOf(path, findings, options);
  const sound = virtualBytes !== undefined;
  return { path, format, sound, findings, moreFindings: 0, ...(sound ? { virtualBytes } : {}) };
}

/** Writes what a VHDX holds into a new file that is sound. Throws the fault of damage that cannot be mended. */
export async function repairDisk(path: string, to: string, options: CallOptions = {}): Promise<void> {
  const format = await formatOf(path, options);
  if (format !== 'vhdx') throw flowFaults.repairUnsupported({ path, format });
  await repairVhdx(path, { to }, options);
}

async function formatOf(path: string, options: CallOptions): Promise<DiskFormat> {
  const reader = await openLocalFile(path);
  try {
    return await detectDiskFormat(reader, path, options);
  } finally {
    await reader.close();
  }
}

async function sizeOf(
  path: string,
  findings: DiskFinding[],
  options: LocalDiskOptions,
): Promise<number | undefined> {
  try {
    await using local = await LocalDisk.open(path, options);
    findings.push(...noticesOf(local.opened));
    return local.disk.size;
  } catch (error) {
    if (!isFault(error) || error.kind !== 'corrupt') throw error;
    findings.push({ ...warningOf(error), severity: 'damage' });
    return undefined;
  }
}

function noticesOf(opened: VirtualDisk): DiskFinding[] {
  if (opened.format !== 'vhd') return [];
  return opened.disk.files.flatMap(({ path, notes }) =>
    noteWarnings(path, notes).map((warning) => ({ ...warning, severity: 'notice' as const })),
  );
}
