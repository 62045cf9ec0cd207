/**
 * A machine that takes the place of a captured VM elsewhere, described apart from any hypervisor.
 *
 *   settings of the VM ──┐
 *   its disks, wherever ─┼─► Machine ──► command line of QEMU    qemu-command.ts
 *   choices of the user ─┘      │    └─► domain of libvirt       libvirt-domain.ts
 *                               └─ notes: what of the VM it does not have
 *
 * The guest does not know that it moved, so its first start must not need a driver it never used. Generation 1 gets the very
 * chipset Hyper-V emulates for it, with its disks on IDE where they were; generation 2, whose own devices nobody else has, gets
 * SATA and an Intel network adapter, for which Windows and Linux bring drivers. `virtio` is faster, for guests that have its drivers.
 */
import type { NbdPlace } from '../nbd/index.ts';

/** Where a machine finds a disk. */
export type DiskSource =
  | { readonly kind: 'nbd'; readonly place: NbdPlace; readonly exportName: string }
  | { readonly kind: 'file'; readonly path: string; readonly format: 'raw' | 'qcow2' | 'vhdx' | 'vmdk' };

/** `lsi-sas` is for disks with sectors of 4 KiB, which IDE and SATA of QEMU cannot have. */
export type DiskBus = 'ide' | 'sata' | 'lsi-sas' | 'virtio-scsi';

export interface MachineDisk {
  readonly source: DiskSource;
  readonly bus: DiskBus;
  /** Bytes: 512 or 4096. */
  readonly logicalSectorSize: number;
  readonly physicalSectorSize: number;
}

/** What a network adapter is plugged into. `isolated`: nothing, but for itself. `nat`: the network of this machine, outwards only. */
export type AdapterNetwork =
  | { readonly kind: 'isolated' }
  | { readonly kind: 'nat' }
  | { readonly kind: 'bridge'; readonly name: string }
  /** A network of its own, from which nothing gets out; a TCP port of the guest can be reached from this machine. QEMU only. */
  | { readonly kind: 'forwarded'; readonly port: number }
  /** A network that libvirt has. */
  | { readonly kind: 'network'; readonly name: string };

export interface MachineAdapter {
  readonly model: 'e1000' | 'e1000e' | 'virtio';
  /** `00:15:5d:01:02:03`; absent when the VM had none yet. */
  readonly mac?: string;
  readonly network: AdapterNetwork;
}

export interface Machine {
  readonly name: string;
  /** What the guest reads from its firmware: lower case, no braces. */
  readonly uuid?: string;
  readonly serialNumber?: string;
  readonly firmware: 'bios' | 'uefi';
  /** Only with `uefi`: enforced, with Microsoft's keys. */
  readonly secureBoot: boolean;
  readonly processors: number;
  /** Divides `processors`. */
  readonly threadsPerCore: number;
  readonly memoryMiB: number;
  /** The guest had one; whether it gets a new, empty one depends on who runs it. */
  readonly tpm: boolean;
  /** The first is started from. */
  readonly disks: readonly MachineDisk[];
  readonly adapters: readonly MachineAdapter[];
  readonly bootsFromNetwork: 'first' | 'last' | 'never';
}

/** `kvm` where the processor of this machine can be used, `tcg` where it is emulated, some 20 times slower. */
export type Accelerator = 'kvm' | 'tcg';
