/**
 * Which format a disk file is in: what it holds decides, not what it is called. Names count in two places only. A VHD set can be
 * known by nothing else, and a file that is called as a virtual disk is never taken for a raw one: a VHDX whose beginning was
 * overwritten would be backed up as if it were the disk.
 */
import { win32 } from 'node:path';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { hasVhdFooter } from '../vhd/index.ts';
import { virtualDiskFaults } from './faults.ts';

export type DiskFormat = 'vhdx' | 'vhd' | 'raw';

const VHDX_SIGNATURE = 'vhdxfile';
/** What others begin with; raw disks begin with boot code or zeros. */
const OTHER_SIGNATURES = [
  ['QFI\u00fb', 'qcow2'],
  ['KDMV', 'VMDK'],
  ['# Disk DescriptorFile', 'VMDK'],
  ['<<< Oracle VM', 'VDI'],
] as const;
const BY_EXTENSION: Partial<Record<string, DiskFormat>> = {
  '.vhdx': 'vhdx',
  '.avhdx': 'vhdx',
  '.vhd': 'vhd',
  '.avhd': 'vhd',
};

/** Faults: `VIRTUALDISK_VHD_SET`, `VIRTUALDISK_OTHER_FORMAT`, `VIRTUALDISK_NOT_A_DISK`. Reads two sectors. */
export async function detectDiskFormat(
  reader: RangeReader,
  path: string,
  options: CallOptions = {},
): Promise<DiskFormat> {
  // `win32` knows both kinds of separators.
  const extension = win32.extname(path).toLowerCase();
  if (extension === '.vhds') throw virtualDiskFaults.vhdSet({ path });
  const start = await beginning(reader, options);
  if (start.startsWith(VHDX_SIGNATURE)) return 'vhdx';
  if (await hasVhdFooter(reader, options)) return 'vhd';
  const named = BY_EXTENSION[extension];
  if (named) return named;
  const other = OTHER_SIGNATURES.find(([signature]) => start.startsWith(signature));
  if (other) throw virtualDiskFaults.otherFormat({ path, format: other[1] });
  if (reader.size === 0 || reader.size % 512 !== 0) {
    throw virtualDiskFaults.notADisk({ path, size: reader.size });
  }
  return 'raw';
}

async function beginning(reader: RangeReader, options: CallOptions): Promise<string> {
  const bytes = Buffer.alloc(Math.min(512, reader.size));
  await reader.read(0, bytes, options);
  return bytes.toString('latin1');
}
