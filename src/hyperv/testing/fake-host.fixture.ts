/**
 * A Hyper-V host in memory, as rows of its classes: what the tests of this module ask instead of WinRM.
 *
 * It follows facts/hyperv.md: a recovery checkpoint puts a new AVHDX under the VM, jobs take time and vanish, listings may
 * lag behind. `disturb` sees every call before and after its effect and may throw.
 */
import type { CimReference, EmbeddedInstance } from '../../winrm/index.ts';
import { formatObjectPath, winrmFaults } from '../../winrm/index.ts';
import type { FakeClock } from './clock.fixture.ts';

export type Row = Record<string, unknown>;

export interface FakeDisk {
  path: string;
  diskId: string;
  /** Index of the controller in `controllers`. */
  controller: number;
  slot: number;
  subType?: string;
}

export interface FakeCheckpoint {
  guid: string;
  name: string;
  type: string;
  disks: FakeDisk[];
  /** When listings begin to show it. */
  listedAtMs: number;
  consistency: number;
}

export interface FakePoint {
  id: string;
  type: number;
  consistency: number;
  attachments: string[];
  rctIds: string[];
}

export interface FakeVm {
  guid: string;
  name: string;
  enabledState: number;
  operation: number;
  controllers: ('ide' | 'scsi')[];
  disks: FakeDisk[];
  checkpoints: FakeCheckpoint[];
  points: FakePoint[];
  mergesUntilMs: number;
  vss?: { enabled: number; status: number };
  /** AutomaticStartupAction. */
  startAction: number;
  /** The shutdown service, while the VM is on; what a request is answered; after how long the guest is gone. */
  shutdown: { enabled: number; status: number; answer: number; goesOffAfterMs: number };
  goesOffAtMs: number;
  /** Requests to shut down: with force or without. */
  asked: boolean[];
}

export interface FakeJob {
  id: string;
  className: string;
  endsAtMs: number;
  removedAtMs: number;
  /** JobState and ErrorCode at its end. */
  end: { state: number; code: number };
  effect: () => CimReference | undefined;
  created?: CimReference;
  terminated?: boolean;
}

export class FakeHost {
  readonly clock: FakeClock;
  readonly vms: FakeVm[] = [];
  readonly jobs: FakeJob[] = [];
  readonly files = new Map<string, { diskId: string; parent?: string; size: number }>();
  /** Rows of classes that only describe a VM, by class: all of them belong to whichever VM is asked about. */
  parts: Record<string, Row[]> = {};
  jobMs = 400;
  jobLifeMs = 300_000;
  jobEnd = { state: 7, code: 0 };
  lateMs = 0;
  mergeMs = 0;
  /** Answer at once instead of by a job. */
  immediate = false;
  /** Return code of every changing call, when not the usual ones. */
  refusal = 0;
  ignoresNames = false;
  /** Jobs have their effect although they fail. */
  failsAfterEffect = false;
  #serial = 0;

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  addVm(name: string, init: Partial<FakeVm> = {}): FakeVm {
    const vm: FakeVm = {
      guid: this.guid(),
      name,
      enabledState: 2,
      operation: 0,
      controllers: ['scsi'],
      disks: [],
      checkpoints: [],
      points: [],
      mergesUntilMs: 0,
      startAction: 3,
      shutdown: { enabled: 2, status: 2, answer: 0, goesOffAfterMs: 5000 },
      goesOffAtMs: Infinity,
      asked: [],
      ...init,
    };
    this.vms.push(vm);
    return vm;
  }

  addDisk(vm: FakeVm, path: string, init: Partial<FakeDisk> = {}): FakeDisk {
    const diskId = this.guid();
    const disk = { path, diskId, controller: 0, slot: vm.disks.length, ...init };
    this.files.set(path.toLowerCase(), { diskId: disk.diskId, size: 1 << 30 });
    vm.disks.push(disk);
    return disk;
  }

  guid(): string {
    this.#serial += 1;
    return `ABCDEF01-0000-4000-8000-${String(this.#serial).padStart(12, '0')}`;
  }

  /** Freezes the VM: what a CreateSnapshot job does at its end. */
  freeze(vm: FakeVm, name: string, type = RECOVERY, consistency = 2): CimReference {
    const guid = this.guid();
    const frozen = vm.disks.map((disk) => ({ ...disk }));
    for (const disk of vm.disks) {
      const leaf = disk.path.replace(/(_[^_\\]*)?\.a?vhdx$/i, `_${guid}.avhdx`);
      this.files.set(leaf.toLowerCase(), { diskId: disk.diskId, parent: disk.path, size: 1 << 30 });
      disk.path = leaf;
    }
    const listedAtMs = this.clock.nowMs + this.lateMs;
    vm.checkpoints.push({ guid, name, type, disks: frozen, listedAtMs, consistency });
    return { className: 'Msvm_VirtualSystemSettingData', keys: { InstanceID: `Microsoft:${guid}` } };
  }

  /** Deletes a checkpoint; its disks merge after `mergeMs`. */
  thaw(vm: FakeVm, checkpoint: FakeCheckpoint): void {
    vm.checkpoints = vm.checkpoints.filter((one) => one !== checkpoint);
    vm.mergesUntilMs = this.clock.nowMs + this.mergeMs;
  }

  seal(vm: FakeVm, checkpoint: FakeCheckpoint): CimReference {
    this.thaw(vm, checkpoint);
    const id = `rp-${this.guid()}`;
    const attachments = vm.disks.map((disk, index) => attachmentId(vm.guid, disk, index));
    const rctIds = vm.disks.map((disk) => `rctX:${disk.diskId.replaceAll('-', ':')}:${id}`);
    vm.points.push({ id, type: 2, consistency: checkpoint.consistency, attachments, rctIds });
    return {
      className: 'Msvm_VirtualSystemReferencePoint',
      keys: { InstanceID: id, VirtualSystemIdentifier: vm.guid },
    };
  }

  /** Runs jobs and merges that are due, and forgets jobs past their time. */
  tick(): void {
    const now = this.clock.nowMs;
    for (const job of this.jobs) {
      const succeeds = this.failsAfterEffect || ([7, 32_768].includes(job.end.state) && job.end.code === 0);
      if (job.endsAtMs > now || job.created || job.terminated || !succeeds) continue;
      job.created = job.effect() ?? NOTHING;
    }
    for (const vm of this.vms) {
      if (vm.goesOffAtMs <= now) Object.assign(vm, { enabledState: 3, goesOffAtMs: Infinity });
      const open = vm.checkpoints.length;
      if (vm.mergesUntilMs > now || open > 0) continue;
      for (const disk of vm.disks) {
        while (this.files.get(disk.path.toLowerCase())?.parent) {
          disk.path = this.files.get(disk.path.toLowerCase())!.parent!;
        }
      }
    }
  }

  startJob(effect: () => CimReference | undefined, className = 'Msvm_ConcreteJob'): CimReference {
    const now = this.clock.nowMs;
    const job: FakeJob = {
      id: this.guid(),
      className,
      endsAtMs: now + this.jobMs,
      removedAtMs: now + this.jobMs + this.jobLifeMs,
      end: this.jobEnd,
      effect,
    };
    this.jobs.push(job);
    return { className, keys: { InstanceID: job.id } };
  }

  vmOf(reference: CimReference): FakeVm | undefined {
    return this.vms.find((vm) => vm.guid === reference.keys['Name']);
  }

  checkpointOf(reference: CimReference): { vm: FakeVm; checkpoint: FakeCheckpoint } {
    for (const vm of this.vms) {
      const checkpoint = vm.checkpoints.find(
        (one) => `Microsoft:${one.guid}` === reference.keys['InstanceID'],
      );
      if (checkpoint) return { vm, checkpoint };
    }
    throw winrmFaults.notFound({ resource: 'checkpoint' });
  }

  diskInfo(path: string): EmbeddedInstance | undefined {
    const file = this.files.get(path.toLowerCase());
    if (!file) return undefined;
    return {
      className: 'Msvm_VirtualHardDiskSettingData',
      properties: {
        Type: file.parent ? 4 : 3,
        Format: 3,
        ParentPath: file.parent ?? '',
        MaxInternalSize: BigInt(file.size),
        BlockSize: 1 << 25,
        LogicalSectorSize: 512,
        PhysicalSectorSize: 4096,
        VirtualDiskId: file.diskId,
      },
    };
  }
}

export const RECOVERY = 'Microsoft:Hyper-V:Snapshot:Recovery';
export const USER = 'Microsoft:Hyper-V:Snapshot:Realized';
const NOTHING: CimReference = { className: 'Nothing', keys: {} };

/** The place of a disk: the same for whatever hangs there. */
export function attachmentId(owner: string, disk: FakeDisk, _index: number): string {
  return `Microsoft:${owner}\\${disk.controller}\\0\\${disk.slot}\\L`;
}

const pathOf = (className: string, id: string): string =>
  formatObjectPath({ host: 'HV1', namespace: 'root/virtualization/v2', className, keys: { InstanceID: id } });

/** Controllers, drives and media of the settings or checkpoint `owner`. */
export function deviceRows(
  owner: string,
  vm: FakeVm,
  disks: readonly FakeDisk[],
): { rasd: Row[]; sasd: Row[] } {
  const controllerId = (index: number): string => `Microsoft:${owner}\\${index}`;
  const ideNumber = (index: number): string =>
    String(vm.controllers.slice(0, index).filter((kind) => kind === 'ide').length);
  const rasd: Row[] = vm.controllers.map((kind, index) => ({
    InstanceID: controllerId(index),
    ResourceSubType: `Microsoft:Hyper-V:${kind === 'ide' ? 'Emulated IDE' : 'Synthetic SCSI'} Controller`,
    Address: kind === 'ide' ? ideNumber(index) : null,
  }));
  const sasd: Row[] = [];
  disks.forEach((disk, index) => {
    const id = attachmentId(owner, disk, index);
    const subType = disk.subType ?? 'Virtual Hard Disk';
    const drive: Row = {
      InstanceID: id.slice(0, -1) + 'D',
      ResourceSubType: `Microsoft:Hyper-V:${subType === 'Virtual Hard Disk' ? 'Synthetic Disk Drive' : 'Synthetic DVD Drive'}`,
      Parent: pathOf('Msvm_ResourceAllocationSettingData', controllerId(disk.controller)),
      AddressOnParent: String(disk.slot),
    };
    if (subType === 'Physical Disk Drive') {
      rasd.push({ ...drive, ResourceSubType: `Microsoft:Hyper-V:${subType}`, HostResource: [disk.path] });
      return;
    }
    rasd.push(drive);
    sasd.push({
      InstanceID: id,
      ResourceSubType: `Microsoft:Hyper-V:${subType}`,
      HostResource: [disk.path],
      Parent: pathOf('Msvm_ResourceAllocationSettingData', String(drive['InstanceID']).toLowerCase()),
    });
  });
  return { rasd, sasd };
}
