/** What a VM has beside its disks, as its published class pages list it: processors, memory, network, firmware, security. */
import {
  SETTING,
  managedProperties,
  systemElementProperties,
  enabledProperties,
  LOGICAL,
} from './ancestry.ts';
import { labClass, type PropertyTable } from './class-table.ts';
import { allocationProperties } from './setting-data.ts';

const ALLOCATION = ['CIM_ResourceAllocationSettingData', ...SETTING] as const;

const device = (name: string, ...own: readonly PropertyTable[]) =>
  labClass(name, {
    isA: ALLOCATION,
    keys: 'InstanceID',
    properties: [managedProperties, allocationProperties, ...own],
  });

const ethernetPort: PropertyTable = {
  boolean: 'ClusterMonitored StaticMacAddress',
  string: 'DesiredVLANEndpointMode',
  'string[]': 'VirtualSystemIdentifiers',
};
const serviceState: PropertyTable = { uint16: 'EnabledState' };

export const deviceSettings = [
  device('Msvm_MemorySettingData', {
    boolean: 'DynamicMemoryEnabled HugePagesEnabled IsVirtualized SgxEnabled SwapFilesInUse',
    uint32: 'TargetMemoryBuffer',
    uint64: 'MaxMemoryBlocksPerNumaNode SgxSize',
  }),
  device('Msvm_ProcessorSettingData', {
    boolean:
      'EnableHostResourceProtection ExposeVirtualizationExtensions LimitCPUID LimitProcessorFeatures HideHypervisorPresent',
    uint64: 'HwThreadsPerCore MaxNumaNodesPerSocket MaxProcessorsPerNumaNode',
  }),
  device('Msvm_SyntheticEthernetPortSettingData', ethernetPort, { boolean: 'DeviceNamingEnabled' }),
  device('Msvm_EmulatedEthernetPortSettingData', ethernetPort),
  device('Msvm_EthernetPortAllocationSettingData', {
    string: 'CompartmentGuid LastKnownSwitchName TestReplicaPoolID TestReplicaSwitchName',
    'string[]': 'RequiredFeatureHints RequiredFeatures',
    uint16: 'EnabledState',
  }),
  device('Msvm_ShutdownComponentSettingData', serviceState),
  device('Msvm_TimeSyncComponentSettingData', serviceState),
  device('Msvm_KvpExchangeComponentSettingData', serviceState),
  device('Msvm_HeartbeatComponentSettingData', serviceState, { uint32: 'Interval Latency ErrorThreshold' }),
  device('Msvm_VssComponentSettingData', serviceState),
  device('Msvm_GuestServiceInterfaceComponentSettingData', serviceState, {
    uint16: 'DefaultEnabledStatePolicy',
  }),
] as const;

export const ethernetSwitchPortVlanSettingData = labClass('Msvm_EthernetSwitchPortVlanSettingData', {
  isA: SETTING,
  keys: 'InstanceID',
  properties: [
    managedProperties,
    {
      uint16: 'AccessVlanId NativeVlanId PrimaryVlanId SecondaryVlanId',
      'uint16[]': 'PruneVlanIdArray SecondaryVlanIdArray TrunkVlanIdArray',
      uint32: 'OperationMode PvlanMode',
    },
  ],
});

export const securitySettingData = labClass('Msvm_SecuritySettingData', {
  isA: SETTING,
  keys: 'InstanceID',
  properties: [
    managedProperties,
    {
      boolean:
        'DataProtectionRequested EncryptStateAndVmMigrationTraffic KsdEnabled ShieldingRequested TpmEnabled VirtualizationBasedSecurityOptOut',
    },
  ],
});

export const bootSourceSettingData = labClass('Msvm_BootSourceSettingData', {
  isA: SETTING,
  keys: 'InstanceID',
  properties: [
    managedProperties,
    {
      string: 'BootSourceDescription FirmwareDevicePath OtherLocation OptionalData',
      uint32: 'BootSourceType',
    },
  ],
});

export const virtualEthernetSwitch = labClass('Msvm_VirtualEthernetSwitch', {
  isA: LOGICAL,
  keys: 'CreationClassName Name',
  properties: [
    managedProperties,
    systemElementProperties,
    enabledProperties,
    {
      string: 'CreationClassName NameFormat PrimaryOwnerContact PrimaryOwnerName',
      'string[]': 'IdentifyingDescriptions OtherIdentifyingInfo',
      uint16: 'ResetCapability',
      'uint16[]': 'Dedicated',
      uint32: 'MaxIOVOffloads MaxVMQOffloads',
    },
  ],
});
