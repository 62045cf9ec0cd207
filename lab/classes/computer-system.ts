import {
  ENABLED_LOGICAL,
  enabledProperties,
  managedProperties,
  systemElementProperties,
} from './ancestry.ts';
import { JOB, labClass, method } from './class-table.ts';

/** The 41 scalar properties are those of the recorded host (recorded_computersystem_pull_*); the arrays come from the class page. */
export const computerSystem = labClass('Msvm_ComputerSystem', {
  isA: ['CIM_ComputerSystem', 'CIM_System', ...ENABLED_LOGICAL],
  keys: 'CreationClassName Name',
  properties: [
    managedProperties,
    systemElementProperties,
    enabledProperties,
    {
      datetime:
        'LastApplicationConsistentReplicationTime LastReplicationTime LastSuccessfulBackupTime TimeOfLastConfigurationChange',
      string: 'CreationClassName ManagementVtlImageFileName NameFormat PrimaryOwnerContact PrimaryOwnerName',
      'string[]': 'IdentifyingDescriptions OtherDedicatedDescriptions OtherIdentifyingInfo Roles',
      uint16:
        'EnhancedSessionModeState FailedOverReplicationType LastReplicationType NumberOfNumaNodes ReplicationHealth ReplicationMode ReplicationState ResetCapability',
      'uint16[]': 'Dedicated PowerManagementCapabilities',
      uint32: 'HwThreadsPerCoreRealized ManagementVtlImageVersion ProcessID',
      uint64: 'OnTimeInMilliseconds',
    },
  ],
  methods: {
    RequestStateChange: method({ uint16: 'RequestedState', datetime: 'TimeoutPeriod' }, JOB),
  },
});
