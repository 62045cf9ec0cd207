/** Which controller and which unit of it each disk of a machine gets. */
import type { DiskBus, Machine, MachineDisk } from './machine.ts';

export interface PlacedDisk {
  readonly disk: MachineDisk;
  /** Of the machine, from 0. */
  readonly index: number;
  /** Of its bus, from 0. */
  readonly controller: number;
  /** On its controller, from 0. */
  readonly unit: number;
}

/** Two channels of two; the ports of ICH9; targets of virtio-scsi, fewer than it could have; ports of the SAS 1068. */
const UNITS: Readonly<Record<DiskBus, number>> = { ide: 4, sata: 6, 'virtio-scsi': 64, 'lsi-sas': 8 };

export const IDE_DISKS_MAX = UNITS.ide;

export function placed({ disks }: Machine): PlacedDisk[] {
  const next: Record<DiskBus, number> = { ide: 0, sata: 0, 'virtio-scsi': 0, 'lsi-sas': 0 };
  return disks.map((disk, index) => {
    const n = next[disk.bus]++;
    const units = UNITS[disk.bus];
    return { disk, index, controller: Math.floor(n / units), unit: n % units };
  });
}

/** Each once; IDE has the one that comes with the chipset. */
export function controllersOf(disks: readonly PlacedDisk[]): { bus: DiskBus; controller: number }[] {
  const first = disks.filter(({ unit, disk }) => unit === 0 && disk.bus !== 'ide');
  return first.map(({ disk, controller }) => ({ bus: disk.bus, controller }));
}
