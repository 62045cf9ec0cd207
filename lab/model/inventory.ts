/** VMs and disks as the control API tells of them. */
import type { HostCore } from './core.ts';
import type { Power, VssMode } from './host-state.ts';
import type { Machine } from './machine.ts';
import { controllerNumber, mediumId } from './object-paths.ts';
import type { VirtualDisk } from './virtual-disk.ts';

export interface DiskInfo {
  /** VirtualDiskId, upper case. */
  readonly diskId: string;
  /** Bytes. */
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly controller: 'ide' | 'scsi';
  readonly controllerNumber: number;
  readonly slot: number;
  /** InstanceID of the storage setting: the place, not the disk. */
  readonly attachmentId: string;
  /** Paths on the host, base first, leaf last. */
  readonly files: readonly string[];
}

export interface VmInfo {
  readonly id: string;
  readonly name: string;
  readonly power: Power;
  readonly generation: 1 | 2;
  readonly version: string;
  /** `no-contact` too while a real guest is not up. */
  readonly vss: VssMode;
  /** Its guest is real. */
  readonly guest?: 'qemu';
  readonly disks: readonly DiskInfo[];
  readonly checkpoints: readonly {
    readonly id: string;
    readonly kind: 'recovery' | 'user';
    readonly name: string;
  }[];
  readonly referencePoints: readonly { readonly id: string; readonly consistency: 'application' | 'crash' }[];
  /** OperationalStatus[1]. */
  readonly busy?: number;
  /** An AVHDX waits to be merged, or is. */
  readonly mergePending: boolean;
  /** Why the last merge failed. */
  readonly mergeFailure?: string;
  readonly writerRuns: boolean;
  /** Writes in the guest's cache. */
  readonly cachedWrites: number;
}

export function vmInfo(core: HostCore, machine: Machine): VmInfo {
  const { state } = machine;
  const busy = core.busyWith(machine);
  const failure = core.merging.failures.get(state.id);
  return {
    id: state.id,
    name: state.name,
    power: state.power,
    generation: state.generation,
    version: state.version,
    vss: machine.vss,
    ...(state.guest === undefined ? {} : { guest: state.guest }),
    disks: machine.disks().map((disk) => diskInfo(machine, disk)),
    checkpoints: state.checkpoints.map(({ id, kind, name }) => ({ id, kind, name })),
    referencePoints: state.referencePoints.map(({ id, consistency }) => ({
      id,
      consistency: consistency === 1 ? 'application' : 'crash',
    })),
    ...(busy === undefined ? {} : { busy }),
    mergePending: core.merging.isPending(machine),
    ...(failure === undefined ? {} : { mergeFailure: failure.message }),
    writerRuns: machine.hasWriter,
    cachedWrites: machine.cache.length,
  };
}

export function diskInfo(machine: Machine, disk: VirtualDisk): DiskInfo {
  const drive = machine.state.drives.find((one) => one.diskId === disk.state.id)!;
  return {
    diskId: disk.state.id,
    size: disk.state.size,
    logicalSectorSize: disk.state.logicalSectorSize,
    controller: machine.state.controllers[drive.controller]!.kind,
    controllerNumber: controllerNumber(machine.state.controllers, drive.controller),
    slot: drive.slot,
    attachmentId: mediumId(machine.state.id, machine.state, drive),
    files: disk.state.files.map(({ path }) => path),
  };
}
