/**
 * From a moment of the VM, wherever it is read from, to the next generation of its replica.
 *
 *   per disk: what changed into the staging (a new disk: onto the target) ─► all of it durable ─► the state says "staged"
 *     ─► staging onto the target ─► "idle" ─► an earlier generation more is kept, where that is asked
 *
 * The state is the commit: all disks of the generation switch there.
 */
import { hasCode, silentProgress, warningOf, type Progress, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Target } from '../targets/index.ts';
import { replicateDisk, type DiskInWork, type MomentDisk, type ReplicatedDisk } from './replicate-disk.ts';
import { replicaFaults } from './replicate-faults.ts';
import { keepGeneration } from './replicate-history.ts';
import { makeDurable, type StagedDisk } from './replicate-staging.ts';
import {
  withoutBaselines,
  type CycleNote,
  type GenerationDisk,
  type Replica,
  type ReplicaGeneration,
} from './replicate-state.ts';
import { bringToTarget, changedByOthers, claimDisks, specOf, type SeedOver } from './replicate-target.ts';

/** A day of cycles every five minutes is too long ago to tell about the next one. */
const CYCLES_KEPT = 50;

export interface Moment {
  readonly disks: readonly (MomentDisk & Omit<GenerationDisk, 'diskId'>)[];
  readonly generation: Omit<ReplicaGeneration, 'number' | 'disks'>;
  /** It is not what the host's changes will be asked against. */
  readonly losesBaselines?: true;
}

export interface CommitOptions {
  readonly over?: SeedOver | undefined;
  readonly progress?: Progress | undefined;
  readonly signal: AbortSignal;
}

export interface Committed {
  readonly generation: ReplicaGeneration;
  /** Still open, for {@link finishGeneration}. */
  readonly staged: readonly StagedDisk[];
  readonly disks: readonly ReplicatedDisk[];
  readonly warnings: readonly Warning[];
}

/** What fails leaves the last generation. Any `TARGET_` fault, before anything is written. */
export async function commitMoment(
  replica: Replica,
  target: Target,
  moment: Moment,
  options: CommitOptions,
): Promise<Committed> {
  const opened: { close(): Promise<void> }[] = [];
  try {
    return await commitOpened(replica, target, moment, { ...options, open: (disk) => opened.push(disk) });
  } catch (error) {
    // The staging stays: a commit that failed may have arrived all the same, and the next run sees whether it did.
    await Promise.allSettled(opened.map((disk) => disk.close()));
    throw error;
  }
}

async function commitOpened(
  replica: Replica,
  target: Target,
  moment: Moment,
  { progress = silentProgress, over = 'nothing', signal, open }: CommitOptions & { open: OnOpened },
): Promise<Committed> {
  const changed = await changedByOthers(replica, target);
  await claimDisks(replica, target, moment.disks, { over, signal });
  const number = nextNumber(replica);
  const context = { replica, target, generation: number, changedByOthers: changed, progress, signal };
  const inWork: DiskInWork[] = [];
  for (const disk of moment.disks)
    inWork.push(await replicateDisk(context, disk, specOf(replica, { ...disk, diskId: disk.id }), open));
  for (const { direct } of inWork) await direct?.close();
  const staged = inWork.flatMap((each) => each.staged ?? []);
  progress.phase('commit');
  await makeDurable(replica, staged);
  signal.throwIfAborted();
  const generation = { number, ...moment.generation, disks: moment.disks.map(generationDisk) };
  const warnings = disksLeft(replica, target, generation);
  await replica.save({
    phase: 'staged',
    generation,
    staged: staged.map(({ diskId }) => diskId),
    ...(moment.losesBaselines ? withoutBaselines(replica.state) : {}),
  });
  return { generation, staged, disks: inWork.map(({ done }) => done), warnings };
}

type OnOpened = (opened: { close(): Promise<void> }) => void;

export function nextNumber({ state }: Replica): number {
  return (state.generation?.number ?? 0) + 1;
}

function generationDisk(disk: Moment['disks'][number]): GenerationDisk {
  const { id, attachmentId, size, logicalSectorSize, path, attachment, physicalSectorSize } = disk;
  return {
    diskId: id,
    attachmentId,
    size,
    logicalSectorSize,
    path,
    ...(attachment === undefined ? {} : { attachment }),
    ...(physicalSectorSize === undefined ? {} : { physicalSectorSize }),
  };
}

export interface FinishOptions extends CallOptions {
  /** How many generations the target keeps; left out: it keeps none, and drops none. */
  readonly keep?: number | undefined;
  /** Should a rehearsal run over the target, the generation may stay in its staging: a warning, not a fault. */
  readonly mayWait?: boolean;
  advance(bytes: number): void;
}

/** Onto the target. What fails leaves the generation committed, and is done again by whoever comes next. */
export async function finishGeneration(
  replica: Replica,
  target: Target,
  committed: Committed,
  options: FinishOptions,
): Promise<Warning[]> {
  const waits = await brought(replica, target, committed, options);
  return [...waits, ...(await keepGeneration(replica, target, options.keep))];
}

/** Its generation stands, so what a rehearsal keeps back is brought by a later cycle. */
async function brought(
  replica: Replica,
  target: Target,
  { staged, generation }: Committed,
  options: FinishOptions,
): Promise<Warning[]> {
  try {
    await bringToTarget(replica, target, staged, options);
    return [];
  } catch (error) {
    if (!options.mayWait || !hasCode(error, 'REPLICA_REHEARSED')) throw error;
    return [warningOf(replicaFaults.broughtLater({ generation: generation.number }))];
  }
}

/** For who wants to know how long the next one takes. */
export async function noteCycle(
  replica: Replica,
  { generation, disks }: Committed,
  seconds: number,
): Promise<void> {
  const cycle: CycleNote = {
    generation: generation.number,
    time: generation.time,
    kind: disks.every(({ kind }) => kind === 'delta') ? 'delta' : 'other',
    readBytes: sumOf(disks, ({ readBytes }) => readBytes),
    changedBytes: sumOf(disks, ({ writtenBytes, zeroedBytes }) => writtenBytes + zeroedBytes),
    seconds,
  };
  await replica.save({ cycles: [...(replica.state.cycles ?? []), cycle].slice(-CYCLES_KEPT) });
}

function sumOf(disks: readonly ReplicatedDisk[], bytesOf: (disk: ReplicatedDisk) => number): number {
  return disks.reduce((sum, disk) => sum + bytesOf(disk), 0);
}

function disksLeft(replica: Replica, target: Target, next: ReplicaGeneration): Warning[] {
  const kept = new Set(next.disks.map(({ diskId }) => diskId));
  const left = replica.state.generation?.disks.filter(({ diskId }) => !kept.has(diskId)) ?? [];
  return left.map((disk) =>
    warningOf(
      replicaFaults.diskLeft({ place: target.placeOf(specOf(replica, disk)), generation: next.number }),
    ),
  );
}
