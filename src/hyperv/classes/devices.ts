/** Devices of a VM that a description of it needs. Names and types are those of the published class pages. */
import { cimClass } from '../../winrm/index.ts';

export const Msvm_MemorySettingData = cimClass('Msvm_MemorySettingData', {
  properties: {
    InstanceID: 'string key',
    /** MiB at start. */
    VirtualQuantity: 'uint64',
    /** MiB, least with dynamic memory. */
    Reservation: 'uint64',
    /** MiB, most with dynamic memory. */
    Limit: 'uint64',
    /** Share of memory among VMs. */
    Weight: 'uint32',
    DynamicMemoryEnabled: 'boolean',
    /** Percent of what the guest uses, kept free for it. */
    TargetMemoryBuffer: 'uint32',
  },
});

export const Msvm_ProcessorSettingData = cimClass('Msvm_ProcessorSettingData', {
  properties: {
    InstanceID: 'string key',
    VirtualQuantity: 'uint64',
    /** Of 100 000. */
    Reservation: 'uint64',
    /** Of 100 000. */
    Limit: 'uint64',
    Weight: 'uint32',
    /** Only features that every processor of the maker has: for live migration to other hosts. */
    LimitProcessorFeatures: 'boolean',
    /** For guests such as Windows NT 4.0. */
    LimitCPUID: 'boolean',
    ExposeVirtualizationExtensions: 'boolean',
    HwThreadsPerCore: 'uint64',
    MaxProcessorsPerNumaNode: 'uint64',
    MaxNumaNodesPerSocket: 'uint64',
  },
});

const ethernetPort = {
  properties: {
    InstanceID: 'string key',
    ElementName: 'string',
    /** MAC address, twelve hexadecimal digits. */
    Address: 'string',
    StaticMacAddress: 'boolean',
  },
} as const;

export const Msvm_SyntheticEthernetPortSettingData = cimClass(
  'Msvm_SyntheticEthernetPortSettingData',
  ethernetPort,
);
/** The legacy adapter of generation 1. */
export const Msvm_EmulatedEthernetPortSettingData = cimClass(
  'Msvm_EmulatedEthernetPortSettingData',
  ethernetPort,
);

/** The cable of an adapter. */
export const Msvm_EthernetPortAllocationSettingData = cimClass('Msvm_EthernetPortAllocationSettingData', {
  properties: {
    InstanceID: 'string key',
    /** Object path of the adapter. */
    Parent: 'string',
    /** [0] is the object path of the switch; empty when the adapter is not connected. */
    HostResource: 'string[]',
    /** Of the switch it was connected to, also when that is gone. */
    LastKnownSwitchName: 'string',
    /** 2: connected. 3: the cable is pulled. */
    EnabledState: 'uint16',
  },
});

/** VLANs of a cable; its InstanceID begins with that of the cable. */
export const Msvm_EthernetSwitchPortVlanSettingData = cimClass('Msvm_EthernetSwitchPortVlanSettingData', {
  properties: {
    InstanceID: 'string key',
    OperationMode: 'uint32',
    AccessVlanId: 'uint16',
    NativeVlanId: 'uint16',
    TrunkVlanIdArray: 'uint16[]',
    PvlanMode: 'uint32',
    PrimaryVlanId: 'uint16',
    SecondaryVlanId: 'uint16',
  },
});

export const Msvm_VirtualEthernetSwitch = cimClass('Msvm_VirtualEthernetSwitch', {
  properties: {
    CreationClassName: 'string key',
    /** GUID. */
    Name: 'string key',
    ElementName: 'string',
  },
});

export const Msvm_SecuritySettingData = cimClass('Msvm_SecuritySettingData', {
  properties: {
    InstanceID: 'string key',
    TpmEnabled: 'boolean',
    KsdEnabled: 'boolean',
    ShieldingRequested: 'boolean',
    DataProtectionRequested: 'boolean',
    EncryptStateAndVmMigrationTraffic: 'boolean',
    VirtualizationBasedSecurityOptOut: 'boolean',
  },
});

export const Msvm_BootSourceSettingData = cimClass('Msvm_BootSourceSettingData', {
  properties: {
    InstanceID: 'string key',
    BootSourceDescription: 'string',
    /** 1 drive, 2 network, 3 file. */
    BootSourceType: 'uint32',
    FirmwareDevicePath: 'string',
  },
});

/** Integration services: each VM has one instance of each. 2: offered to the guest. */
const service = { properties: { InstanceID: 'string key', EnabledState: 'uint16' } } as const;

export const INTEGRATION_SERVICES = {
  shutdown: cimClass('Msvm_ShutdownComponentSettingData', service),
  timeSynchronisation: cimClass('Msvm_TimeSyncComponentSettingData', service),
  keyValueExchange: cimClass('Msvm_KvpExchangeComponentSettingData', service),
  heartbeat: cimClass('Msvm_HeartbeatComponentSettingData', service),
  backup: cimClass('Msvm_VssComponentSettingData', service),
  guestServices: cimClass('Msvm_GuestServiceInterfaceComponentSettingData', service),
} as const;
