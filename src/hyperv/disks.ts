/**
 * The disks of a VM's settings or of a checkpoint, and where they hang.
 *
 *   medium (path) ──Parent──► drive (slot) ──Parent──► controller (IDE by its Address, SCSI by order)
 */
import { isFault } from '../base/index.ts';
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

/** A drive for images of CDs, with one in it or empty. */
export interface DvdDrive {
  readonly controller: Controller;
  readonly slot: number;
  /** Of the image on the host. */
  readonly path?: string;
}

export interface Storage {
  readonly controllers: readonly Controller[];
  readonly disks: readonly AttachedDisk[];
  readonly dvdDrives: readonly DvdDrive[];
}

export const VIRTUAL_DISK = 'Microsoft:Hyper-V:Virtual Hard Disk';
const PHYSICAL_DISK = 'Microsoft:Hyper-V:Physical Disk Drive';
const DVD_DRIVE = 'Microsoft:Hyper-V:Synthetic DVD Drive';
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
  return disksIn(await readDevices(host, instanceId, options));
}

/** Everything in the settings that holds data, and what it hangs on. */
export async function storageOfSettings(
  host: Host,
  instanceId: string,
  options: CallOptions,
): Promise<Storage> {
  const devices = await readDevices(host, instanceId, options);
  const { resources, media, topology } = devices;
  const dvdDrives = resources
    .filter((row) => row.ResourceSubType === DVD_DRIVE)
    .flatMap((row) => dvdDrive(row, media, topology));
  return { controllers: topology.controllers(), disks: disksIn(devices), dvdDrives };
}

interface StorageDevices {
  readonly resources: readonly Resource[];
  readonly media: readonly Medium[];
  readonly topology: Topology;
}

async function readDevices(host: Host, instanceId: string, options: CallOptions): Promise<StorageDevices> {
  const resources = await componentsOf(host, instanceId, Msvm_ResourceAllocationSettingData, options);
  const media = await componentsOf(host, instanceId, Msvm_StorageAllocationSettingData, options);
  return { resources, media, topology: new Topology(resources) };
}

function disksIn({ resources, media, topology }: StorageDevices): AttachedDisk[] {
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

  /** In the order of the host. */
  controllers(): Controller[] {
    return [...this.#byId.values()].filter(isController).map((row) => this.#numbered(row));
  }

  /** Where a drive hangs. */
  place(drive: Resource): { controller: Controller; slot: number } {
    const controller = this.#numbered(this.parentOf(drive));
    const slot = wholeNumber(drive.AddressOnParent);
    if (slot < 0 || controller.number < 0)
      throw misplaced(drive.InstanceID, 'neither slot nor controller is numbered');
    return { controller, slot };
  }

  #numbered(controller: Resource): Controller {
    if (controller.ResourceSubType === IDE_CONTROLLER)
      return { kind: 'ide', number: wholeNumber(controller.Address) };
    return { kind: 'scsi', number: this.#scsi.indexOf(controller.InstanceID.toLowerCase()) };
  }

  /** Does this object path name the resource? */
  isSame(path: string, { InstanceID }: Resource): boolean {
    return parseObjectPath(path).keys['InstanceID']?.toLowerCase() === InstanceID.toLowerCase();
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

/** None where it cannot be placed: no backup fails for a drive that holds nothing of the VM's. */
function dvdDrive(row: Resource, media: readonly Medium[], topology: Topology): DvdDrive[] {
  try {
    const medium = media.find(({ Parent }) => Parent && topology.isSame(Parent, row));
    const path = medium?.HostResource[0];
    return [{ ...topology.place(row), ...(path ? { path } : {}) }];
  } catch (error) {
    if (isFault(error)) return [];
    throw error;
  }
}

function isController({ ResourceSubType }: Resource): boolean {
  return ResourceSubType === IDE_CONTROLLER || ResourceSubType === SCSI_CONTROLLER;
}

function wholeNumber(text: string | null): number {
  return text !== null && /^\d{1,5}$/.test(text) ? Number(text) : -1;
}

function misplaced(instanceId: string, reason: string): Error {
  return hypervFaults.unexpectedAnswer({ what: `device ${instanceId}`, reason });
}
