/** What a disk file says about itself. */
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { readVhdInfo, type VhdInfo } from '../vhd/index.ts';
import { readVhdxInfo, type VhdxInfo } from '../vhdx/index.ts';
import { detectDiskFormat } from './disk-format.ts';

/** A raw disk says nothing about itself. */
export type VirtualDiskInfo =
  | { readonly format: 'vhdx'; readonly info: VhdxInfo }
  | { readonly format: 'vhd'; readonly info: VhdInfo }
  | { readonly format: 'raw'; readonly info: { readonly size: number } };

/**
 * Reads the headers of one file; neither its parents nor its block table are looked at. Faults: those of
 * {@link detectDiskFormat}, any of `VHDX_` or `VHD_`.
 */
export async function readVirtualDiskInfo(
  reader: RangeReader,
  path: string,
  options: CallOptions = {},
): Promise<VirtualDiskInfo> {
  const format = await detectDiskFormat(reader, path, options);
  if (format === 'vhdx') return { format, info: await readVhdxInfo(reader, { ...options, path }) };
  if (format === 'vhd') return { format, info: await readVhdInfo(reader, { ...options, path }) };
  return { format, info: { size: reader.size } };
}
