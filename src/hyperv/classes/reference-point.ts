/** Reference points: the durable marks of change tracking. */
import { cimClass } from '../../winrm/index.ts';

export const Msvm_VirtualSystemReferencePoint = cimClass('Msvm_VirtualSystemReferencePoint', {
  properties: {
    InstanceID: 'string key',
    VirtualSystemIdentifier: 'string key',
    /** 1 log based (replication), 2 change tracking. */
    ReferencePointType: 'uint16',
    /** The level that was reached: 1 application, 2 crash. */
    ConsistencyLevel: 'uint16',
    /** InstanceIDs of the disks' StorageAllocationSettingData at that time … */
    VirtualDiskIdentifiers: 'string[]',
    /** … and, at the same index, the change tracking id of each. */
    ResilientChangeTrackingIdentifiers: 'string[]',
  },
});

export const Msvm_VirtualSystemReferencePointService = cimClass('Msvm_VirtualSystemReferencePointService', {
  properties: { CreationClassName: 'string key' },
  methods: {
    DestroyReferencePoint: { input: { AffectedReferencePoint: 'ref' }, output: { Job: 'ref' } },
  },
});
