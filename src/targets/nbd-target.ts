/**
 * Exports of an NBD server, one a disk: what `qemu-nbd` makes of a qcow2 image, an RBD volume or a block device. The name of
 * the export has `{n}`, the number of the disk, or `{id}`, its VirtualDiskId; a VM of one disk needs neither.
 */
import { isZero, MiB } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { DiskSource } from '../machines/index.ts';
import { NbdDisk, parseNbdAddress } from '../nbd/index.ts';
import { targetFaults } from './faults.ts';
import { NbdTargetDisk } from './nbd-target-disk.ts';
import type { PlannedTargetDisk, Target, TargetDisk, TargetDiskSpec } from './port.ts';

type Named = Pick<TargetDiskSpec, 'diskId' | 'number'>;

export class NbdTarget implements Target {
  readonly address: string;

  constructor(address: string) {
    this.address = address;
    parseNbdAddress(this.placeOf({ diskId: 'id', number: 1 }));
  }

  describe(): string {
    return `NBD exports ${this.address}`;
  }

  placeOf({ diskId, number }: Named): string {
    return this.address.replaceAll('{n}', String(number)).replaceAll('{id}', diskId.toLowerCase());
  }

  /** Not over TLS: QEMU would have to be given certificates, and nobody here has any to give. */
  sourceOf(spec: TargetDiskSpec): DiskSource {
    const { place, exportName, tls } = parseNbdAddress(this.placeOf(spec));
    if (tls) throw targetFaults.notReadByQemu({ place: this.placeOf(spec) });
    return { kind: 'nbd', place, exportName };
  }

  async prepare(disks: readonly PlannedTargetDisk[], options: CallOptions = {}): Promise<void> {
    const places = new Set(disks.map((disk) => this.placeOf(disk)));
    if (places.size < disks.length)
      throw targetFaults.oneDiskOnly({ address: this.address, disks: disks.length });
    for (const disk of disks) {
      const opened = await this.openDisk(disk, options);
      try {
        if (disk.expected === 'new' && !opened.isNew) await this.#refuseOccupied(opened, disk, options);
      } finally {
        await opened.close();
      }
    }
  }

  async openDisk(spec: TargetDiskSpec, options: CallOptions = {}): Promise<TargetDisk> {
    const place = this.placeOf(spec);
    const disk = await NbdDisk.open(place, options);
    try {
      if (disk.readOnly) throw targetFaults.readOnly({ place });
      if (disk.size < spec.size) throw targetFaults.tooSmall({ place, size: disk.size, wanted: spec.size });
      return new NbdTargetDisk(disk, spec, await isEmpty(disk, options));
    } catch (error) {
      await disk.close();
      throw error;
    }
  }

  /** An export is there whatever it holds, and often cannot tell its holes: what begins with zeros has no partition table. */
  async #refuseOccupied(disk: TargetDisk, spec: Named, options: CallOptions): Promise<void> {
    const first = new Uint8Array(Math.min(MiB, disk.size));
    await disk.read(0, first, options);
    if (!isZero(first)) throw targetFaults.occupied({ place: this.placeOf(spec) });
  }
}

async function isEmpty(disk: NbdDisk, options: CallOptions): Promise<boolean> {
  for await (const _extent of disk.allocated(undefined, options)) return false;
  return true;
}
