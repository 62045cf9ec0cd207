/** The disks of a restore point, opened, and its VM: what a package is made of. */
import type { OvaContents } from '../images/index.ts';
import type { PointDisk, Repository, RestorePoint } from '../repository/index.ts';
import { busOf, inBootOrder, ovaMachine } from './ova-machine.ts';

export interface PackageParts {
  /** As the backup stored it; empty when it is lost. */
  readonly configuration: object;
  readonly disks: readonly PointDisk[];
}

/** `disks` in the order of the package. The caller closes the contents. */
export function ovaContents(
  repository: Repository,
  point: RestorePoint,
  parts: PackageParts,
): { disks: PointDisk[]; contents: OvaContents } {
  const disks = inBootOrder(parts.disks);
  const opened = disks.map((disk) => ({
    disk: repository.openDisk(disk.root, disk.size, { ...disk, order: 'ascending' }),
    bus: busOf(disk),
  }));
  return { disks, contents: { machine: ovaMachine(point, parts.configuration, disks), disks: opened } };
}

export async function closeAll({ disks }: OvaContents): Promise<void> {
  await Promise.all(disks.map(({ disk }) => disk.close()));
}

export function sizeOf(disks: readonly PointDisk[]): number {
  return disks.reduce((sum, { size }) => sum + size, 0);
}
