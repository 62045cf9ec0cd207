/**
 * What a VM has beside its disks: enough of each class for a description of the VM. One network adapter on one switch, as a VM
 * has that nobody changed.
 */
import type { LabInstance, LabPath, LabValue } from '../cim.ts';
import type { VmState } from './host-state.ts';
import { keyText } from './object-paths.ts';
import type { SettingsOwner } from './settings-rows.ts';

const SWITCH_ID = '6B1C3A5E-7F20-4D8B-9A41-5C0E2D7F8B16';
const SWITCH_NAME = 'LAN';
/** Microsoft Windows: what a new VM of generation 2 has. */
export const SECURE_BOOT_TEMPLATE = '1734c6e8-3154-4dda-ba5f-a874cc483422';

/** Integration services that a new VM offers its guest; the guest service interface is the one it does not. */
const SERVICES = {
  Msvm_ShutdownComponentSettingData: 2,
  Msvm_TimeSyncComponentSettingData: 2,
  Msvm_KvpExchangeComponentSettingData: 2,
  Msvm_HeartbeatComponentSettingData: 2,
  Msvm_VssComponentSettingData: 2,
  Msvm_GuestServiceInterfaceComponentSettingData: 3,
} as const;

/** Devices that the settings are associated with. */
export function deviceRows(owner: SettingsOwner): LabInstance[] {
  const { id, vm } = owner;
  return [
    row('Msvm_MemorySettingData', `${id}\\MEMORY`, {
      ElementName: 'Memory',
      VirtualQuantity: BigInt(vm.memoryMiB),
      Reservation: BigInt(vm.memoryMiB),
      Limit: 1_048_576n,
      Weight: 5000,
      DynamicMemoryEnabled: false,
      TargetMemoryBuffer: 20,
    }),
    row('Msvm_ProcessorSettingData', `${id}\\PROCESSOR\\0`, {
      ElementName: 'Processor',
      VirtualQuantity: BigInt(vm.processors),
      Reservation: 0n,
      Limit: 100_000n,
      Weight: 100,
      LimitProcessorFeatures: false,
      LimitCPUID: false,
      ExposeVirtualizationExtensions: false,
      HwThreadsPerCore: 0n,
      MaxProcessorsPerNumaNode: 64n,
      MaxNumaNodesPerSocket: 1n,
    }),
    ...adapterRows(owner),
    ...Object.entries(SERVICES).map(([className, state]) =>
      row(className, `${id}\\${className.slice('Msvm_'.length)}`, { EnabledState: state }),
    ),
  ];
}

function adapterRows({ id, vm }: SettingsOwner): LabInstance[] {
  const adapter = `${id}\\${vm.id}`;
  return [
    row('Msvm_SyntheticEthernetPortSettingData', adapter, {
      ElementName: 'Network Adapter',
      Address: macAddressOf(vm),
      StaticMacAddress: false,
    }),
    row('Msvm_EthernetPortAllocationSettingData', `${adapter}\\C`, {
      ElementName: 'Dynamic Ethernet Switch Port',
      Parent: {
        className: 'Msvm_SyntheticEthernetPortSettingData',
        keys: { InstanceID: `Microsoft:${adapter}` },
      },
      HostResource: [
        {
          className: 'Msvm_VirtualEthernetSwitch',
          keys: { CreationClassName: 'Msvm_VirtualEthernetSwitch', Name: SWITCH_ID },
        },
      ],
      LastKnownSwitchName: SWITCH_NAME,
      EnabledState: 2,
    }),
  ];
}

/** From the range that Microsoft has for virtual machines. */
function macAddressOf({ id }: VmState): string {
  return `00155D${id.replaceAll('-', '').slice(-6)}`;
}

export function vlanRow({ id, vm }: SettingsOwner): LabInstance {
  return row('Msvm_EthernetSwitchPortVlanSettingData', `${id}\\${vm.id}\\C\\VLAN`, {
    OperationMode: 1,
    AccessVlanId: 0,
    NativeVlanId: 0,
  });
}

export function securityRow({ id, vm }: SettingsOwner): LabInstance {
  return row('Msvm_SecuritySettingData', `${id}\\SECURITY`, {
    TpmEnabled: false,
    KsdEnabled: false,
    ShieldingRequested: vm.shielded ?? false,
    DataProtectionRequested: false,
    EncryptStateAndVmMigrationTraffic: false,
    VirtualizationBasedSecurityOptOut: false,
  });
}

/** Generation 2: the first disk, then the network. */
export function bootSourceRows({ id, vm }: SettingsOwner): LabInstance[] {
  if (vm.generation === 1) return [];
  return [
    row('Msvm_BootSourceSettingData', `${id}\\BOOT\\0`, {
      BootSourceType: 1,
      BootSourceDescription: 'EFI SCSI Device',
      FirmwareDevicePath: '\\AcpiEx(VMBus,0,0)\\VenHw()\\Scsi(0,0)',
    }),
    row('Msvm_BootSourceSettingData', `${id}\\BOOT\\1`, {
      BootSourceType: 2,
      BootSourceDescription: 'EFI Network',
      FirmwareDevicePath: `\\AcpiEx(VMBus,0,0)\\VenHw()\\MAC(${macAddressOf(vm)})`,
    }),
  ];
}

export function bootSourceOrder(owner: SettingsOwner): LabPath[] | null {
  const rows = bootSourceRows(owner);
  if (rows.length === 0) return null;
  return rows.map(({ className, properties }) => ({
    className,
    keys: { InstanceID: keyText(properties['InstanceID']) },
  }));
}

export function switchRow(): LabInstance {
  return {
    className: 'Msvm_VirtualEthernetSwitch',
    properties: {
      CreationClassName: 'Msvm_VirtualEthernetSwitch',
      Name: SWITCH_ID,
      Caption: 'Virtual Switch',
      Description: 'Microsoft Virtual Switch',
      ElementName: SWITCH_NAME,
      Dedicated: [38],
      EnabledDefault: 2,
      EnabledState: 5,
      HealthState: 5,
      OperationalStatus: [2],
      RequestedState: 12,
      ResetCapability: 5,
      Status: 'OK',
      StatusDescriptions: ['OK'],
    },
  };
}

function row(className: string, id: string, properties: Readonly<Record<string, LabValue>>): LabInstance {
  return { className, properties: { InstanceID: `Microsoft:${id}`, ...properties } };
}
