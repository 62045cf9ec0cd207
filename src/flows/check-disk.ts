/** Checking a disk file that lies about, and writing a sound copy of one. */
import { isFault, warningOf, type Warning } from '../base/index.ts';
import { FileReader, type CallOptions } from '../disk/index.ts';
import { vhdNotes, type VhdDisk } from '../vhd/index.ts';
import { checkVhdx, repairVhdx } from '../vhdx/index.ts';
import { detectDiskFormat, openVirtualDisk, type DiskFormat } from '../virtualdisk/index.ts';
import { flowFaults } from './faults.ts';

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
 * is no disk, `FLOW_NO_SUCH_FILE`, `FLOW_FILE_NOT_READABLE`, and `DISK_IO_FAILED`.
 */
export async function checkDisk(path: string, options: CallOptions = {}): Promise<DiskCheckRecord> {
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
  const reader = await openFile(path);
  try {
    return await detectDiskFormat(reader, path, options);
  } finally {
    await reader.close();
  }
}

async function openFile(path: string): Promise<FileReader> {
  try {
    return await FileReader.open(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw flowFaults.noSuchFile({ path }, { cause: error });
    throw flowFaults.fileNotReadable({ path, reason: message }, { cause: error });
  }
}

async function sizeOf(
  path: string,
  findings: DiskFinding[],
  options: CallOptions,
): Promise<number | undefined> {
  try {
    const opened = await openVirtualDisk(path, { open: (name) => FileReader.open(name), ...options });
    if (opened.format === 'vhd') findings.push(...noticesOf(opened.disk));
    const { size } = opened.disk;
    await opened.disk.close();
    return size;
  } catch (error) {
    if (!isFault(error) || error.kind !== 'corrupt') throw error;
    findings.push({ ...warningOf(error), severity: 'damage' });
    return undefined;
  }
}

function noticesOf({ files }: VhdDisk): DiskFinding[] {
  return files.flatMap(({ path, notes }) =>
    notes.map((note) => ({
      code: `VHD_${note.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
      message: `${path}: ${vhdNotes[note]}`,
      remedy: 'nothing to do: all of it is read',
      severity: 'notice' as const,
    })),
  );
}
