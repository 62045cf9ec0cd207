/** The instances of each class, as the host would list them now. */
import type { LabInstance, LabPath } from '../cim.ts';
import { deviceSettings } from '../classes/index.ts';
import type { HostCore } from './core.ts';
import type { ReferencePointState, VmState } from './host-state.ts';
import { affectedRows, jobRow } from './job-rows.ts';
import { bootSourceRows, deviceRows, securityRow, switchRow, vlanRow } from './device-rows.ts';
import { keyText, mediumId, referencePointPath, settingsPath, systemPath } from './object-paths.ts';
import { ownersOf, resourceRows, settingsRow, type SettingsOwner } from './settings-rows.ts';
import {
  isService,
  kvpRows,
  managementSettingsRow,
  serviceRow,
  shutdownRows,
  systemRows,
  vssRows,
} from './system-rows.ts';

/** Instances of exactly this class. */
export function rowsOf(core: HostCore, className: string): LabInstance[] {
  if (isService(className)) return [serviceRow(core, className)];
  if (DEVICES.has(className)) return resources(core, className);
  return ROWS[className]?.(core) ?? [];
}

const DEVICES: ReadonlySet<string> = new Set([
  'Msvm_ResourceAllocationSettingData',
  'Msvm_StorageAllocationSettingData',
  ...deviceSettings.map(({ name }) => name),
]);

const ROWS: Readonly<Record<string, (core: HostCore) => LabInstance[]>> = {
  Msvm_ComputerSystem: systemRows,
  Msvm_VssComponent: vssRows,
  Msvm_KvpExchangeComponent: kvpRows,
  Msvm_ShutdownComponent: shutdownRows,
  Msvm_VirtualSystemManagementServiceSettingData: () => [managementSettingsRow()],
  Msvm_VirtualSystemSettingData: (core) => owners(core).map(settingsRow),
  Msvm_EthernetSwitchPortVlanSettingData: (core) => owners(core).map(vlanRow),
  Msvm_SecuritySettingData: (core) => owners(core).map(securityRow),
  Msvm_BootSourceSettingData: (core) => owners(core).flatMap(bootSourceRows),
  Msvm_VirtualEthernetSwitch: () => [switchRow()],
  Msvm_VirtualSystemReferencePoint: (core) =>
    vms(core).flatMap((vm) => vm.referencePoints.map((point) => referencePointRow(core, vm, point))),
  Msvm_ConcreteJob: (core) => core.jobs.visible().map((job) => jobRow(core, job)),
  Msvm_AffectedJobElement: (core) => core.jobs.visible().flatMap(affectedRows),
  Msvm_SettingsDefineState: (core) =>
    vms(core).map((vm) =>
      link('Msvm_SettingsDefineState', {
        ManagedElement: systemPath(vm.id),
        SettingData: settingsPath(vm.id),
      }),
    ),
  Msvm_VirtualSystemSettingDataComponent: settingComponents,
  Msvm_SnapshotOfVirtualSystem: (core) =>
    vms(core).flatMap((vm) =>
      listed(core, vm.checkpoints).map((checkpoint) =>
        link('Msvm_SnapshotOfVirtualSystem', {
          Antecedent: systemPath(vm.id),
          Dependent: settingsPath(checkpoint.id),
        }),
      ),
    ),
  Msvm_MostCurrentSnapshotInBranch: (core) =>
    vms(core).flatMap((vm) =>
      listed(core, vm.checkpoints)
        .slice(-1)
        .map((checkpoint) =>
          link('Msvm_MostCurrentSnapshotInBranch', {
            Antecedent: systemPath(vm.id),
            Dependent: settingsPath(checkpoint.id),
          }),
        ),
    ),
  Msvm_ReferencePointOfVirtualSystem: (core) =>
    vms(core).flatMap((vm) =>
      listed(core, vm.referencePoints).map((point) =>
        link('Msvm_ReferencePointOfVirtualSystem', {
          Antecedent: systemPath(vm.id),
          Dependent: referencePointPath(vm.id, point.id),
        }),
      ),
    ),
  Msvm_SystemDevice: (core) =>
    [...vssRows(core), ...shutdownRows(core)].map((device) =>
      link('Msvm_SystemDevice', {
        GroupComponent: systemPath(keyText(device.properties['SystemName'])),
        PartComponent: devicePath(device),
      }),
    ),
};

function vms(core: HostCore): VmState[] {
  return core.state.vms;
}

function owners(core: HostCore): SettingsOwner[] {
  return vms(core).flatMap(ownersOf);
}

/** What associations show already: new things may be missing from them for a while (facts: hyperv.md §1.2 "Lag"). */
function listed<T extends { readonly createdAt: number }>(core: HostCore, items: readonly T[]): T[] {
  const newest = core.clock.now() - core.options.listingDelayMs;
  return items.filter((item) => item.createdAt <= newest);
}

function resources(core: HostCore, className: string): LabInstance[] {
  return owners(core)
    .flatMap((owner) => partsOf(core, owner))
    .filter((row) => row.className === className);
}

function partsOf(core: HostCore, owner: SettingsOwner): LabInstance[] {
  return [...resourceRows(core, owner), ...deviceRows(owner)];
}

function settingComponents(core: HostCore): LabInstance[] {
  return owners(core).flatMap((owner) =>
    partsOf(core, owner).map((row) =>
      link('Msvm_VirtualSystemSettingDataComponent', {
        GroupComponent: settingsPath(owner.id),
        PartComponent: {
          className: row.className,
          keys: { InstanceID: keyText(row.properties['InstanceID']) },
        },
      }),
    ),
  );
}

function referencePointRow(core: HostCore, vm: VmState, point: ReferencePointState): LabInstance {
  const ids = point.disks.map(({ rctId }) => rctId);
  return {
    className: 'Msvm_VirtualSystemReferencePoint',
    properties: {
      InstanceID: `Microsoft:${point.id}`,
      VirtualSystemIdentifier: vm.id,
      Caption: 'Virtual System Reference Point',
      Description: 'Virtual System Reference Point',
      ElementName: vm.name,
      ReferencePointType: 2,
      ConsistencyLevel: point.consistency,
      HasAssociatedData: false,
      VirtualDiskIdentifiers: point.disks.map((disk) => mediumId(vm.id, vm, disk)),
      ResilientChangeTrackingIdentifiers: core.options.unequalReferencePoints ? ids.slice(1) : ids,
    },
  };
}

function link(className: string, properties: Readonly<Record<string, LabPath>>): LabInstance {
  return { className, properties };
}

function devicePath(device: LabInstance): LabPath {
  const key = (name: string): string => keyText(device.properties[name]);
  return {
    className: device.className,
    keys: {
      CreationClassName: device.className,
      DeviceID: key('DeviceID'),
      SystemCreationClassName: 'Msvm_ComputerSystem',
      SystemName: key('SystemName'),
    },
  };
}
