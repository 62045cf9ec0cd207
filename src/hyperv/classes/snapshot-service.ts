/** Checkpoints are made, destroyed and turned into reference points by this service. */
import { cimClass } from '../../winrm/index.ts';

export const Msvm_VirtualSystemSnapshotService = cimClass('Msvm_VirtualSystemSnapshotService', {
  properties: { CreationClassName: 'string key' },
  methods: {
    CreateSnapshot: {
      input: { AffectedSystem: 'ref', SnapshotSettings: 'embedded', SnapshotType: 'uint16' },
      output: { Job: 'ref' },
    },
    DestroySnapshot: { input: { AffectedSnapshot: 'ref' }, output: { Job: 'ref' } },
    ConvertToReferencePoint: {
      input: { AffectedSnapshot: 'ref', ReferencePointSettings: 'string' },
      output: { Job: 'ref' },
    },
  },
});

/** Made by us and sent along with CreateSnapshot; never read. */
export const Msvm_VirtualSystemSnapshotSettingData = cimClass('Msvm_VirtualSystemSnapshotSettingData', {
  properties: {
    /** 1 application, 2 crash. */
    ConsistencyLevel: 'uint8',
    /** 1 full (writers in the guest may truncate logs), 2 copy (they must not). */
    GuestBackupType: 'uint8',
    IgnoreNonSnapshottableDisks: 'boolean',
  },
});

/** Changes names and other settings of VMs and checkpoints. */
export const Msvm_VirtualSystemManagementService = cimClass('Msvm_VirtualSystemManagementService', {
  properties: { CreationClassName: 'string key' },
  methods: { ModifySystemSettings: { input: { SystemSettings: 'embedded' }, output: { Job: 'ref' } } },
});
