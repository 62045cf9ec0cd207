/** `hvlift disk`: disk files that lie about, without a host and without a repository. */
import type { Command } from '@commander-js/extra-typings';
import type { Runner } from '../session.ts';
import { registerDiskCheck } from './disk-check.ts';
import { registerDiskCompare } from './disk-compare.ts';
import { registerDiskConvert } from './disk-convert.ts';
import { registerDiskHash } from './disk-hash.ts';
import { registerDiskInfo } from './disk-info.ts';
import { registerDiskMap } from './disk-map.ts';

export function registerDisk(program: Command, run: Runner): void {
  const disk = program
    .command('disk')
    .summary('disk files by themselves')
    .description(
      'Disk files that lie about: VHDX, AVHDX and VHD with their parents, and raw disks. They are only read.',
    );
  registerDiskInfo(disk, run);
  registerDiskCheck(disk, run);
  registerDiskMap(disk, run);
  registerDiskConvert(disk, run);
  registerDiskCompare(disk, run);
  registerDiskHash(disk, run);
}
