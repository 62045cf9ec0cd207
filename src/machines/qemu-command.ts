/**
 * A machine as the arguments of `qemu-system-x86_64`. Whatever comes from the captured VM goes in as JSON, where a comma in a name is
 * a comma; the few options that take no JSON have their commas doubled.
 */
import { join } from 'node:path';
import { machineFaults } from './faults.ts';
import type { UefiFirmware } from './firmware.ts';
import type { Accelerator, AdapterNetwork, DiskSource, Machine, MachineAdapter } from './machine.ts';
import { controllersOf, placed, type PlacedDisk } from './placement.ts';
import { topologyOf } from './topology.ts';

export const QEMU = 'qemu-system-x86_64';

export interface QemuSurroundings {
  readonly accelerator: Accelerator;
  /** Absolute: where the machine's own files are. */
  readonly folder: string;
  /** Of a machine with UEFI. */
  readonly firmware?: UefiFirmware | undefined;
  /** Absolute; left out: {@link MachineFiles.serialLog}. */
  readonly serialLog?: string | undefined;
  /** Left out: {@link MachineFiles.screen}. */
  readonly screen?: string | undefined;
}

export interface MachineFiles {
  /** What the firmware keeps, a copy of {@link UefiFirmware.variablesPath}. */
  readonly variables: string;
  /** What the guest writes to its first serial port. */
  readonly serialLog: string;
  /** Socket of the screen, by VNC. */
  readonly screen: string;
}

export function machineFiles(folder: string): MachineFiles {
  return {
    variables: join(folder, 'firmware.fd'),
    serialLog: join(folder, 'serial.log'),
    screen: join(folder, 'screen.vnc'),
  };
}

/** Without the program itself. Throws `MACHINE_NETWORK_OF_LIBVIRT`. */
export function qemuArguments(machine: Machine, surroundings: QemuSurroundings): string[] {
  const disks = placed(machine);
  const files = machineFiles(surroundings.folder);
  const { serialLog = files.serialLog, screen = files.screen } = surroundings;
  return [
    '-name',
    doubled(machine.name.replace(/\p{Cc}/gu, '_') || 'machine'),
    '-nodefaults',
    '-no-user-config',
    ...chipset(machine, surroundings),
    '-m',
    `${machine.memoryMiB}M`,
    ...identity(machine),
    ...disks.flatMap((disk) => blockNode(disk)),
    ...controllersOf(disks).flatMap(controllerDevice),
    ...disks.flatMap((disk) => device(diskDevice(disk, machine))),
    ...machine.adapters.flatMap((adapter, n) => adapterDevice(adapter, n, machine)),
    '-chardev',
    `file,id=serial0,path=${doubled(serialLog)},append=on`,
    ...device({ driver: 'isa-serial', chardev: 'serial0' }),
    ...device({ driver: 'VGA' }),
    ...device({ driver: 'qemu-xhci', id: 'usb' }),
    ...device({ driver: 'usb-tablet', bus: 'usb.0' }),
    '-vnc',
    `unix:${doubled(screen)}`,
  ];
}

function chipset(machine: Machine, { accelerator, folder, firmware }: QemuSurroundings): string[] {
  const smm = firmware?.needsSmm ? ',smm=on' : '';
  const type = `${machine.firmware === 'bios' ? 'pc' : 'q35'},accel=${accelerator}${smm}`;
  const { sockets, cores, threads } = topologyOf(machine, accelerator);
  return [
    '-machine',
    type,
    '-cpu',
    accelerator === 'kvm' ? `host,${ENLIGHTENMENTS.join(',')}` : 'max',
    '-smp',
    `${machine.processors},sockets=${sockets},cores=${cores},threads=${threads}`,
    ...(firmware ? flash(firmware, folder) : []),
    '-rtc',
    'base=utc',
  ];
}

/** What a guest of Hyper-V looks for, as far as KVM has it; under emulation there is none. */
const ENLIGHTENMENTS = [
  'hv-relaxed',
  'hv-vapic',
  'hv-spinlocks=0x1fff',
  'hv-vpindex',
  'hv-runtime',
  'hv-time',
  'hv-synic',
  'hv-stimer',
  'hv-frequencies',
];

function flash({ codePath, needsSmm }: UefiFirmware, folder: string): string[] {
  const { variables } = machineFiles(folder);
  return [
    ...(needsSmm ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
    '-drive',
    `if=pflash,format=raw,unit=0,readonly=on,file=${doubled(codePath)}`,
    '-drive',
    `if=pflash,format=raw,unit=1,file=${doubled(variables)}`,
  ];
}

function identity({ uuid, serialNumber }: Machine): string[] {
  return [
    ...(uuid === undefined ? [] : ['-uuid', uuid]),
    ...(serialNumber === undefined ? [] : ['-smbios', `type=1,serial=${doubled(serialNumber)}`]),
  ];
}

function blockNode({ disk, index }: PlacedDisk): string[] {
  const { source } = disk;
  return json('-blockdev', {
    driver: source.kind === 'file' ? source.format : 'raw',
    'node-name': `disk${index}`,
    discard: 'unmap',
    file: protocolNode(source),
  });
}

function protocolNode(source: DiskSource): object {
  if (source.kind === 'file') return { driver: 'file', filename: source.path };
  const { place, exportName } = source;
  const server =
    place.kind === 'unix'
      ? { type: 'unix', path: place.path }
      : { type: 'inet', host: place.host, port: String(place.port) };
  return { driver: 'nbd', server, export: exportName };
}

const CONTROLLER_DRIVERS = {
  ide: 'piix3-ide',
  sata: 'ich9-ahci',
  'virtio-scsi': 'virtio-scsi-pci',
  'lsi-sas': 'mptsas1068',
} as const;

function controllerDevice({ bus, controller }: ReturnType<typeof controllersOf>[number]): string[] {
  return device({ driver: CONTROLLER_DRIVERS[bus], id: `${bus}${controller}` });
}

function diskDevice({ disk, index, controller, unit }: PlacedDisk, machine: Machine): object {
  const { bus, logicalSectorSize, physicalSectorSize } = disk;
  const shared = {
    drive: `disk${index}`,
    bootindex: (machine.bootsFromNetwork === 'first' ? machine.adapters.length : 0) + index,
    logical_block_size: logicalSectorSize,
    physical_block_size: Math.max(logicalSectorSize, physicalSectorSize),
  };
  if (bus === 'ide')
    return { driver: 'ide-hd', bus: `ide.${Math.floor(unit / 2)}`, unit: unit % 2, ...shared };
  if (bus === 'sata') return { driver: 'ide-hd', bus: `sata${controller}.${unit}`, ...shared };
  return { driver: 'scsi-hd', bus: `${bus}${controller}.0`, 'scsi-id': unit, ...shared };
}

const ADAPTER_DRIVERS = { e1000: 'e1000', e1000e: 'e1000e', virtio: 'virtio-net-pci' } as const;

function adapterDevice({ model, mac, network }: MachineAdapter, n: number, machine: Machine): string[] {
  const after = machine.bootsFromNetwork === 'last' ? machine.disks.length : 0;
  return [
    ...json('-netdev', { id: `net${n}`, ...netdev(network) }),
    ...device({
      driver: ADAPTER_DRIVERS[model],
      netdev: `net${n}`,
      ...(mac === undefined ? {} : { mac }),
      ...(machine.bootsFromNetwork === 'never' ? {} : { bootindex: after + n }),
    }),
  ];
}

function netdev(network: AdapterNetwork): object {
  if (network.kind === 'network') throw machineFaults.networkOfLibvirt({ name: network.name });
  if (network.kind === 'bridge') return { type: 'bridge', br: network.name };
  if (network.kind === 'nat') return { type: 'user' };
  // Port 0: the system chooses a free one, and the monitor tells which (`info usernet`).
  const hostfwd =
    network.kind === 'forwarded' ? { hostfwd: [{ str: `tcp:127.0.0.1:0-:${network.port}` }] } : {};
  return { type: 'user', restrict: true, ...hostfwd };
}

function device(properties: object): string[] {
  return json('-device', properties);
}

function json(option: string, value: object): string[] {
  return [option, JSON.stringify(value)];
}

function doubled(text: string): string {
  return text.replaceAll(',', ',,');
}

/** For a shell: a word that needs no quotes stays as it is. */
export function shellLine(words: readonly string[]): string {
  return words.map(shellWord).join(' ');
}

export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
