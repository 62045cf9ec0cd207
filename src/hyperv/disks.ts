/**
 * The disks of a VM's settings or of a checkpoint, and where they hang.
 *
 *   medium (path) ──Parent──► drive (slot) ──Parent──► controller (IDE by its Address, SCSI by order)
 */
import type { CallOptions } from '../disk/index.ts';
import { parseObjectPath, type CimInstance } from '../winrm/index.ts';
import { Msvm_ResourceAllocationSettingData, Msvm_StorageAllocationSettingData } from './classes/settings.ts';
import { hypervFaults } from './faults.ts';
import type { Host } from './host.ts';
import { componentsOf, currentSettings } from './settings.ts';

export interface Controller {
  readonly kind: 'ide' | 'scsi';
  /** From 0, per kind. */
  readonly number: number;
}

export interface AttachedDisk {
  /** InstanceID of the attachment: the place, not the disk. Reference points name disks by it. */
  readonly attachmentId: string;
  /** The file on the host; for a pass-through disk the object path of the physical disk. */
  readonly path: string;
  readonly controller: Controller;
  readonly slot: number;
  readonly kind: 'virtual' | 'passthrough';
  /** True when other VMs may write to it too; such a disk cannot be captured with one VM alone. */
  readonly shared: boolean;
}

export const VIRTUAL_DISK = 'Microsoft:Hyper-V:Virtual Hard Disk';
const PHYSICAL_DISK = 'Microsoft:Hyper-V:Physical Disk Drive';
const IDE_CONTROLLER = 'Microsoft:Hyper-V:Emulated IDE Controller';
const SCSI_CONTROLLER = 'Microsoft:Hyper-V:Synthetic SCSI Controller';

type Resource = CimInstance<typeof Msvm_ResourceAllocationSettingData>;
type Medium = CimInstance<typeof Msvm_StorageAllocationSettingData>;

/** Disks of the VM's current settings: their paths are the active files. */
export async function disksOfVm(host: Host, vmId: string, options: CallOptions): Promise<AttachedDisk[]> {
  return disksOfSettings(host, (await currentSettings(host, vmId, options)).InstanceID, options);
}

/** Disks of the settings or the checkpoint with this InstanceID: of a checkpoint, their paths are the frozen files. */
export async function disksOfSettings(
  host: Host,
  instanceId: string,
  options: CallOptions,
): Promise<AttachedDisk[]> {
  const resources = await componentsOf(host, instanceId, Msvm_ResourceAllocationSettingData, options);
  const media = await componentsOf(host, instanceId, Msvm_StorageAllocationSettingData, options);
  const topology = new Topology(resources);
  return [
    ...media.filter((row) => row.ResourceSubType === VIRTUAL_DISK).map((row) => virtualDisk(row, topology)),
    ...resources
      .filter((row) => row.ResourceSubType === PHYSICAL_DISK)
      .map((row) => passThrough(row, topology)),
  ];
}

class Topology {
  readonly #byId = new Map<string, Resource>();
  readonly #scsi: string[];

  constructor(resources: readonly Resource[]) {
    for (const resource of resources) this.#byId.set(resource.InstanceID.toLowerCase(), resource);
    this.#scsi = resources
      .filter((resource) => resource.ResourceSubType === SCSI_CONTROLLER)
      .map((resource) => resource.InstanceID.toLowerCase());
  }

  /** Where a drive hangs. */
  place(drive: Resource): { controller: Controller; slot: number } {
    const controller = this.parentOf(drive);
    const slot = wholeNumber(drive.AddressOnParent);
    const number =
      controller.ResourceSubType === IDE_CONTROLLER
        ? wholeNumber(controller.Address)
        : this.#scsi.indexOf(controller.InstanceID.toLowerCase());
    if (slot < 0 || number < 0) throw misplaced(drive.InstanceID, 'neither slot nor controller is numbered');
    const kind = controller.ResourceSubType === IDE_CONTROLLER ? 'ide' : 'scsi';
    return { controller: { kind, number }, slot };
  }

  parentOf(device: { InstanceID: string; Parent: string | null }): Resource {
    const id = device.Parent ? parseObjectPath(device.Parent).keys['InstanceID'] : undefined;
    const parent = this.#byId.get(id?.toLowerCase() ?? '');
    if (!parent) throw misplaced(device.InstanceID, 'its parent device is not among the devices of the VM');
    return parent;
  }
}

function virtualDisk(row: Medium, topology: Topology): AttachedDisk {
  const path = row.HostResource[0];
  if (!path) throw misplaced(row.InstanceID, 'it names no file');
  return {
    attachmentId: row.InstanceID,
    path,
    ...topology.place(topology.parentOf(row)),
    kind: 'virtual',
    shared: row.PersistentReservationsSupported ?? false,
  };
}

/** A physical disk that is offline on the host has no path; it is listed all the same, because it cannot be captured. */
function passThrough(row: Resource, topology: Topology): AttachedDisk {
  const path = row.HostResource[0] ?? '';
  return { attachmentId: row.InstanceID, path, ...topology.place(row), kind: 'passthrough', shared: false };
}

function wholeNumber(text: string | null): number {
  return text !== null && /^\d{1,5}$/.test(text) ? Number(text) : -1;
}

function misplaced(instanceId: string, reason: string): Error {
  return hypervFaults.unexpectedAnswer({ what: `device ${instanceId}`, reason });
}
