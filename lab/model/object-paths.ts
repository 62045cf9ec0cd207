/** How things of the host are named in WMI. A storage setting's InstanceID names the place, not the disk in it. */
import type { LabPath, LabValue } from '../cim.ts';
import type { ControllerState, DriveState, VmState } from './host-state.ts';

/** All emulated IDE controllers share this id; their number tells them apart. */
const IDE_ID = '83F8638B-8DCA-4152-9EDA-2CA8B33039B4';

export function systemPath(name: string): LabPath {
  return {
    className: 'Msvm_ComputerSystem',
    keys: { CreationClassName: 'Msvm_ComputerSystem', Name: name },
  };
}

/** Settings of a VM or of a checkpoint, by its GUID. */
export function settingsPath(ownerId: string): LabPath {
  return { className: 'Msvm_VirtualSystemSettingData', keys: { InstanceID: `Microsoft:${ownerId}` } };
}

export function referencePointPath(vmId: string, pointId: string): LabPath {
  return {
    className: 'Msvm_VirtualSystemReferencePoint',
    keys: { InstanceID: `Microsoft:${pointId}`, VirtualSystemIdentifier: vmId },
  };
}

/** @param ownerId GUID of the VM, or of the checkpoint whose settings these are */
export function controllerId(ownerId: string, vm: VmState, index: number): string {
  const controller = vm.controllers[index]!;
  return controller.kind === 'ide'
    ? `Microsoft:${ownerId}\\${IDE_ID}\\${controllerNumber(vm.controllers, index)}`
    : `Microsoft:${ownerId}\\${controller.id}\\0`;
}

/** Its number among the controllers of its kind: the address of an IDE controller, the order of a SCSI one. */
export function controllerNumber(controllers: readonly ControllerState[], index: number): number {
  const { kind } = controllers[index]!;
  return controllers.slice(0, index).filter((other) => other.kind === kind).length;
}

export function driveId(
  ownerId: string,
  vm: VmState,
  drive: Pick<DriveState, 'controller' | 'slot'>,
): string {
  return `${placeId(ownerId, vm, drive)}\\D`;
}

/** InstanceID of the medium in a drive: what a reference point calls a disk. */
export function mediumId(
  ownerId: string,
  vm: VmState,
  drive: Pick<DriveState, 'controller' | 'slot'>,
): string {
  return `${placeId(ownerId, vm, drive)}\\L`;
}

function placeId(ownerId: string, vm: VmState, drive: Pick<DriveState, 'controller' | 'slot'>): string {
  return `${controllerId(ownerId, vm, drive.controller)}\\${drive.slot}`;
}

/** The GUID in an InstanceID `Microsoft:<GUID>`, upper case. */
export function guidOf(instanceId: LabValue | undefined): string | undefined {
  const match = /^Microsoft:([0-9a-f-]{36})$/i.exec(typeof instanceId === 'string' ? instanceId : '');
  return match?.[1]!.toUpperCase();
}

export function isPath(value: LabValue | undefined): value is LabPath {
  return typeof value === 'object' && value !== null && 'keys' in value;
}

/** The text of a key property, which is always a string. */
export function keyText(value: LabValue | undefined): string {
  return typeof value === 'string' ? value : '';
}
