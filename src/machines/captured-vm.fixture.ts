/** Captured VMs of both generations, as the tests of this module look at them. */
import type { CapturedVm, CapturedDisk } from './index.ts';

export const VM_ID = '1c2d3e4f-0000-4000-8000-0123456789ab';

export function capturedDisk(changes: Partial<CapturedDisk> = {}): CapturedDisk {
  return {
    path: 'C:\\vms\\system.vhdx',
    attachmentId: 'system',
    controller: { kind: 'scsi', number: 0 },
    slot: 0,
    source: { kind: 'nbd', place: { kind: 'unix', path: '/run/x.sock' }, exportName: 'system' },
    logicalSectorSize: 512,
    physicalSectorSize: 4096,
    ...changes,
  };
}

export function generation1(disks: readonly CapturedDisk[] = [ideDisk()]): CapturedVm {
  return {
    id: VM_ID,
    name: 'old',
    generation: 1,
    configuration: {
      processors: 1,
      memory: { startupMiB: 256, dynamic: false, minimumMiB: 256, maximumMiB: 256 },
      networkAdapters: [adapter('Front'), adapter('Back')],
      firmware: { bootOrder: [1, 2, 3, 0] },
    },
    disks,
  };
}

export function ideDisk(slot = 0): CapturedDisk {
  return capturedDisk({ controller: { kind: 'ide', number: 0 }, slot });
}

export function generation2(disks: readonly CapturedDisk[] = [capturedDisk()]): CapturedVm {
  return {
    id: VM_ID,
    name: 'new',
    generation: 2,
    configuration: {
      processors: 4,
      processor: { threadsPerCore: 2 },
      memory: { startupMiB: 512, dynamic: true, minimumMiB: 256, maximumMiB: 1_048_576 },
      networkAdapters: [adapter('Front')],
      firmware: {
        biosGuid: '{6F1B0C9E-5A0E-4A57-8A51-000000000001}',
        serialNumber: '1234-5678',
        bootOrder: [],
        bootSources: [{ kind: 'drive', devicePath: '\\AcpiEx(VMBus,0,0)\\VenHw()\\Scsi(0,0)' }],
        secureBoot: true,
        secureBootTemplate: 'MicrosoftWindows',
      },
      security: { tpm: true },
    },
    disks,
  };
}

function adapter(switchName: string) {
  return {
    name: 'Network Adapter',
    macAddress: '00155D010203',
    staticMacAddress: false,
    connected: true,
    switchName,
  };
}
