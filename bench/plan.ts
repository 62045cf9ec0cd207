/**
 * What is measured, and beside what. Every step is a program of its own; in each round all steps run once, in this order,
 * so that a slow minute of the machine hits both sides.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { GiB, MiB, TiB } from '../src/base/index.ts';
import type { Extent } from '../src/extents/index.ts';
import { CONVERT_RATIOS, PARALLEL, checkConverted, convertSteps } from './convert-steps.ts';
import { LIMITS } from './limits.ts';
import { NBD_RATIOS, nbdSteps } from './nbd-steps.ts';
import { READER_RATIOS, readerSteps } from './reader-steps.ts';
import { makeSourceDisk, scatteredChanges, writeChanges } from './source-disk.ts';
import {
  checkSame,
  convert,
  emptyFolder,
  task,
  taskCommand,
  taskStep,
  warmPages,
  type Ratio,
  type Step,
} from './step.ts';

export interface Plan {
  readonly steps: readonly Step[];
  readonly ratios: readonly Ratio[];
  /** Asserts, once, that what was restored or converted is what it was made from. */
  check(): Promise<void>;
}

export interface PlanOptions {
  readonly folder: string;
  readonly diskSize: number;
  readonly changedBytes: number;
  /** What the plan has started is put in here, to be ended with it. */
  readonly parts: AsyncDisposableStack;
  /** Left out: all groups. */
  readonly only?: Step['group'] | undefined;
}

export async function makePlan(options: PlanOptions): Promise<Plan> {
  const { folder, diskSize, only, parts } = options;
  if (only === 'readers') return readersPlan(diskSize / 4, parts);
  if (only === 'nbd' || only === 'serve') return nbdPlan([only], options);
  const disk = join(folder, 'disk.vhdx');
  const dataBytes = diskSize / 2;
  await makeSourceDisk(disk, diskSize, dataBytes);
  const converted = { disk, dataBytes, folder, outputs: join(folder, 'outputs') };
  const convertPlan: Plan = {
    steps: only === undefined || only === 'convert' ? await convertSteps(converted) : [],
    ratios: CONVERT_RATIOS,
    check: () => checkConverted(converted),
  };
  if (only === 'convert') return convertPlan;
  const plan = await repositoryPlan(options, { disk, dataBytes });
  const readers = only === undefined ? (await readersPlan(diskSize / 4, parts)).steps : [];
  const nbd = only === undefined ? (await nbdPlan(['nbd', 'serve'], options)).steps : [];
  const all = [...plan.steps, ...convertPlan.steps, ...readers, ...nbd];
  return {
    steps: all.filter(({ group }) => (only ?? group) === group),
    ratios: [...plan.ratios, ...convertPlan.ratios, ...READER_RATIOS, ...NBD_RATIOS],
    async check() {
      await plan.check();
      if (convertPlan.steps.length > 0) await convertPlan.check();
    },
  };
}

async function readersPlan(bytes: number, parts: AsyncDisposableStack): Promise<Plan> {
  return { steps: await readerSteps(bytes, parts), ratios: READER_RATIOS, check: async () => {} };
}

/** An eighth of the large disk, all of it data: 512 MiB. */
async function nbdPlan(
  groups: readonly ('nbd' | 'serve')[],
  { folder, diskSize, parts }: PlanOptions,
): Promise<Plan> {
  return {
    steps: await nbdSteps(groups, folder, diskSize / 8, parts),
    ratios: NBD_RATIOS,
    check: async () => {},
  };
}

async function repositoryPlan(
  { folder, changedBytes }: PlanOptions,
  { disk, dataBytes }: Pick<Context, 'disk' | 'dataBytes'>,
): Promise<Plan> {
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
    check: async () => checkRestored(context),
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
    ...taskStep('limit', { limit, disk, folder: outputs, bytes }),
    prepare: () => emptyFolder(outputs),
    beforeWork: () => warmPages(outputs, dataBytes),
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
    prepare: () => emptyFolder(outputs),
    beforeWork: () => warmPages(outputs, dataBytes),
  });
  return [
    {
      group: 'backup',
      name: 'hvlift backup, full',
      bytes: dataBytes,
      ...taskStep('backup', { repository, disk }),
      prepare: async () => {
        await emptyFolder(outputs);
        await task('create', { repository });
      },
      beforeWork: () => warmPages(outputs, dataBytes),
    },
    qemu('qemu-img qcow2', []),
    qemu('qemu-img qcow2 zstd', zstd),
    qemu(`qemu-img qcow2 zstd ${PARALLEL.join(' ')}`, [...zstd, ...PARALLEL]),
  ];
}

/** Ours always ends durable; qemu-img only with a cache mode that flushes, so both of its modes are shown. */
function restoreSteps({ disk, dataBytes, repository, outputs }: Context): Step[] {
  const step = (name: string, program: Pick<Step, 'command' | 'waits'>): Step => ({
    group: 'restore',
    name,
    bytes: dataBytes,
    ...program,
    prepare: () => emptyFolder(outputs),
    beforeWork: () => warmPages(outputs, dataBytes),
  });
  return (['raw', 'qcow2'] as const).flatMap((format) => [
    step(
      `hvlift restore, ${format}`,
      taskStep('restore', { repository, format, path: join(outputs, format) }),
    ),
    step(`qemu-img ${format}, durable`, {
      command: convert(['-t', 'writeback'], format, disk, join(outputs, format)),
    }),
    step(`qemu-img ${format}, not durable`, { command: convert([], format, disk, join(outputs, format)) }),
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
    ...taskStep('backup', { repository, disk, changes }),
    prepare: () => writeChanges(disk, changes),
  };
}

function checkRestored({ disk, repository, outputs }: Context): void {
  rmSync(outputs, { recursive: true, force: true });
  mkdirSync(outputs);
  for (const format of ['raw', 'qcow2'] as const) {
    const path = join(outputs, format);
    checkSame(taskCommand('restore', { repository, format, path }), disk, format, path);
  }
}
