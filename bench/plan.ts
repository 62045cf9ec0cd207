/**
 * What is measured, and beside what. Every step is a program of its own; in each round all steps run once, in this order,
 * so that a slow minute of the machine hits both sides.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GiB, MiB, TiB } from '../src/base/index.ts';
import type { Extent } from '../src/extents/index.ts';
import { LIMITS } from './limits.ts';
import { runMeasured } from './measured-child.ts';
import { makeSourceDisk, scatteredChanges, writeChanges } from './source-disk.ts';

export interface Step {
  readonly group: 'limit' | 'backup' | 'restore' | 'increment';
  readonly name: string;
  /** What the speed is counted in: data of the disk, or changed bytes. */
  readonly bytes: number;
  readonly command: readonly string[];
  /** Puts the files right before each run; not measured. */
  prepare(): Promise<void>;
}

export interface Ratio {
  readonly ours: string;
  readonly theirs: string;
}

export interface Plan {
  readonly steps: readonly Step[];
  readonly ratios: readonly Ratio[];
  /** Asserts, once, that what was restored is what was backed up. */
  check(): void;
}

export interface PlanOptions {
  readonly folder: string;
  readonly diskSize: number;
  readonly changedBytes: number;
}

// The settings of the strongest peer: as many requests at once as it allows, and writes in any order.
const PARALLEL = ['-W', '-m', '16'];

export async function makePlan({ folder, diskSize, changedBytes }: PlanOptions): Promise<Plan> {
  const disk = join(folder, 'disk.vhdx');
  const dataBytes = await makeSourceDisk(disk, diskSize);
  const repository = join(folder, 'repository');
  const outputs = join(folder, 'outputs');
  await task('create', { repository });
  await task('backup', { repository, disk });
  const context = { disk, dataBytes, repository, outputs };
  const increments = [];
  for (const increment of INCREMENTS) increments.push(await incrementStep(folder, increment, changedBytes));
  return {
    steps: [...limitSteps(context), ...backupSteps(context), ...restoreSteps(context), ...increments],
    ratios: RATIOS,
    check: () => checkRestored(context),
  };
}

interface Context {
  readonly disk: string;
  readonly dataBytes: number;
  readonly repository: string;
  readonly outputs: string;
}

interface Increment {
  readonly name: string;
  readonly size: number;
  /** The changes are spread evenly over so many bytes from the start of the disk. */
  readonly spread: number;
}

/** The last is the worst a map can meet: every change in a page of its own, on every level. */
const INCREMENTS: Increment[] = [
  { name: 'increment on 64 GiB', size: 64 * GiB, spread: 64 * GiB },
  { name: 'increment on 64 TiB, same places', size: 64 * TiB, spread: 64 * GiB },
  { name: 'increment on 64 TiB, all over it', size: 64 * TiB, spread: 64 * TiB },
];

const RATIOS: Ratio[] = [
  { ours: 'hvlift backup, full', theirs: 'qemu-img qcow2' },
  { ours: 'hvlift backup, full', theirs: 'qemu-img qcow2 zstd' },
  { ours: 'hvlift backup, full', theirs: `qemu-img qcow2 zstd ${PARALLEL.join(' ')}` },
  { ours: 'hvlift restore, qcow2', theirs: 'qemu-img qcow2, durable' },
  { ours: 'hvlift restore, raw', theirs: 'qemu-img qcow2, durable' },
  { ours: 'hvlift restore, raw', theirs: 'qemu-img raw, durable' },
  ...INCREMENTS.slice(1).map(({ name }) => ({ ours: name, theirs: INCREMENTS[0]!.name })),
];

function limitSteps({ disk, dataBytes, outputs }: Context): Step[] {
  const bytes = Math.min(512 * MiB, dataBytes / 2);
  return LIMITS.map((limit) => ({
    group: 'limit',
    name: limit,
    bytes,
    command: taskCommand('limit', { limit, disk, folder: outputs, bytes }),
    prepare: () => emptyFolder(outputs, dataBytes),
  }));
}

function backupSteps({ disk, dataBytes, outputs }: Context): Step[] {
  const repository = join(outputs, 'repository');
  const zstd = ['-c', '-o', 'compression_type=zstd'];
  const qemu = (name: string, options: readonly string[]): Step => ({
    group: 'backup',
    name,
    bytes: dataBytes,
    command: convert(options, 'qcow2', disk, join(outputs, 'copy')),
    prepare: () => emptyFolder(outputs, dataBytes),
  });
  return [
    {
      group: 'backup',
      name: 'hvlift backup, full',
      bytes: dataBytes,
      command: taskCommand('backup', { repository, disk }),
      prepare: async () => {
        await emptyFolder(outputs, dataBytes);
        await task('create', { repository });
      },
    },
    qemu('qemu-img qcow2', []),
    qemu('qemu-img qcow2 zstd', zstd),
    qemu(`qemu-img qcow2 zstd ${PARALLEL.join(' ')}`, [...zstd, ...PARALLEL]),
  ];
}

/** Ours always ends durable; qemu-img only with a cache mode that flushes, so both of its modes are shown. */
function restoreSteps({ disk, dataBytes, repository, outputs }: Context): Step[] {
  const step = (name: string, command: readonly string[]): Step => ({
    group: 'restore',
    name,
    bytes: dataBytes,
    command,
    prepare: () => emptyFolder(outputs, dataBytes),
  });
  return (['raw', 'qcow2'] as const).flatMap((format) => [
    step(
      `hvlift restore, ${format}`,
      taskCommand('restore', { repository, format, path: join(outputs, format) }),
    ),
    step(`qemu-img ${format}, durable`, convert(['-t', 'writeback'], format, disk, join(outputs, format))),
    step(`qemu-img ${format}, not durable`, convert([], format, disk, join(outputs, format))),
  ]);
}

/** Each run changes the disk and backs up the changes, on top of the run before. */
async function incrementStep(
  folder: string,
  { name, size, spread }: Increment,
  changedBytes: number,
): Promise<Step> {
  const disk = join(folder, `${name}.vhdx`);
  const repository = join(folder, `repository of ${name}`);
  const changes: Extent[] = scatteredChanges(spread, changedBytes);
  await writeChanges(disk, changes, size);
  await task('create', { repository });
  await task('backup', { repository, disk });
  return {
    group: 'increment',
    name,
    bytes: changedBytes,
    command: taskCommand('backup', { repository, disk, changes }),
    prepare: () => writeChanges(disk, changes),
  };
}

function checkRestored({ disk, repository, outputs }: Context): void {
  rmSync(outputs, { recursive: true, force: true });
  mkdirSync(outputs);
  for (const format of ['raw', 'qcow2'] as const) {
    const path = join(outputs, format);
    const [program, ...args] = taskCommand('restore', { repository, format, path });
    const restored = spawnSync(program, args, { encoding: 'utf8' });
    const compared = spawnSync('qemu-img', ['compare', '-f', 'vhdx', '-F', format, disk, path], {
      encoding: 'utf8',
    });
    if (restored.status !== 0 || compared.status !== 0) {
      throw new Error(
        `the ${format} restore is not the source: ${restored.stderr}${compared.stdout}${compared.stderr}`,
      );
    }
  }
}

function convert(options: readonly string[], format: string, from: string, to: string): string[] {
  return ['qemu-img', 'convert', '-f', 'vhdx', '-O', format, ...options, from, to];
}

function taskCommand(name: string, request: object): [string, ...string[]] {
  const script = fileURLToPath(new URL('./task.ts', import.meta.url));
  return [process.execPath, '-C', 'source', script, name, JSON.stringify(request)];
}

async function task(name: string, request: object): Promise<void> {
  await runMeasured(taskCommand(name, request));
}

/**
 * Empty, and nothing of the run before still on its way to the disk. Then `bytes` are written and removed: their pages are
 * what the step writes into. Otherwise the first step after one that wrote less pays for fresh memory, which in a virtual
 * machine costs four times the copying.
 */
async function emptyFolder(folder: string, bytes: number): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const file = openSync(join(folder, 'pages'), 'w');
  const piece = Buffer.alloc(MiB, 1);
  for (let at = 0; at < bytes; at += piece.length) writeSync(file, piece);
  closeSync(file);
  rmSync(join(folder, 'pages'));
  spawnSync('sync');
}
