/** The few classes of `root/cimv2` that tell how the Windows under Hyper-V is: as documented for the Win32 provider. */
import { labClass } from '../classes/index.ts';
import type { LabClass } from '../cim.ts';

const operatingSystem = labClass('Win32_OperatingSystem', {
  isA: ['CIM_OperatingSystem'],
  keys: 'Name',
  properties: [
    {
      string: 'Name Caption Version BuildNumber CSName',
      datetime: 'LocalDateTime LastBootUpTime',
      uint32: 'OSLanguage',
    },
  ],
});

const service = labClass('Win32_Service', {
  isA: ['Win32_BaseService', 'CIM_Service'],
  keys: 'Name',
  properties: [{ string: 'Name DisplayName State StartMode Status', boolean: 'Started' }],
});

const volume = labClass('Win32_Volume', {
  isA: ['CIM_StorageVolume'],
  keys: 'DeviceID',
  properties: [
    { string: 'DeviceID Name DriveLetter FileSystem', uint32: 'DriveType', uint64: 'Capacity FreeSpace' },
  ],
});

export const WINDOWS_CLASSES: ReadonlyMap<string, LabClass> = new Map(
  [operatingSystem, service, volume].map((cls) => [cls.name, cls]),
);
