/**
 * `npm run bench -- --only replicate`: what a delta cycle costs on a disk of 64 GiB and on one of 64 TiB, with the same changes. The
 * host is the lab with its wire, in this process; the target is a folder of VHDX files, which ext4 can hold at any size.
 */
import { join } from 'node:path';
import { formatBytes, GiB, KiB, MiB, TiB } from '../src/base/index.ts';
import { MeasuredReplica, type CycleCost } from '../test/e2e/replica-cost.fixture.ts';
import { median, table } from './report.ts';

export interface ReplicateOptions {
  readonly folder: string;
  /** Of each cycle, in writes of 64 KiB. */
  readonly changedBytes: number;
  readonly cycles: number;
  readonly say: (text: string) => void;
}

interface Disk {
  readonly name: string;
  readonly size: number;
  /** The changes lie evenly over so many bytes from the start. */
  readonly spread: number;
}

const DISKS: readonly Disk[] = [
  { name: '64 GiB', size: 64 * GiB, spread: 64 * GiB },
  { name: '64 TiB, same places', size: 64 * TiB, spread: 64 * GiB },
  { name: '64 TiB, all over it', size: 64 * TiB, spread: 64 * TiB },
];

export async function replicateReport(options: ReplicateOptions): Promise<string> {
  const costs: CycleCost[][] = [];
  for (const [number, disk] of DISKS.entries()) costs.push(await costsOf(disk, number, options));
  const seconds = costs.map((each) => median(each.map((cost) => cost.seconds)));
  const rows = DISKS.map(({ name }, index) => {
    const [last] = costs[index]!.slice(-1);
    return [
      name,
      formatBytes(options.changedBytes),
      seconds[index]!.toFixed(2),
      `${(seconds[index]! / seconds[0]!).toFixed(2)}×`,
      String(last!.calls),
      String(last!.reads),
      formatBytes(last!.readBytes),
    ];
  });
  const head = ['disk', 'changed', 's, median', 'beside 64 GiB', 'methods', 'reads', 'read'];
  return ['### A delta cycle of a replica', '', ...table(head, rows)].join('\n');
}

/** The first cycle is the seed, and is not counted. */
async function costsOf(
  { name, size, spread }: Disk,
  number: number,
  { folder, changedBytes, cycles, say }: ReplicateOptions,
): Promise<CycleCost[]> {
  await using measured = await MeasuredReplica.open(size, join(folder, `replica-${number}`));
  const writes = changedBytes / (64 * KiB);
  const apart = Math.floor(spread / writes / MiB) * MiB;
  const places = Array.from({ length: writes }, (_, index) => index * apart);
  await measured.write(places, 64 * KiB, 1);
  say(`seed of ${name}`);
  await measured.cycle();
  const costs: CycleCost[] = [];
  for (let cycle = 1; cycle <= cycles; cycle += 1) {
    await measured.write(places, 64 * KiB, cycle + 1);
    say(`cycle ${cycle} of ${cycles} of ${name}`);
    costs.push(await measured.cycle());
  }
  return costs;
}
