/** Msvm_ImageManagementService: what a disk file is, and what changed in it. */
import { stat } from 'node:fs/promises';
import { FileReader } from '../../src/disk/index.ts';
import { readVhdxInfo, type VhdxInfo } from '../../src/vhdx/index.ts';
import type { LabInstance, LabMethodResult } from '../cim.ts';
import { reportChanges } from './change-report.ts';
import type { HostCore } from './core.ts';
import { LabFailure } from './failure.ts';
import {
  answer,
  numberParameter,
  startJob,
  textParameter,
  type Method,
  type MethodCall,
} from './method-call.ts';
import { ofKind } from './rehearsal.ts';
import { RETURN } from './return-codes.ts';
import type { VirtualDisk } from './virtual-disk.ts';
import { fileName } from './volumes.ts';

const TYPE: Record<VhdxInfo['kind'], number> = { fixed: 2, dynamic: 3, differencing: 4 };
const FORMAT_VHDX = 3;

export const imageMethods: Readonly<Record<string, Method>> = {
  async GetVirtualHardDiskSettingData(call) {
    const path = textParameter(call, 'Path');
    const info = await infoOf(await localFile(call.core, path));
    return answer(RETURN.done, { SettingData: settingData(path, info) });
  },
  async GetVirtualHardDiskState(call) {
    const path = textParameter(call, 'Path');
    const local = await localFile(call.core, path);
    return answer(RETURN.done, { State: await stateInstance(call.core, path, local) });
  },
  GetVirtualDiskChanges: virtualDiskChanges,
};

async function localFile(core: HostCore, path: string): Promise<string> {
  const local = await core.volumes.find(path);
  if (local === undefined) throw new LabFailure(RETURN.fileNotFound, `there is no ${path}`);
  return local;
}

async function infoOf(local: string): Promise<VhdxInfo> {
  const reader = await FileReader.open(local);
  try {
    return await readVhdxInfo(reader, { path: local });
  } catch (error) {
    throw new LabFailure(RETURN.notSupported, (error as Error).message);
  } finally {
    await reader.close();
  }
}

function settingData(path: string, info: VhdxInfo): LabInstance {
  const parent = info.parentLocator;
  return {
    className: 'Msvm_VirtualHardDiskSettingData',
    properties: {
      BlockSize: info.blockSize,
      Caption: 'Virtual Hard Disk Setting Data',
      Description: 'Setting Data for a Virtual Hard Disk',
      ElementName: fileName(path),
      Format: FORMAT_VHDX,
      InstanceID: `Microsoft:${path}`,
      IsPmemCompatible: false,
      LogicalSectorSize: info.logicalSectorSize,
      MaxInternalSize: BigInt(info.size),
      ParentIdentifier: parent?.parentLinkage ?? '',
      ParentPath: parent ? (parent.absolutePath ?? beside(path, parent.relativePath ?? '')) : '',
      Path: path,
      PhysicalSectorSize: info.physicalSectorSize,
      PmemAddressAbstractionType: 0,
      Type: TYPE[info.kind],
      VirtualDiskId: info.virtualDiskId.toUpperCase(),
    },
  };
}

function beside(path: string, relative: string): string {
  return path.slice(0, path.lastIndexOf('\\') + 1) + relative.replace(/^\.\\/, '');
}

async function stateInstance(core: HostCore, path: string, local: string): Promise<LabInstance> {
  const { size, mtime } = await stat(local);
  const disk = core.diskAt(path);
  return {
    className: 'Msvm_VirtualHardDiskState',
    properties: {
      Alignment: 1,
      FileSize: BigInt(size),
      FragmentationPercentage: 0,
      InUse: disk !== undefined && core.machineOf(disk)?.isRunning === true,
      PhysicalSectorSize: 4096,
      Timestamp: mtime,
    },
  };
}

/**
 * Changes since `LimitId` up to what the file at `Path` shows, inside the window. Refused: a file that is missing or no
 * VHDX of a VM here, an id that is not known (any more), a window beyond the disk, and the leaf of a running VM.
 */
async function virtualDiskChanges(call: MethodCall): Promise<LabMethodResult> {
  const { core } = call;
  const path = textParameter(call, 'Path');
  await localFile(core, path);
  const disk = core.diskAt(path);
  if (!disk) throw new LabFailure(RETURN.notSupported, `${path} has no change tracking`);
  const machine = core.machineOf(disk);
  if (ofKind(call.misbehaviours, 'answer-by-job') && machine) {
    return startJob(call, { type: 0, machine, work: () => Promise.resolve(undefined) });
  }
  const file = disk.fileAt(path)!;
  if (file.frozenAt === undefined && machine?.isRunning) {
    throw new LabFailure(RETURN.inUse, `${path} is in use`);
  }
  const window = windowOf(call, disk.state.size);
  const since = disk.tracker.sealOf(textParameter(call, 'LimitId'));
  const changed =
    since === undefined
      ? undefined
      : disk.tracker.changes(since, file.frozenAt, window.offset, window.offset + window.length);
  if (!changed) throw new LabFailure(RETURN.failed, 'the tracking id is not known (0xC03A0030)');
  return reported(call, disk, window, changed);
}

function windowOf(call: MethodCall, size: number): { offset: number; length: number } {
  const offset = numberParameter(call, 'ByteOffset');
  const length = numberParameter(call, 'ByteLength');
  const wholeRefused = call.core.options.strictByteLength && length >= size;
  if (length === 0 || offset + length > size || wholeRefused) {
    throw new LabFailure(RETURN.invalidParameter, `bytes ${offset} to ${offset + length} of ${size}`);
  }
  return { offset, length };
}

function reported(
  call: MethodCall,
  disk: VirtualDisk,
  window: { offset: number; length: number },
  changed: readonly { offset: number; length: number }[],
): LabMethodResult {
  if (ofKind(call.misbehaviours, 'no-progress')) return answer(RETURN.done, { ProcessedByteLength: 0n });
  const report = reportChanges(changed, window, disk.state.size, call.core.options.changes);
  return answer(RETURN.done, {
    ProcessedByteLength: BigInt(report.processedBytes),
    ChangedByteOffsets: report.ranges.map(({ offset }) => BigInt(offset)),
    ChangedByteLengths: report.ranges.map(({ length }) => BigInt(length)),
  });
}
