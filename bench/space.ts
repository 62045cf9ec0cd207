/**
 * `npm run bench -- --only space`: what increments take, beside the same image put into restic and borg after each of them.
 *
 * hvlift is told what changed, as Hyper-V tells it; the others read the whole image and find out, which is what they are for.
 * Each increment of each is a process of its own. Without restic or borg (Debian: restic, borgbackup) their lines are left out.
 */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { formatBytes, MiB } from '../src/base/index.ts';
import type { Extent } from '../src/extents/index.ts';
import { PASSPHRASE } from './made-points.ts';
import { runMeasured } from './measured-child.ts';
import { table } from './report.ts';
import { canRun, taskCommand } from './step.ts';
import { WORKLOADS, changesOf, seeded, writeRandom, type Workload } from './workloads.ts';

export interface SpaceOptions {
  readonly folder: string;
  readonly imageBytes: number;
  readonly increments: number;
  readonly say: (text: string) => void;
}

/** One of those that are compared. */
interface Keeper {
  readonly name: string;
  readonly prepare: readonly (readonly string[])[];
  backUp(changes: readonly Extent[] | undefined): readonly string[];
  /** Its repository. */
  readonly folder: string;
}

interface Sums {
  storedBytes: number;
  seconds: number;
  cpuSeconds: number;
  peakBytes: number;
}

export async function spaceReport(options: SpaceOptions): Promise<string> {
  const rows: string[][] = [];
  for (const workload of WORKLOADS) rows.push(...(await workloadRows(options, workload)));
  const { imageBytes, increments } = options;
  const title = `### Space: ${increments} increments on an image of ${formatBytes(imageBytes)}`;
  const head = ['workload', 'kept by', 'changed', 'stored', 'stored / changed', 's', 'CPU s', 'peak memory'];
  return [title, '', ...table(head, rows)].join('\n');
}

async function workloadRows(options: SpaceOptions, workload: Workload): Promise<string[][]> {
  const { folder, imageBytes, increments, say } = options;
  const place = join(folder, workload.name.replace(' ', '-'));
  mkdirSync(place);
  const image = join(place, 'disk.raw');
  const random = seeded(1);
  writeRandom(image, [{ offset: 0, length: imageBytes }], 'w');
  const keepers = keepersOf(place, image).filter(({ prepare }) => canRun({ command: prepare[0]! }));
  const sums = new Map(keepers.map(({ name }) => [name, emptySums()]));
  for (const keeper of keepers) {
    for (const command of keeper.prepare) await runMeasured(command);
    await runMeasured(keeper.backUp(undefined));
  }
  let changedBytes = 0;
  for (let increment = 1; increment <= increments; increment += 1) {
    say(`${workload.name}: increment ${increment} of ${increments}`);
    const changes = changesOf(workload, imageBytes, random);
    writeRandom(image, changes, 'r+');
    changedBytes += changes.reduce((sum, { length }) => sum + length, 0);
    for (const keeper of keepers) await add(sums.get(keeper.name)!, keeper, changes);
  }
  return keepers.map(({ name }) => rowOf(workload.name, name, changedBytes, sums.get(name)!));
}

function keepersOf(place: string, image: string): Keeper[] {
  process.env['RESTIC_PASSWORD'] = process.env['BORG_PASSPHRASE'] = PASSPHRASE;
  process.env['BORG_BASE_DIR'] = join(place, 'borg-home');
  const folders = { hvlift: join(place, 'hvlift'), restic: join(place, 'restic'), borg: join(place, 'borg') };
  const restic = ['restic', '--repo', folders.restic, '--quiet', '--cache-dir', join(place, 'restic-cache')];
  return [
    {
      name: 'hvlift',
      folder: folders.hvlift,
      prepare: [taskCommand('create', { repository: folders.hvlift })],
      backUp: (changes) =>
        taskCommand('backup-raw', {
          repository: folders.hvlift,
          disk: image,
          ...(changes ? { changes } : {}),
        }),
    },
    {
      name: 'restic',
      folder: folders.restic,
      prepare: [[...restic, 'init']],
      backUp: () => [...restic, 'backup', '--force', image],
    },
    {
      name: 'borg',
      folder: folders.borg,
      prepare: [['borg', 'init', '--encryption', 'repokey', folders.borg]],
      backUp: () => ['borg', 'create', '--files-cache', 'disabled', `${folders.borg}::{utcnow}`, image],
    },
  ];
}

function emptySums(): Sums {
  return { storedBytes: 0, seconds: 0, cpuSeconds: 0, peakBytes: 0 };
}

async function add(sums: Sums, keeper: Keeper, changes: readonly Extent[]): Promise<void> {
  const before = sizeOf(keeper.folder);
  const usage = await runMeasured(keeper.backUp(changes));
  sums.storedBytes += sizeOf(keeper.folder) - before;
  sums.seconds += usage.wallSeconds;
  sums.cpuSeconds += usage.cpuSeconds;
  sums.peakBytes = Math.max(sums.peakBytes, usage.peakBytes);
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

function rowOf(workload: string, keeper: string, changedBytes: number, sums: Sums): string[] {
  const { storedBytes, seconds, cpuSeconds, peakBytes } = sums;
  return [
    workload,
    keeper,
    `${Math.round(changedBytes / MiB)} MiB`,
    `${Math.round(storedBytes / MiB)} MiB`,
    (storedBytes / changedBytes).toFixed(3),
    seconds.toFixed(1),
    cpuSeconds.toFixed(1),
    formatBytes(peakBytes),
  ];
}
