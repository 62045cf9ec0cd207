/** What the host knows about disk files. The methods only compute, so a broken connection lets them be asked again. */
import { cimClass } from '../../winrm/index.ts';

export const Msvm_ImageManagementService = cimClass('Msvm_ImageManagementService', {
  properties: { CreationClassName: 'string key' },
  methods: {
    GetVirtualDiskChanges: {
      input: { Path: 'string', LimitId: 'string', ByteOffset: 'uint64', ByteLength: 'uint64' },
      output: {
        ProcessedByteLength: 'uint64',
        ChangedByteOffsets: 'uint64[]',
        ChangedByteLengths: 'uint64[]',
        Job: 'ref',
      },
      repeatable: true,
    },
    GetVirtualHardDiskSettingData: {
      input: { Path: 'string' },
      output: { SettingData: 'embedded', Job: 'ref' },
      repeatable: true,
    },
    GetVirtualHardDiskState: {
      input: { Path: 'string' },
      output: { State: 'embedded', Job: 'ref' },
      repeatable: true,
    },
  },
});
