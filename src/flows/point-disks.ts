/** The disks of a restore point by the names people give them. */
import type { PointDisk, RestorePoint } from '../repository/index.ts';
import { flowFaults } from './faults.ts';

export interface ChosenDisk {
  readonly disk: PointDisk;
  /** For a file, without extension; unique among the disks of the point. */
  readonly name: string;
}

/** The disks asked for (numbers from 1, VirtualDiskIds, file names), each once; all when `wanted` is left out. `FLOW_NO_SUCH_DISK`. */
export function chosenDisks(point: RestorePoint, wanted?: readonly string[]): ChosenDisk[] {
  const names = diskNames(point);
  const all = point.disks.map((disk, i): ChosenDisk => ({ disk, name: names[i]! }));
  return wanted ? [...new Set(wanted.map((text) => all[indexOf(text, point, names)]!))] : all;
}

/** A number wins over a file of that name: the numbers are what `hvlift points --disks` shows. */
function indexOf(text: string, point: RestorePoint, names: readonly string[]): number {
  const file = text.replace(/\.a?vhdx?$/i, '');
  const id = text.toLowerCase();
  const index = /^\d+$/.test(text)
    ? Number(text) - 1
    : point.disks.findIndex((disk, i) => disk.diskId.toLowerCase() === id || names[i] === file);
  if (point.disks[index]) return index;
  throw flowFaults.noSuchDisk({ disk: text, disks: names.map((name, i) => `${i + 1}: ${name}`).join(', ') });
}

/** The file name of each disk on the host without folder and extension; a number is appended to what occurs twice. */
function diskNames(point: { readonly disks: readonly { readonly path: string }[] }): string[] {
  const taken = new Set<string>();
  return point.disks.map((disk) => {
    const base = fileNameOf((disk.path.split(/[\\/]/).at(-1) ?? '').replace(/\.a?vhdx?$/i, '')) || 'disk';
    let name = base;
    for (let n = 2; taken.has(name.toLowerCase()); n += 1) name = `${base}-${n}`;
    taken.add(name.toLowerCase());
    return name;
  });
}

/** Without what some file system refuses in a name. */
export function fileNameOf(text: string): string {
  return text.replace(/[^\p{L}\p{N}._ -]/gu, '_');
}
