/**
 * A machine as a domain of libvirt: XML for `virsh define`. The firmware is not named by its files but by what it must be able to do,
 * so that the host of the domain chooses its own.
 */
import { element } from '../images/index.ts';
import { machineFaults } from './faults.ts';
import type { Accelerator, AdapterNetwork, DiskBus, DiskSource, Machine, MachineAdapter } from './machine.ts';
import { controllersOf, placed, type PlacedDisk } from './placement.ts';
import { topologyOf } from './topology.ts';

export interface LibvirtSurroundings {
  readonly accelerator: Accelerator;
  /** XML: an element of a namespace of its own, which libvirt keeps with the domain. */
  readonly metadata?: string | undefined;
  /** Absolute, on the host of the domain: gets what the guest writes to its first serial port. Left out: nothing does. */
  readonly serialLog?: string | undefined;
}

/** Throws `MACHINE_NETWORK_OF_QEMU`. */
export function libvirtDomain(machine: Machine, surroundings: LibvirtSurroundings): string {
  const { accelerator, metadata } = surroundings;
  const { name, uuid, processors, memoryMiB } = machine;
  const domain = element('domain', { type: accelerator === 'kvm' ? 'kvm' : 'qemu' }, [
    element('name', {}, domainName(name)),
    ...(uuid === undefined ? [] : [element('uuid', {}, uuid)]),
    element('title', {}, oneLine(name) || 'machine'),
    ...(metadata === undefined ? [] : [element('metadata', {}, [metadata])]),
    // In libvirt's own unit, which virt-v2v 2.2 takes whatever is said.
    element('memory', { unit: 'KiB' }, String(memoryMiB * 1024)),
    element('vcpu', {}, String(processors)),
    ...sysinfo(machine),
    os(machine),
    features(machine, accelerator),
    cpu(machine, accelerator),
    clock(accelerator),
    element('on_poweroff', {}, 'destroy'),
    element('on_reboot', {}, 'restart'),
    element('on_crash', {}, 'destroy'),
    devices(machine, surroundings),
  ]);
  return `${domain}\n`;
}

/** libvirt makes files by this name: no slash, no line break, and not only dots. */
export function domainName(name: string): string {
  const usable = oneLine(name).replaceAll('/', '_').trim();
  return /[^.]/.test(usable) ? usable : `machine${usable}`;
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Surrogate}\ufffe\uffff]/gu, '_');
}

function sysinfo({ serialNumber }: Machine): string[] {
  if (serialNumber === undefined) return [];
  const system = element('system', {}, [element('entry', { name: 'serial' }, oneLine(serialNumber))]);
  return [element('sysinfo', { type: 'smbios' }, [system])];
}

function os({ firmware, secureBoot, serialNumber }: Machine): string {
  const uefi = firmware === 'uefi';
  const enabled = secureBoot ? 'yes' : 'no';
  return element('os', uefi ? { firmware: 'efi' } : {}, [
    element('type', { arch: 'x86_64', machine: uefi ? 'q35' : 'pc' }, 'hvm'),
    ...(uefi
      ? [
          element('firmware', {}, [
            element('feature', { enabled, name: 'secure-boot' }),
            element('feature', { enabled, name: 'enrolled-keys' }),
          ]),
        ]
      : []),
    ...(serialNumber === undefined ? [] : [element('smbios', { mode: 'sysinfo' })]),
  ]);
}

function features({ secureBoot }: Machine, accelerator: Accelerator): string {
  return element('features', {}, [
    element('acpi', {}),
    element('apic', {}),
    ...(accelerator === 'kvm' ? [enlightenments()] : []),
    ...(secureBoot ? [element('smm', { state: 'on' })] : []),
  ]);
}

/** What a guest of Hyper-V looks for, as far as KVM has it; under emulation there is none. */
function enlightenments(): string {
  const on = (name: string): string => element(name, { state: 'on' });
  return element('hyperv', { mode: 'custom' }, [
    ...['relaxed', 'vapic'].map(on),
    element('spinlocks', { state: 'on', retries: 8191 }),
    ...['vpindex', 'runtime', 'synic', 'stimer', 'frequencies'].map(on),
  ]);
}

function cpu(machine: Machine, accelerator: Accelerator): string {
  const mode = accelerator === 'kvm' ? 'host-passthrough' : 'maximum';
  return element('cpu', { mode }, [element('topology', { ...topologyOf(machine, accelerator) })]);
}

function clock(accelerator: Accelerator): string {
  const timers = accelerator === 'kvm' ? [element('timer', { name: 'hypervclock', present: 'yes' })] : [];
  return element('clock', { offset: 'utc' }, timers);
}

function devices(machine: Machine, { serialLog }: LibvirtSurroundings): string {
  const disks = placed(machine);
  return element('devices', {}, [
    ...disks.map((disk) => diskElement(disk, machine)),
    ...controllersOf(disks).map(controllerElement),
    ...machine.adapters.map((adapter, n) => adapterElement(adapter, n, machine)),
    ...serial(serialLog),
    element('input', { type: 'tablet', bus: 'usb' }),
    ...(machine.tpm ? [tpm()] : []),
    element('graphics', { type: 'vnc', autoport: 'yes' }),
    element('video', {}, [element('model', { type: 'vga' })]),
  ]);
}

function serial(log: string | undefined): string[] {
  const type = log === undefined ? 'pty' : 'file';
  const source = log === undefined ? [] : [element('source', { path: log, append: 'on' })];
  return [
    element('serial', { type }, [...source, element('target', { port: 0 })]),
    element('console', { type }, [...source, element('target', { type: 'serial', port: 0 })]),
  ];
}

/** Empty: what was in that of the VM stays behind. */
function tpm(): string {
  return element('tpm', { model: 'tpm-crb' }, [element('backend', { type: 'emulator', version: '2.0' })]);
}

const BUSES: Readonly<Record<DiskBus, string>> = {
  ide: 'ide',
  sata: 'sata',
  'virtio-scsi': 'scsi',
  'lsi-sas': 'scsi',
};

function diskElement(placedDisk: PlacedDisk, machine: Machine): string {
  const { disk, index } = placedDisk;
  const { source, bus, logicalSectorSize, physicalSectorSize } = disk;
  const type = source.kind === 'file' ? source.format : 'raw';
  return element('disk', { type: source.kind === 'file' ? 'file' : 'network', device: 'disk' }, [
    element('driver', { name: 'qemu', type, discard: 'unmap' }),
    sourceElement(source),
    element('target', { dev: `${bus === 'ide' ? 'hd' : 'sd'}${letters(index)}`, bus: BUSES[bus] }),
    element('blockio', {
      logical_block_size: logicalSectorSize,
      physical_block_size: Math.max(logicalSectorSize, physicalSectorSize),
    }),
    element('boot', { order: diskOrder(machine) + index }),
    addressElement(placedDisk),
  ]);
}

/** Of the first disk; libvirt counts from 1. */
function diskOrder({ bootsFromNetwork, adapters }: Machine): number {
  return 1 + (bootsFromNetwork === 'first' ? adapters.length : 0);
}

function sourceElement(source: DiskSource): string {
  if (source.kind === 'file') return element('source', { file: source.path });
  const { place, exportName } = source;
  const host =
    place.kind === 'unix'
      ? element('host', { transport: 'unix', socket: place.path })
      : element('host', { name: place.host, port: place.port });
  return element('source', { protocol: 'nbd', name: exportName }, [host]);
}

function addressElement({ disk, controller, unit }: PlacedDisk): string {
  if (disk.bus === 'ide') return driveAddress(0, Math.floor(unit / 2), 0, unit % 2);
  if (disk.bus === 'sata') return driveAddress(controller, 0, 0, unit);
  return driveAddress(controller, 0, unit, 0);
}

function driveAddress(controller: number, bus: number, target: number, unit: number): string {
  return element('address', { type: 'drive', controller, bus, target, unit });
}

/** 0 is a, 25 is z, 26 is aa. */
function letters(index: number): string {
  const before = Math.floor(index / 26);
  const last = String.fromCharCode('a'.charCodeAt(0) + (index % 26));
  return before === 0 ? last : letters(before - 1) + last;
}

const SCSI_MODELS: Partial<Record<DiskBus, string>> = {
  'virtio-scsi': 'virtio-scsi',
  'lsi-sas': 'lsisas1068',
};

function controllerElement({ bus, controller }: ReturnType<typeof controllersOf>[number]): string {
  const model = SCSI_MODELS[bus];
  const type = BUSES[bus];
  return element('controller', { type, index: controller, ...(model === undefined ? {} : { model }) });
}

function adapterElement({ model, mac, network }: MachineAdapter, n: number, machine: Machine): string {
  const { bootsFromNetwork, disks } = machine;
  if (network.kind === 'forwarded') throw machineFaults.networkOfQemu({ port: network.port });
  const order = 1 + n + (bootsFromNetwork === 'last' ? disks.length : 0);
  return element('interface', { type: INTERFACES[network.kind] }, [
    ...(mac === undefined ? [] : [element('mac', { address: mac })]),
    ...networkSource(network),
    element('model', { type: model }),
    ...(network.kind === 'isolated' ? [element('link', { state: 'down' })] : []),
    ...(bootsFromNetwork === 'never' ? [] : [element('boot', { order })]),
  ]);
}

const INTERFACES: Readonly<Record<Exclude<AdapterNetwork['kind'], 'forwarded'>, string>> = {
  isolated: 'user',
  nat: 'user',
  bridge: 'bridge',
  network: 'network',
};

function networkSource(network: AdapterNetwork): string[] {
  if (network.kind === 'bridge') return [element('source', { bridge: network.name })];
  if (network.kind === 'network') return [element('source', { network: network.name })];
  return [];
}
