/** Settings of a VM or a checkpoint, and of the things plugged into it. */
import { MANAGED, SETTING, managedProperties } from './ancestry.ts';
import { labClass } from './class-table.ts';

export const virtualSystemSettingData = labClass('Msvm_VirtualSystemSettingData', {
  isA: ['CIM_VirtualSystemSettingData', ...SETTING],
  keys: 'InstanceID',
  properties: [
    managedProperties,
    {
      boolean:
        'AllowFullSCSICommandSet AllowReducedFcRedundancy AutomaticSnapshotsEnabled BIOSNumLock EnableHibernation GuestControlledCacheTypes GuestStateIsolationEnabled IncrementalBackupEnabled IsAutomaticSnapshot IsSaved LockOnDisconnect PauseAfterBootFailure SecureBootEnabled TurnOffOnGuestRestart VirtualNumaEnabled',
      datetime: 'AutomaticCriticalErrorActionTimeout AutomaticStartupActionDelay CreationTime',
      string:
        'AdditionalRecoveryInformation Architecture BIOSGUID BIOSSerialNumber BaseBoardSerialNumber ChassisAssetTag ChassisSerialNumber ConfigurationDataRoot ConfigurationFile ConfigurationID GuestStateDataRoot GuestStateFile LogDataRoot Parent RecoveryFile SecureBootTemplateId SnapshotDataRoot SuspendDataRoot SwapFileDataRoot Version VirtualSystemIdentifier VirtualSystemSubType VirtualSystemType',
      'string[]': 'BootSourceOrder Notes',
      uint16:
        'AutomaticCriticalErrorAction AutomaticRecoveryAction AutomaticShutdownAction AutomaticStartupAction AutomaticStartupActionSequenceNumber ConsoleMode DebugPortEnabled EnhancedSessionTransportType NetworkBootPreferredProtocol UserSnapshotType',
      'uint16[]': 'BootOrder',
      uint32: 'DebugChannelId DebugPort',
      uint64: 'HighMmioGapBase HighMmioGapSize LowMmioGapSize',
    },
  ],
});

/** What every device in the settings of a VM has. */
export const allocationProperties = {
  boolean: 'AutomaticAllocation AutomaticDeallocation',
  string:
    'Address AddressOnParent AllocationUnits OtherResourceType Parent PoolID ResourceSubType VirtualQuantityUnits',
  'string[]': 'Connection HostResource',
  uint16: 'ConsumerVisibility MappingBehavior ResourceType',
  uint32: 'Weight',
  uint64: 'Limit Reservation VirtualQuantity',
} as const;

/** Controllers, drives and pass-through disks. */
export const resourceAllocationSettingData = labClass('Msvm_ResourceAllocationSettingData', {
  isA: ['CIM_ResourceAllocationSettingData', ...SETTING],
  keys: 'InstanceID',
  properties: [managedProperties, allocationProperties, { 'string[]': 'VirtualSystemIdentifiers' }],
});

/** The medium in a drive. Its InstanceID names the place, not the file. */
export const storageAllocationSettingData = labClass('Msvm_StorageAllocationSettingData', {
  isA: ['CIM_StorageAllocationSettingData', 'CIM_ResourceAllocationSettingData', ...SETTING],
  keys: 'InstanceID',
  properties: [
    managedProperties,
    allocationProperties,
    {
      boolean: 'IgnoreFlushes PersistentReservationsSupported',
      string:
        'HostExtentName IOPSAllocationUnits OtherHostExtentNameFormat OtherHostExtentNameNamespace SnapshotId StorageQoSPolicyID',
      uint16: 'Access CachingMode HostExtentNameFormat HostExtentNameNamespace WriteHardeningMethod',
      uint64:
        'HostExtentStartingAddress HostResourceBlockSize IOPSLimit IOPSReservation VirtualResourceBlockSize',
    },
  ],
});

/** Made by the client, never enumerated. */
export const virtualSystemSnapshotSettingData = labClass('Msvm_VirtualSystemSnapshotSettingData', {
  isA: SETTING,
  properties: [
    managedProperties,
    { boolean: 'IgnoreNonSnapshottableDisks', uint8: 'ConsistencyLevel GuestBackupType' },
  ],
});

export const virtualSystemReferencePointSettingData = labClass(
  'Msvm_VirtualSystemReferencePointSettingData',
  {
    isA: SETTING,
    properties: [managedProperties, { uint8: 'ConsistencyLevel' }],
  },
);

export const virtualSystemReferencePoint = labClass('Msvm_VirtualSystemReferencePoint', {
  isA: MANAGED,
  keys: 'InstanceID VirtualSystemIdentifier',
  properties: [
    managedProperties,
    {
      boolean: 'HasAssociatedData',
      string: 'VirtualSystemIdentifier',
      'string[]': 'ResilientChangeTrackingIdentifiers VirtualDiskIdentifiers',
      uint16: 'ConsistencyLevel ReferencePointType',
    },
  ],
});

export const managementServiceSettingData = labClass('Msvm_VirtualSystemManagementServiceSettingData', {
  isA: SETTING,
  keys: 'InstanceID',
  properties: [
    managedProperties,
    {
      boolean: 'EnhancedSessionModeEnabled HypervisorRootSchedulerEnabled NumaSpanningEnabled',
      string:
        'BiosLockString CurrentWWNNAddress DefaultExternalDataRoot DefaultVirtualHardDiskPath MaximumMacAddress MaximumWWPNAddress MinimumMacAddress MinimumWWPNAddress PrimaryOwnerContact PrimaryOwnerName',
      uint16: 'DefaultVirtualHardDiskCachingMode HypervisorSnpStatus HypervisorTdxStatus',
      uint32: 'HbaLunTimeout',
    },
  ],
});
