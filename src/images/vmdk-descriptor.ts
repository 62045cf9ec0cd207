/** The descriptor of a VMDK: the text that says which extents hold the disk and how a VM sees it. */
import { randomBytes } from 'node:crypto';
import { GiB } from '../base/index.ts';
import { DESCRIPTOR_SECTORS, SECTOR, sectorsOf } from './vmdk-format.ts';

/** The controller a VM is to have for the disk. */
export type DiskAdapter = 'ide' | 'lsilogic' | 'lsilogicsas' | 'pvscsi';

export interface VmdkOptions {
  /** Default: `lsilogic`. */
  readonly adapter?: DiskAdapter;
  /** Of the virtual hardware. VMware reads it for ESX 3 only, and writes 4. */
  readonly hardwareVersion?: number;
  /** Changes with the content, so that a child finds a parent that is not its own any more. Default: random. */
  readonly contentId?: number;
}

interface Extent {
  readonly type: 'SPARSE' | 'FLAT' | 'VMFS';
  readonly fileName: string;
}

export interface DescribedVmdk extends VmdkOptions {
  /** Bytes. */
  readonly size: number;
  readonly createType: 'monolithicSparse' | 'monolithicFlat' | 'streamOptimized' | 'vmfs';
  readonly extent: Extent;
}

/** The text, without the zeros that fill its place inside a sparse extent. */
export function vmdkDescriptor(disk: DescribedVmdk): string {
  const { size, createType, extent, adapter = 'lsilogic', contentId = newContentId() } = disk;
  const geometry = geometryOf(size, adapter);
  const offset = extent.type === 'FLAT' ? ' 0' : '';
  return [
    '# Disk DescriptorFile',
    'version=1',
    'encoding="UTF-8"',
    `CID=${contentId.toString(16).padStart(8, '0')}`,
    'parentCID=ffffffff',
    `createType="${createType}"`,
    '',
    '# Extent description',
    `RW ${sectorsOf(size)} ${extent.type} "${quotable(extent.fileName)}"${offset}`,
    '',
    '# The Disk Data Base',
    '#DDB',
    '',
    `ddb.virtualHWVersion = "${disk.hardwareVersion ?? 4}"`,
    `ddb.geometry.cylinders = "${geometry.cylinders}"`,
    `ddb.geometry.heads = "${geometry.heads}"`,
    `ddb.geometry.sectors = "${geometry.sectors}"`,
    `ddb.adapterType = "${adapterType(adapter)}"`,
    '',
  ].join('\n');
}

/** The descriptor as it stands inside a sparse extent. */
export function embeddedDescriptor(disk: DescribedVmdk): Uint8Array {
  const bytes = Buffer.alloc(DESCRIPTOR_SECTORS * SECTOR);
  bytes.write(vmdkDescriptor(disk));
  return bytes;
}

/** Two values are not content ids: all ones says that there is no parent, and the one below it is kept free by VMware. */
export function newContentId(): number {
  return randomBytes(4).readUInt32LE() % 0xfffffffe;
}

/** The database knows one word for all that is SCSI to a guest: a disk of a paravirtual controller says it too. */
function adapterType(adapter: DiskAdapter): string {
  return adapter === 'ide' ? 'ide' : 'lsilogic';
}

const CYLINDERS_MAX = { ide: 16_383, scsi: 65_535 } as const;

function geometryOf(
  size: number,
  adapter: DiskAdapter,
): { cylinders: number; heads: number; sectors: number } {
  const [heads, sectors] =
    adapter === 'ide' ? [16, 63] : size < GiB ? [64, 32] : size < 2 * GiB ? [128, 32] : [255, 63];
  const cylinders = Math.ceil(sectorsOf(size) / (heads * sectors));
  return {
    cylinders: Math.min(cylinders, CYLINDERS_MAX[adapter === 'ide' ? 'ide' : 'scsi']),
    heads,
    sectors,
  };
}

/** A name is between quotes, and there is no way to write a quote. */
function quotable(fileName: string): string {
  return fileName.replace(/["\r\n]/g, '_').slice(0, 255);
}
