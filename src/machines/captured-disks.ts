/** The disks of a captured VM: which the machine starts from, and which bus each hangs on. */
import type { VmConfiguration } from '../hyperv/index.ts';
import { machineFaults } from './faults.ts';
import type { Note } from './captured-machine.ts';
import type { DiskBus, DiskSource, Machine, MachineDisk } from './machine.ts';
import { IDE_DISKS_MAX } from './placement.ts';

export interface CapturedDisk {
  /** On the host. */
  readonly path: string;
  /** Of its place among the settings, by which it is told from disks that were not captured. */
  readonly attachmentId?: string | undefined;
  readonly controller?: { readonly kind?: string; readonly number?: number } | undefined;
  readonly slot?: number | undefined;
  readonly source: DiskSource;
  readonly logicalSectorSize: number;
  readonly physicalSectorSize: number;
}

/** What the firmware names first, then IDE, then by controller and slot: a VM of generation 1 starts from IDE only. */
export function inBootOrder(
  disks: readonly CapturedDisk[],
  { firmware }: Partial<VmConfiguration>,
): CapturedDisk[] {
  const named = (firmware?.bootSources ?? []).flatMap(({ kind, devicePath = '' }) =>
    kind === 'drive' ? slotOf(devicePath) : [],
  );
  const rank = (disk: CapturedDisk): number => {
    const { controller, slot = 0 } = disk;
    const place = (controller?.number ?? 0) * 1000 + slot;
    if (controller?.kind === 'ide') return place;
    // The path names the slot and not the controller: of several disks in that slot, the one on the first controller.
    const at = named.indexOf(slot);
    return at < 0 || (controller?.number ?? 0) > 0 ? 1e9 + place : 1e6 + at;
  };
  return disks.toSorted((a, b) => rank(a) - rank(b));
}

/** `…\Scsi(0,2)`: target and unit; Hyper-V numbers its slots by units. */
function slotOf(devicePath: string): number[] {
  const [, unit] = /Scsi\(\d+,(\d+)\)/i.exec(devicePath) ?? [];
  return unit === undefined ? [] : [Number(unit)];
}

export interface DiskChoices {
  readonly devices: 'compatible' | 'virtio';
  readonly firmware: Machine['firmware'];
}

/** In the order given. */
export function disksOf(disks: readonly CapturedDisk[], choices: DiskChoices, note: Note): MachineDisk[] {
  let onIde = 0;
  return disks.map((disk) => {
    const wanted = busOf(disk, choices);
    const bus = wanted === 'ide' && onIde++ >= IDE_DISKS_MAX ? 'sata' : wanted;
    if (bus === 'lsi-sas') note(machineFaults.sectorsMoved({ path: disk.path }));
    const { source, logicalSectorSize, physicalSectorSize } = disk;
    return { source, bus, logicalSectorSize, physicalSectorSize };
  });
}

function busOf(disk: CapturedDisk, { devices, firmware }: DiskChoices): DiskBus {
  // By SCSI, so that disks keep the names they have with Hyper-V's own driver: sda, sdb.
  if (devices === 'virtio') return 'virtio-scsi';
  if (disk.logicalSectorSize !== 512) return 'lsi-sas';
  return firmware === 'bios' && disk.controller?.kind === 'ide' ? 'ide' : 'sata';
}
