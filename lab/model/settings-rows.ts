/** Instances of settings: of VMs and checkpoints, and of the controllers, drives and media in them. */
import type { LabInstance, LabPath } from '../cim.ts';
import type { HostCore } from './core.ts';
import { bootSourceOrder, SECURE_BOOT_TEMPLATE } from './device-rows.ts';
import type { CheckpointState, DriveState, VmState } from './host-state.ts';
import { controllerId, driveId, controllerNumber, mediumId, settingsPath } from './object-paths.ts';

/** One set of settings: a VM's current ones, or those a checkpoint keeps. */
export interface SettingsOwner {
  /** GUID of the VM or checkpoint. */
  readonly id: string;
  readonly vm: VmState;
  readonly checkpoint: CheckpointState | undefined;
  readonly drives: readonly DriveState[];
}

export function ownersOf(vm: VmState): SettingsOwner[] {
  return [
    { id: vm.id, vm, checkpoint: undefined, drives: vm.drives },
    ...vm.checkpoints.map((checkpoint) => ({
      id: checkpoint.id,
      vm,
      checkpoint,
      drives: checkpoint.drives,
    })),
  ];
}

export function settingsRow(owner: SettingsOwner): LabInstance {
  const { vm, checkpoint } = owner;
  return {
    className: 'Msvm_VirtualSystemSettingData',
    properties: {
      ...FIXED_SETTINGS,
      InstanceID: `Microsoft:${owner.id}`,
      ElementName: checkpoint?.name ?? vm.name,
      VirtualSystemIdentifier: vm.id,
      VirtualSystemType: systemType(checkpoint),
      VirtualSystemSubType: `Microsoft:Hyper-V:SubType:${vm.generation}`,
      Notes: vm.notes,
      CreationTime: new Date(checkpoint?.createdAt ?? vm.createdAt),
      ConfigurationID: owner.id,
      ConfigurationFile: checkpoint ? `Snapshots\\${owner.id}.vmcx` : `Virtual Machines\\${vm.id}.vmcx`,
      GuestStateFile: checkpoint ? `Snapshots\\${owner.id}.vmgs` : `Virtual Machines\\${vm.id}.vmgs`,
      BIOSGUID: `{${vm.id}}`,
      BootOrder: vm.generation === 1 ? [1, 2, 3, 0] : null,
      BootSourceOrder: bootSourceOrder(owner),
      Parent: parentPath(vm, checkpoint),
      SecureBootEnabled: vm.generation === 2,
      SecureBootTemplateId: vm.generation === 2 ? SECURE_BOOT_TEMPLATE : null,
      UserSnapshotType: 3,
      Version: vm.version,
      AutomaticStartupAction: vm.startAction ?? 3,
      IsSaved: vm.power === 'saved',
    },
  };
}

const FIXED_SETTINGS = {
  Caption: 'Virtual Machine Settings',
  Description: 'Microsoft Virtual Machine Settings',
  ConfigurationDataRoot: 'C:\\ProgramData\\Microsoft\\Windows\\Hyper-V',
  SnapshotDataRoot: 'C:\\ProgramData\\Microsoft\\Windows\\Hyper-V',
  SwapFileDataRoot: 'C:\\ProgramData\\Microsoft\\Windows\\Hyper-V',
  SuspendDataRoot: 'C:\\ProgramData\\Microsoft\\Windows\\Hyper-V',
  LogDataRoot: 'C:\\ProgramData\\Microsoft\\Windows\\Hyper-V',
  GuestStateDataRoot: 'C:\\ProgramData\\Microsoft\\Windows\\Hyper-V',
  AutomaticStartupActionDelay: { intervalSeconds: 0 },
  AutomaticShutdownAction: 3,
  AutomaticRecoveryAction: 3,
  AutomaticCriticalErrorAction: 1,
  AutomaticCriticalErrorActionTimeout: { intervalSeconds: 1800 },
  AutomaticSnapshotsEnabled: false,
  IsAutomaticSnapshot: false,
  IncrementalBackupEnabled: false,
  VirtualNumaEnabled: true,
  Architecture: 'x64',
} as const;

function systemType(checkpoint: CheckpointState | undefined): string {
  if (!checkpoint) return 'Microsoft:Hyper-V:System:Realized';
  return checkpoint.kind === 'recovery'
    ? 'Microsoft:Hyper-V:Snapshot:Recovery'
    : 'Microsoft:Hyper-V:Snapshot:Realized';
}

/** A string property: the wire writes it as path text, as was seen on a host. */
function parentPath(vm: VmState, checkpoint: CheckpointState | undefined): LabPath | null {
  const parent = checkpoint ? checkpoint.parent : vm.checkpoints.at(-1)?.id;
  return parent === undefined ? null : settingsPath(parent);
}

/** Controllers, drives and media of one set of settings. */
export function resourceRows(core: HostCore, owner: SettingsOwner): LabInstance[] {
  return [
    ...owner.vm.controllers.map((_, index) => controllerRow(owner, index)),
    ...owner.drives.map((drive) => driveRow(owner, drive)),
    ...owner.drives
      .filter((drive) => drive.kind !== 'physical')
      .map((drive) => mediumRow(core, owner, drive)),
  ];
}

function controllerRow(owner: SettingsOwner, index: number): LabInstance {
  const ide = owner.vm.controllers[index]!.kind === 'ide';
  const number = controllerNumber(owner.vm.controllers, index);
  return {
    className: 'Msvm_ResourceAllocationSettingData',
    properties: {
      ...ALLOCATION,
      InstanceID: controllerId(owner.id, owner.vm, index),
      ElementName: ide ? `IDE Controller ${number}` : 'SCSI Controller',
      ResourceType: ide ? 5 : 6,
      ResourceSubType: ide
        ? 'Microsoft:Hyper-V:Emulated IDE Controller'
        : 'Microsoft:Hyper-V:Synthetic SCSI Controller',
      // Only an IDE controller has one; SCSI controllers are told apart by their order.
      Address: ide ? String(number) : null,
      VirtualSystemIdentifiers: ide ? null : [`{${owner.vm.controllers[index]!.id.toLowerCase()}}`],
    },
  };
}

const DRIVES = {
  disk: { type: 17, subType: 'Microsoft:Hyper-V:Synthetic Disk Drive', name: 'Hard Drive' },
  physical: { type: 17, subType: 'Microsoft:Hyper-V:Physical Disk Drive', name: 'Physical Disk Drive' },
  dvd: { type: 16, subType: 'Microsoft:Hyper-V:Synthetic DVD Drive', name: 'DVD Drive' },
} as const;

function driveRow(owner: SettingsOwner, drive: DriveState): LabInstance {
  const { type, subType, name } = DRIVES[drive.kind];
  return {
    className: 'Msvm_ResourceAllocationSettingData',
    properties: {
      ...ALLOCATION,
      InstanceID: driveId(owner.id, owner.vm, drive),
      ElementName: name,
      ResourceType: type,
      ResourceSubType: subType,
      Parent: resourcePath(controllerId(owner.id, owner.vm, drive.controller)),
      AddressOnParent: String(drive.slot),
      HostResource: drive.kind === 'physical' ? [physicalDiskPath(drive)] : null,
    },
  };
}

function mediumRow(core: HostCore, owner: SettingsOwner, drive: DriveState): LabInstance {
  const disk = drive.kind === 'disk';
  return {
    className: 'Msvm_StorageAllocationSettingData',
    properties: {
      ...ALLOCATION,
      InstanceID: mediumId(owner.id, owner.vm, drive),
      ElementName: disk ? 'Hard Disk Image' : 'ISO Disk Image',
      ResourceType: 31,
      ResourceSubType: disk ? 'Microsoft:Hyper-V:Virtual Hard Disk' : 'Microsoft:Hyper-V:Virtual CD/DVD Disk',
      Parent: resourcePath(driveId(owner.id, owner.vm, drive)),
      AddressOnParent: '0',
      HostResource: [disk ? filePath(core, owner, drive) : drive.path!],
      Access: disk ? 3 : 1,
      CachingMode: 2,
      IOPSAllocationUnits: 'count(normalized I/O) / second',
      IgnoreFlushes: false,
      PersistentReservationsSupported: drive.shared ?? false,
      SnapshotId: '',
      WriteHardeningMethod: 0,
    },
  };
}

/** Of a checkpoint: the frozen file. Of the VM: the leaf its guest writes to. */
function filePath(core: HostCore, owner: SettingsOwner, drive: DriveState): string {
  const frozen = owner.checkpoint?.disks.find(({ diskId }) => diskId === drive.diskId);
  return frozen?.path ?? core.disks.get(drive.diskId!)!.leaf.path;
}

const ALLOCATION = {
  AutomaticAllocation: true,
  AutomaticDeallocation: true,
  Caption: 'Hyper-V Resource Settings',
  ConsumerVisibility: 3,
  Description: 'Settings of a Hyper-V resource',
  Limit: 1n,
  PoolID: '',
  Reservation: 1n,
  VirtualQuantity: 1n,
  VirtualQuantityUnits: 'count',
  Weight: 0,
} as const;

function resourcePath(instanceId: string): LabPath {
  return { className: 'Msvm_ResourceAllocationSettingData', keys: { InstanceID: instanceId } };
}

function physicalDiskPath(drive: DriveState): LabPath {
  return {
    className: 'Msvm_DiskDrive',
    keys: {
      CreationClassName: 'Msvm_DiskDrive',
      DeviceID: `Microsoft:${drive.path}`,
      SystemCreationClassName: 'Msvm_ComputerSystem',
    },
  };
}
