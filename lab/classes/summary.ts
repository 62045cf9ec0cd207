import { labClass } from './class-table.ts';

/** Only ever an out parameter of GetSummaryInformation. */
export const summaryInformation = labClass('Msvm_SummaryInformation', {
  isA: ['Msvm_SummaryInformationBase'],
  properties: [
    {
      boolean: 'MemorySpansPhysicalNumaNodes Shielded SwapFilesInUse',
      datetime: 'CreationTime',
      sint32: 'AvailableMemoryBuffer MemoryAvailable',
      reference: 'TestReplicaSystem',
      'reference[]': 'AsynchronousTasks Snapshots',
      string:
        'AllocatedGPU ElementName GuestOperatingSystem HostComputerSystemName InstanceID Name Notes OtherEnabledState Version VirtualSystemSubType',
      'string[]': 'ReplicationProviderId StatusDescriptions VirtualSwitchNames',
      uint16:
        'ApplicationHealth EnabledState EnhancedSessionModeState HealthState Heartbeat IntegrationServicesVersionState NumberOfProcessors ProcessorLoad ReplicationHealth ReplicationMode ReplicationState ThumbnailImageHeight ThumbnailImageWidth',
      'uint16[]': 'OperationalStatus ProcessorLoadHistory ReplicationHealthEx ReplicationStateEx',
      uint64: 'MemoryUsage UpTime',
      'uint8[]': 'ThumbnailImage',
    },
  ],
});
