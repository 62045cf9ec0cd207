/** What the image service says about a file, as embedded instances. */
import { SETTING, managedProperties } from './ancestry.ts';
import { labClass } from './class-table.ts';

export const virtualHardDiskSettingData = labClass('Msvm_VirtualHardDiskSettingData', {
  isA: SETTING,
  properties: [
    managedProperties,
    {
      boolean: 'IsPmemCompatible',
      datetime: 'ParentTimestamp',
      string: 'ParentIdentifier ParentPath Path VirtualDiskId',
      uint16: 'Format PmemAddressAbstractionType Type',
      uint32: 'BlockSize LogicalSectorSize PhysicalSectorSize',
      uint64: 'DataAlignment MaxInternalSize',
    },
  ],
});

export const virtualHardDiskState = labClass('Msvm_VirtualHardDiskState', {
  isA: [],
  properties: [
    {
      boolean: 'InUse',
      datetime: 'Timestamp',
      uint32: 'Alignment FragmentationPercentage PhysicalSectorSize',
      uint64: 'FileSize MinInternalSize',
    },
  ],
});
