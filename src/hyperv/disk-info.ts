/** What the host says about one disk file. */
import { normaliseGuid } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { EmbeddedInstance } from '../winrm/index.ts';
import { Msvm_ImageManagementService } from './classes/image-service.ts';
import { hypervFaults } from './faults.ts';
import { serviceKeys, type Host } from './host.ts';
import { isAccessDenied, isFileNotFound, isInUse, SUCCEEDED } from './return-codes.ts';

export interface DiskInfo {
  /** GUID, lower case; the same along a checkpoint chain, and what a disk is known by. VHD files have none. */
  readonly virtualDiskId?: string;
  /** Bytes of the virtual disk. */
  readonly size: number;
  readonly format: 'vhd' | 'vhdx' | 'vhdset';
  readonly kind: 'fixed' | 'dynamic' | 'differencing';
  readonly parentPath?: string;
  /** Bytes; 0 for a fixed VHD. */
  readonly blockSize: number;
  /** Bytes: 512 or 4096. */
  readonly logicalSectorSize: number;
  /** Bytes: 512 or 4096. */
  readonly physicalSectorSize: number;
}

const FORMATS: Readonly<Record<number, DiskInfo['format']>> = { 2: 'vhd', 3: 'vhdx', 4: 'vhdset' };
const KINDS: Readonly<Record<number, DiskInfo['kind']>> = { 2: 'fixed', 3: 'dynamic', 4: 'differencing' };

/** Throws `HYPERV_DISK_MISSING`, `HYPERV_DISK_IN_USE` (the wrong node of a cluster), `HYPERV_ACCESS_DENIED`. */
export async function readDiskInfo(host: Host, path: string, options: CallOptions): Promise<DiskInfo> {
  const service = Msvm_ImageManagementService;
  const answer = await host.session.invoke(
    service,
    serviceKeys(service),
    'GetVirtualHardDiskSettingData',
    { Path: path },
    options,
  );
  if (answer.returnValue !== SUCCEEDED) throw infoFault(path, answer.returnValue);
  if (!answer.SettingData) throw nonsense(path, 'it is empty');
  return diskInfoOf(path, answer.SettingData);
}

/** Bytes that one file takes on its volume, without its parents. Throws as {@link readDiskInfo} does. */
export async function readDiskFileBytes(host: Host, path: string, options: CallOptions): Promise<number> {
  const service = Msvm_ImageManagementService;
  const answer = await host.session.invoke(
    service,
    serviceKeys(service),
    'GetVirtualHardDiskState',
    { Path: path },
    options,
  );
  if (answer.returnValue !== SUCCEEDED) throw infoFault(path, answer.returnValue);
  const bytes = Number(answer.State?.properties['FileSize'] ?? Number.NaN);
  if (!Number.isSafeInteger(bytes)) throw nonsense(path, 'it has no size');
  return bytes;
}

function infoFault(path: string, code: number): Error {
  if (isFileNotFound(code)) return hypervFaults.diskMissing({ path });
  if (isInUse(code)) return hypervFaults.diskInUse({ path, code });
  if (isAccessDenied(code)) return hypervFaults.accessDenied({ what: `look at ${path}` });
  return hypervFaults.operationFailed({ what: `look at ${path}`, code, reason: 'it gives no reason' });
}

function diskInfoOf(path: string, { properties }: EmbeddedInstance): DiskInfo {
  const number = (name: string): number => Number(properties[name] ?? 0);
  const text = (name: string): string => {
    const value = properties[name];
    return typeof value === 'string' ? value : '';
  };
  const format = FORMATS[number('Format')];
  const kind = KINDS[number('Type')];
  const size = number('MaxInternalSize');
  if (!format || !kind || !Number.isSafeInteger(size) || size <= 0) {
    throw nonsense(path, `format ${number('Format')}, type ${number('Type')}, size ${size}`);
  }
  const id = normaliseGuid(text('VirtualDiskId'));
  return {
    ...(id ? { virtualDiskId: id } : {}),
    size,
    format,
    kind,
    ...(text('ParentPath') ? { parentPath: text('ParentPath') } : {}),
    blockSize: number('BlockSize'),
    logicalSectorSize: number('LogicalSectorSize') || 512,
    physicalSectorSize: number('PhysicalSectorSize') || 512,
  };
}

const nonsense = (path: string, reason: string): Error =>
  hypervFaults.unexpectedAnswer({ what: `the disk ${path}`, reason });
