/**
 * Which disks of a VM a run is about, by the names people give them: the number among the disks of the VM (from 1, in the host's
 * order, as `hvlift backup --dry-run` shows them), the VirtualDiskId, or the name of a file of its chain.
 */
import { captureFaults } from './faults.ts';

export interface DiskSelection {
  readonly skip?: readonly string[];
  /** None: all. */
  readonly only?: readonly string[];
}

export interface NamedDisk {
  readonly number: number;
  readonly diskId?: string | undefined;
  /** Files on the host that hold it, leaf first. */
  readonly files: readonly string[];
}

/** Numbers of the disks that are meant. Throws `CAPTURE_NO_SUCH_DISK`: a name that means nothing may be a slip of the pen. */
export function selectedDisks(
  vm: string,
  disks: readonly NamedDisk[],
  { skip = [], only = [] }: DiskSelection,
): ReadonlySet<number> {
  const numbersOf = (names: readonly string[]): number[] => names.map((name) => numberOf(vm, disks, name));
  const skipped = new Set(numbersOf(skip));
  const meant = only.length > 0 ? numbersOf(only) : disks.map(({ number }) => number);
  return new Set(meant.filter((number) => !skipped.has(number)));
}

function numberOf(vm: string, disks: readonly NamedDisk[], name: string): number {
  const wanted = name.toLowerCase();
  const found = /^\d+$/.test(name)
    ? disks.find(({ number }) => number === Number(name))
    : disks.find(
        ({ diskId, files }) =>
          diskId?.toLowerCase() === wanted ||
          files.some((file) => [nameOf(file), stemOf(file)].includes(stemOf(wanted))),
      );
  if (found) return found.number;
  const known = disks.map(({ number, files }) => `${number}: ${nameOf(files.at(-1) ?? '')}`);
  throw captureFaults.noSuchDisk({ vm, disk: name, disks: known.join(', ') });
}

function nameOf(path: string): string {
  return path.toLowerCase().split(/[\\/]/).at(-1)!;
}

function stemOf(path: string): string {
  return nameOf(path).replace(/\.a?vhd(x|s)?$/, '');
}
