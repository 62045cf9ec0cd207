/**
 * The OVF envelope of one VM: the XML that stands first in an OVA. What it says is what VMware's importers look for; the
 * elements of an item are in the order of their names, as the schema of CIM wants them.
 */
import { assert } from '../base/index.ts';
import type { DiskAdapter } from './vmdk-descriptor.ts';
import { element } from './xml.ts';

export interface OvfNetworkAdapter {
  readonly name: string;
  /** Twelve hexadecimal digits, with or without separators. */
  readonly macAddress?: string;
}

export interface OvfMachine {
  readonly name: string;
  readonly firmware: 'bios' | 'efi';
  readonly secureBoot?: boolean;
  readonly processors: number;
  readonly memoryMiB: number;
  readonly networkAdapters: readonly OvfNetworkAdapter[];
  /** What people should read before they start it; shown as the annotation of the VM. */
  readonly notes: readonly string[];
  /** The `vmx-` version. Default: 13, that of ESXi 6.5, the first with Secure Boot. */
  readonly hardwareVersion?: number;
  /** The controller of disks that are not on IDE. Default: `lsilogicsas`: Windows has its driver built in. */
  readonly adapter?: Exclude<DiskAdapter, 'ide'>;
  /** The network that all adapters are connected to. Default: `VM Network`, which every ESXi has at first. */
  readonly network?: string;
}

export interface OvfDisk {
  readonly fileName: string;
  /** Bytes of the file. */
  readonly fileSize: number;
  /** Bytes of the disk. */
  readonly capacity: number;
  readonly bus: 'ide' | 'scsi';
}

const VMDK_STREAM = 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized';
const NAMESPACES = {
  xmlns: 'http://schemas.dmtf.org/ovf/envelope/1',
  'xmlns:ovf': 'http://schemas.dmtf.org/ovf/envelope/1',
  'xmlns:cim': 'http://schemas.dmtf.org/wbem/wscim/1/common',
  'xmlns:rasd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData',
  'xmlns:vssd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData',
  'xmlns:vmw': 'http://www.vmware.com/schema/ovf',
  'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
};
/** CIM_ResourceAllocationSettingData.ResourceType. */
const TYPE = { processor: 3, memory: 4, ide: 5, scsi: 6, ethernet: 10, disk: 17 } as const;
const SCSI_SUB_TYPE = { lsilogic: 'lsilogic', lsilogicsas: 'lsilogicsas', pvscsi: 'VirtualSCSI' } as const;
/** Two on each of two channels. */
const IDE_DISKS_MAX = 4;
/** 16 units of a controller, without 7, which is the controller itself; four controllers. */
const SCSI_UNITS = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const;
const SCSI_CONTROLLERS_MAX = 4;
/** Where vSphere puts the first network adapter. */
const FIRST_ETHERNET = 7;

/** Of what the importers take. */
export const OVF_LIMITS = { ide: IDE_DISKS_MAX, scsi: SCSI_CONTROLLERS_MAX * SCSI_UNITS.length } as const;

export function ovfEnvelope(machine: OvfMachine, disks: readonly OvfDisk[]): string {
  const network = machine.network ?? 'VM Network';
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    element('Envelope', NAMESPACES, [
      element('References', {}, disks.map(fileElement)),
      element('DiskSection', {}, [info('Virtual disk information'), ...disks.map(diskElement)]),
      element('NetworkSection', {}, [
        info('The list of logical networks'),
        element('Network', { 'ovf:name': network }, [element('Description', {}, `The ${network} network`)]),
      ]),
      virtualSystem(machine, disks, network),
    ]),
    '',
  ].join('\n');
}

function fileElement({ fileName, fileSize }: OvfDisk, index: number): string {
  return element('File', { 'ovf:href': fileName, 'ovf:id': `file${index + 1}`, 'ovf:size': fileSize });
}

function diskElement({ capacity }: OvfDisk, index: number): string {
  return element('Disk', {
    'ovf:capacity': capacity,
    'ovf:capacityAllocationUnits': 'byte',
    'ovf:diskId': `vmdisk${index + 1}`,
    'ovf:fileRef': `file${index + 1}`,
    'ovf:format': VMDK_STREAM,
  });
}

function virtualSystem(machine: OvfMachine, disks: readonly OvfDisk[], network: string): string {
  const { name, notes } = machine;
  return element('VirtualSystem', { 'ovf:id': name }, [
    info('A virtual machine'),
    element('Name', {}, name),
    element('OperatingSystemSection', { 'ovf:id': 102, 'vmw:osType': 'otherGuest64' }, [
      info('The kind of installed guest operating system'),
    ]),
    ...(notes.length > 0 ? [annotation(notes)] : []),
    hardware(machine, disks, network),
  ]);
}

function annotation(notes: readonly string[]): string {
  return element('AnnotationSection', {}, [
    info('What to know before the first start'),
    element('Annotation', {}, notes.join('\n')),
  ]);
}

function hardware(machine: OvfMachine, disks: readonly OvfDisk[], network: string): string {
  const { name, firmware, secureBoot = false, hardwareVersion = 13 } = machine;
  return element('VirtualHardwareSection', {}, [
    info('Virtual hardware requirements'),
    element('System', {}, [
      element('vssd:ElementName', {}, 'Virtual Hardware Family'),
      element('vssd:InstanceID', {}, '0'),
      element('vssd:VirtualSystemIdentifier', {}, name),
      element('vssd:VirtualSystemType', {}, `vmx-${hardwareVersion}`),
    ]),
    ...items(machine, disks, network),
    config('firmware', firmware),
    ...(firmware === 'efi' ? [config('bootOptions.efiSecureBootEnabled', String(secureBoot))] : []),
  ]);
}

type Item = Readonly<Record<string, string | number>>;

function items(machine: OvfMachine, disks: readonly OvfDisk[], network: string): string[] {
  const list: Item[] = [processorItem(machine), memoryItem(machine), ...storageItems(machine, disks)];
  for (const [i, adapter] of machine.networkAdapters.entries()) {
    list.push(ethernetItem(adapter, i, network));
  }
  // Parents name their children's numbers, so controllers have got theirs; the rest are numbered here.
  return list.map((item, i) => itemElement({ InstanceID: i + 1, ...item }));
}

function processorItem({ processors }: OvfMachine): Item {
  return {
    AllocationUnits: 'hertz * 10^6',
    Description: 'Number of Virtual CPUs',
    ElementName: `${processors} virtual CPU(s)`,
    ResourceType: TYPE.processor,
    VirtualQuantity: processors,
  };
}

function memoryItem({ memoryMiB }: OvfMachine): Item {
  return {
    AllocationUnits: 'byte * 2^20',
    Description: 'Memory Size',
    ElementName: `${memoryMiB}MB of memory`,
    ResourceType: TYPE.memory,
    VirtualQuantity: memoryMiB,
  };
}

/** Controllers are numbered from here, each in front of its disks' items. */
const FIRST_CONTROLLER = 3;

function storageItems({ adapter = 'lsilogicsas' }: OvfMachine, disks: readonly OvfDisk[]): Item[] {
  const places = placesOf(disks);
  const controllers = [...new Set(places.map(({ controller }) => controller))].sort();
  const instanceOf = (controller: string): number => FIRST_CONTROLLER + controllers.indexOf(controller);
  return [
    ...controllers.map((name) => controllerItem(name, adapter)),
    ...places.map(({ controller, unit }, i) => ({
      AddressOnParent: unit,
      ElementName: `Hard Disk ${i + 1}`,
      HostResource: `ovf:/disk/vmdisk${i + 1}`,
      Parent: instanceOf(controller),
      ResourceType: TYPE.disk,
    })),
  ];
}

/** A controller is named by its kind and its number: `scsi0`. */
function placesOf(disks: readonly OvfDisk[]): { controller: string; unit: number }[] {
  const next = { ide: 0, scsi: 0 };
  return disks.map(({ bus }) => {
    const n = next[bus];
    assert(n < OVF_LIMITS[bus], 'no more disks than the importers take');
    next[bus] += 1;
    const units = bus === 'ide' ? [0, 1] : SCSI_UNITS;
    return { controller: `${bus}${Math.floor(n / units.length)}`, unit: units[n % units.length]! };
  });
}

function controllerItem(name: string, adapter: Exclude<DiskAdapter, 'ide'>): Item {
  const number = Number(name.replace(/\D/g, ''));
  if (name.startsWith('ide')) {
    return {
      Address: number,
      Description: 'IDE Controller',
      ElementName: `VirtualIDEController ${number}`,
      ResourceType: TYPE.ide,
    };
  }
  return {
    Address: number,
    Description: 'SCSI Controller',
    ElementName: `SCSI Controller ${number}`,
    ResourceSubType: SCSI_SUB_TYPE[adapter],
    ResourceType: TYPE.scsi,
  };
}

function ethernetItem({ macAddress }: OvfNetworkAdapter, index: number, network: string): Item {
  return {
    ...(macAddress ? { Address: colons(macAddress) } : {}),
    AddressOnParent: FIRST_ETHERNET + index,
    AutomaticAllocation: 'true',
    Connection: network,
    Description: `E1000e ethernet adapter on "${network}"`,
    ElementName: `Ethernet ${index + 1}`,
    ResourceSubType: 'E1000e',
    ResourceType: TYPE.ethernet,
  };
}

function colons(macAddress: string): string {
  return (macAddress.replace(/[^0-9a-f]/gi, '').match(/../g) ?? []).join(':').toLowerCase();
}

function itemElement(item: Item): string {
  const children = Object.entries(item)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => element(`rasd:${key}`, {}, String(value)));
  return element('Item', {}, children);
}

function config(key: string, value: string): string {
  return element('vmw:Config', { 'ovf:required': 'false', 'vmw:key': key, 'vmw:value': value });
}

function info(text: string): string {
  return element('Info', {}, text);
}
