/**
 * A VM of the lab as the arguments of QEMU. What the guest has before it is moved is described here, and what it has afterwards in
 * `src/machines`: that the two fit is for a test to show, so they share nothing but the firmware and the processor of this machine.
 */
import type { Accelerator, UefiFirmware } from '../../src/machines/index.ts';
import type { GuestDisk, GuestMachine } from '../model/index.ts';

export interface GuestSurroundings {
  readonly accelerator: Accelerator;
  /** Socket with the disks as exports `0`, `1` …. */
  readonly diskSocket: string;
  readonly serialLog: string;
  /** Of generation 2: its code, and its own copy of what it keeps. */
  readonly firmware?: { readonly uefi: UefiFirmware; readonly variables: string } | undefined;
  /** File descriptors of the monitor and of the agent's port. */
  readonly monitor: number;
  readonly agent: number;
}

export const AGENT_PORT = 'agent';

export function guestCommand(machine: GuestMachine, around: GuestSurroundings): string[] {
  const { generation, processors, memoryMiB, disks } = machine;
  return [
    '-nodefaults',
    '-no-user-config',
    '-machine',
    `${generation === 1 ? 'pc' : 'q35'},accel=${around.accelerator}`,
    '-cpu',
    around.accelerator === 'kvm' ? 'host' : 'max',
    '-smp',
    String(processors),
    '-m',
    `${memoryMiB}M`,
    '-display',
    'none',
    '-rtc',
    'base=utc',
    ...flash(around),
    ...device({ driver: 'virtio-scsi-pci', id: 'scsi' }),
    ...disks.flatMap((disk, index) => drive(disk, index, around.diskSocket)),
    ...serialPorts(around),
    '-chardev',
    `socket,id=monitor,fd=${around.monitor}`,
    '-mon',
    'chardev=monitor,mode=control',
  ];
}

function flash({ firmware }: GuestSurroundings): string[] {
  if (!firmware) return [];
  return [
    '-drive',
    `if=pflash,format=raw,unit=0,readonly=on,file=${doubled(firmware.uefi.codePath)}`,
    '-drive',
    `if=pflash,format=raw,unit=1,file=${doubled(firmware.variables)}`,
  ];
}

/**
 * All on virtio-scsi, whatever the VM has them on: the SCSI of Hyper-V nobody else has, and a BIOS reads IDE 512 bytes at a time, each
 * of them a round trip to the lab; a kernel of 16 MiB then takes most of a minute to load.
 */
function drive(disk: GuestDisk, index: number, socket: string): string[] {
  const node = `disk${index}`;
  const source = { driver: 'nbd', server: { type: 'unix', path: socket }, export: String(index) };
  return [
    '-blockdev',
    JSON.stringify({ driver: 'raw', 'node-name': node, discard: 'unmap', file: source }),
    ...device({
      driver: 'scsi-hd',
      bus: 'scsi.0',
      'scsi-id': index,
      drive: node,
      bootindex: index,
      logical_block_size: disk.logicalSectorSize,
      physical_block_size: disk.physicalSectorSize,
    }),
  ];
}

/** The first says what the guest says; on the other its agent listens. */
function serialPorts({ serialLog, agent }: GuestSurroundings): string[] {
  return [
    '-chardev',
    `file,id=serial,path=${doubled(serialLog)},append=on`,
    ...device({ driver: 'isa-serial', chardev: 'serial' }),
    '-chardev',
    `socket,id=agent,fd=${agent}`,
    ...device({ driver: 'virtio-serial-pci' }),
    ...device({ driver: 'virtserialport', chardev: 'agent', name: 'org.qemu.guest_agent.0', id: AGENT_PORT }),
  ];
}

function device(properties: object): string[] {
  return ['-device', JSON.stringify(properties)];
}

function doubled(text: string): string {
  return text.replaceAll(',', ',,');
}
