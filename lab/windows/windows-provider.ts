/** The Windows below the emulated Hyper-V, as its namespace `root/cimv2` shows it: read-only, and only what clients ask. */
import { readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { LabWmiError, type LabCimProvider, type LabInstance } from '../cim.ts';
import { WINDOWS_CLASSES } from './classes.ts';

/** What can be set about it. */
export interface WindowsFacts {
  /** As `10.0.20348`, which is Windows Server 2022. */
  readonly version: string;
  /** State of the Virtual Machine Management service. */
  readonly vmms: 'Running' | 'Stopped';
  /** Free bytes of every volume; left out: those of the file system that holds the lab. */
  readonly freeBytes?: number;
}

export const DEFAULT_WINDOWS: WindowsFacts = { version: '10.0.20348', vmms: 'Running' };

export interface WindowsSource {
  readonly hostName: () => string;
  readonly facts: () => WindowsFacts;
  /** Its folders are the drives. */
  readonly volumesFolder: string;
}

const LOCAL_DISK = 3;
/** 0x8004102F. */
const INVALID_METHOD = 0x8004_102f;

export function createWindowsProvider(source: WindowsSource): LabCimProvider {
  return {
    namespace: 'root/cimv2',
    classes: WINDOWS_CLASSES,
    get hostName() {
      return source.hostName();
    },
    async instances(className) {
      return (await ROWS[className]?.(source)) ?? [];
    },
    invoke: (target, method) =>
      Promise.reject(new LabWmiError(INVALID_METHOD, `${target.className} has no method ${method}`)),
  };
}

const ROWS: Readonly<Record<string, (source: WindowsSource) => LabInstance[] | Promise<LabInstance[]>>> = {
  Win32_OperatingSystem: ({ hostName, facts }) => [
    {
      className: 'Win32_OperatingSystem',
      properties: {
        Name: String.raw`Microsoft Windows Server|C:\Windows|\Device\Harddisk0\Partition4`,
        Caption: 'Microsoft Windows Server',
        Version: facts().version,
        BuildNumber: facts().version.split('.').at(-1)!,
        CSName: hostName(),
        LocalDateTime: new Date(),
      },
    },
  ],
  Win32_Service: ({ facts }) => [
    serviceRow('vmms', 'Hyper-V Virtual Machine Management', facts().vmms),
    serviceRow('WinRM', 'Windows Remote Management (WS-Management)', 'Running'),
  ],
  Win32_Volume: volumeRows,
};

function serviceRow(Name: string, DisplayName: string, State: string): LabInstance {
  const Started = State === 'Running';
  return { className: 'Win32_Service', properties: { Name, DisplayName, State, StartMode: 'Auto', Started } };
}

async function volumeRows({ volumesFolder, facts }: WindowsSource): Promise<LabInstance[]> {
  const drives = await readdir(volumesFolder).catch((): string[] => []);
  return Promise.all(drives.sort().map((drive) => volumeRow(drive, join(volumesFolder, drive), facts())));
}

async function volumeRow(drive: string, folder: string, { freeBytes }: WindowsFacts): Promise<LabInstance> {
  const { bsize, blocks, bavail } = await statfs(folder);
  return {
    className: 'Win32_Volume',
    properties: {
      DeviceID:
        String.raw`\\?\Volume{00000000-0000-0000-0000-0000000000${drive.charCodeAt(0).toString(16)}}` + '\\',
      Name: `${drive}:\\`,
      DriveLetter: `${drive}:`,
      DriveType: LOCAL_DISK,
      FileSystem: 'NTFS',
      Capacity: BigInt(bsize * blocks),
      FreeSpace: BigInt(freeBytes ?? bsize * bavail),
    },
  };
}
