/** Superclass chains and the property groups they bring, named as in the CIM schema. */
import type { PropertyTable } from './class-table.ts';

export const MANAGED = ['CIM_ManagedElement'] as const;
export const SETTING = ['CIM_SettingData', ...MANAGED] as const;
export const LOGICAL = ['CIM_LogicalElement', 'CIM_ManagedSystemElement', ...MANAGED] as const;
export const ENABLED_LOGICAL = ['CIM_EnabledLogicalElement', ...LOGICAL] as const;
export const LOGICAL_DEVICE = ['CIM_LogicalDevice', ...ENABLED_LOGICAL] as const;
export const SERVICE = ['CIM_Service', ...ENABLED_LOGICAL] as const;
export const JOB_CHAIN = ['CIM_ConcreteJob', 'CIM_Job', ...LOGICAL] as const;

export const managedProperties: PropertyTable = { string: 'InstanceID Caption Description ElementName' };

/** CIM_ManagedSystemElement beyond the managed element itself. */
export const systemElementProperties: PropertyTable = {
  datetime: 'InstallDate',
  string: 'Name Status',
  'string[]': 'StatusDescriptions',
  uint16: 'HealthState CommunicationStatus DetailedStatus OperatingStatus PrimaryStatus',
  'uint16[]': 'OperationalStatus',
};

export const enabledProperties: PropertyTable = {
  datetime: 'TimeOfLastStateChange',
  string: 'OtherEnabledState',
  uint16: 'EnabledState RequestedState EnabledDefault TransitioningToState',
  'uint16[]': 'AvailableRequestedStates',
};

/** The 28 properties every service of the namespace has (class reference, "all generic"). */
export const serviceProperties: readonly PropertyTable[] = [
  managedProperties,
  systemElementProperties,
  enabledProperties,
  {
    boolean: 'Started',
    string:
      'SystemCreationClassName SystemName CreationClassName PrimaryOwnerName PrimaryOwnerContact StartMode',
  },
];
export const SERVICE_KEYS = 'CreationClassName Name SystemCreationClassName SystemName';

export const deviceProperties: readonly PropertyTable[] = [
  managedProperties,
  systemElementProperties,
  enabledProperties,
  {
    boolean: 'ErrorCleared PowerManagementSupported',
    string: 'SystemCreationClassName SystemName CreationClassName DeviceID ErrorDescription',
    'string[]': 'IdentifyingDescriptions OtherIdentifyingInfo',
    uint16: 'Availability StatusInfo',
    'uint16[]': 'AdditionalAvailability PowerManagementCapabilities',
    uint32: 'LastErrorCode',
    uint64: 'MaxQuiesceTime PowerOnHours TotalPowerOnHours',
  },
];
export const DEVICE_KEYS = 'CreationClassName DeviceID SystemCreationClassName SystemName';
