/** The singleton services and the methods the lab answers. */
import { SERVICE, SERVICE_KEYS, serviceProperties } from './ancestry.ts';
import { JOB, labClass, method, type PropertyTable } from './class-table.ts';
import type { LabClass, LabMethod } from '../cim.ts';

function service(name: string, isA: readonly string[], methods: Record<string, LabMethod>): LabClass {
  return labClass(name, {
    isA: [...isA, ...SERVICE],
    keys: SERVICE_KEYS,
    properties: serviceProperties,
    methods,
  });
}

export const snapshotService = service(
  'Msvm_VirtualSystemSnapshotService',
  ['CIM_VirtualSystemSnapshotService'],
  {
    CreateSnapshot: method(
      {
        reference: 'AffectedSystem ResultingSnapshot',
        embedded: 'SnapshotSettings',
        uint16: 'SnapshotType',
      },
      { reference: 'ResultingSnapshot Job' },
    ),
    ApplySnapshot: method({ reference: 'Snapshot' }, JOB),
    DestroySnapshot: method({ reference: 'AffectedSnapshot' }, JOB),
    DestroySnapshotTree: method({ reference: 'SnapshotSettingData' }, JOB),
    ConvertToReferencePoint: method(
      { reference: 'AffectedSnapshot ResultingReferencePoint', embedded: 'ReferencePointSettings' },
      { reference: 'ResultingReferencePoint Job' },
    ),
  },
);

export const referencePointService = service('Msvm_VirtualSystemReferencePointService', [], {
  DestroyReferencePoint: method({ reference: 'AffectedReferencePoint' }, JOB),
});

export const managementService = service(
  'Msvm_VirtualSystemManagementService',
  ['CIM_VirtualSystemManagementService'],
  {
    ModifySystemSettings: method({ embedded: 'SystemSettings' }, JOB),
    GetSummaryInformation: method(
      { 'reference[]': 'SettingData', 'uint32[]': 'RequestedInformation' },
      { 'object[]': 'SummaryInformation' },
    ),
  },
);

const onPath: PropertyTable = { string: 'Path' };

export const imageManagementService = service('Msvm_ImageManagementService', [], {
  GetVirtualHardDiskSettingData: method(onPath, { embedded: 'SettingData', reference: 'Job' }),
  GetVirtualHardDiskState: method(onPath, { embedded: 'State', reference: 'Job' }),
  GetVirtualDiskChanges: method(
    { string: 'Path LimitId TargetSnapshotId', uint64: 'ByteOffset ByteLength' },
    {
      uint64: 'ProcessedByteLength',
      'uint64[]': 'ChangedByteOffsets ChangedByteLengths',
      reference: 'Job',
    },
  ),
});
