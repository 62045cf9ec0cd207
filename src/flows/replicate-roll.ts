/**
 * A replica back, or forward, to another moment of its VM: to a restore point, or to an earlier generation that its target keeps.
 *
 *   restore point       what differs ─► staging ─► commit ─► target           as a cycle does it
 *   kept generation     commit ("rolling") ─► its images in the place of those there, which share their blocks with it
 *
 * Either makes a new generation: numbers only grow, and what was kept keeps its number. Needs no host. Replication goes on from
 * there: by the maps where it goes through the repository, else by comparing the disks once.
 */
import { silentProgress, type Progress, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Repository, RestorePoint } from '../repository/index.ts';
import type { Target } from '../targets/index.ts';
import { refuseDuringCutover } from './cutover-state.ts';
import { refuseDuringRehearsal } from './rehearsal-note.ts';
import { pointWarnings } from './point-warnings.ts';
import { nextNumber } from './replicate-commit.ts';
import type { ReplicatedDisk } from './replicate-disk.ts';
import { keepPresent, keptGeneration, readyTarget } from './replicate-history.ts';
import { bringPoint } from './replicate-point.ts';
import { Replica, withoutBaselines, type KnownReplica } from './replicate-state.ts';
import { finishRolling, settleTarget } from './replicate-target.ts';

export interface RollRequest extends CallOptions {
  readonly replica: Pick<KnownReplica, 'state'>;
  /** Where replicas have their state. */
  readonly stateFolder: string;
  readonly target: Target;
  readonly to: RollTo;
  readonly progress?: Progress;
  /** Threads; default: one a processor. 0: none. */
  readonly workers?: number | undefined;
}

export type RollTo =
  | { readonly kind: 'point'; readonly repository: Repository; readonly point: RestorePoint }
  /** One that the target keeps. */
  | { readonly kind: 'generation'; readonly number: number };

export interface RollRecord {
  readonly type: 'roll';
  readonly replica: string;
  readonly vm: { readonly id: string; readonly name: string };
  readonly target: string;
  /** The new one. */
  readonly generation: number;
  /** The moment of the VM that it is. */
  readonly asOf: string;
  readonly point?: string;
  readonly rolledTo?: number;
  /** Of a restore point; the images of a kept generation are put in place whole. */
  readonly disks: readonly ReplicatedDisk[];
  readonly seconds: number;
  readonly warnings: readonly Warning[];
}

/**
 * Throws `REPLICA_BUSY`, `REPLICA_REHEARSED`, `REPLICA_NO_SUCH_GENERATION`, `TARGET_KEEPS_NONE`, what `bringPoint` throws, and
 * `CUTOVER_OPEN` faults. Until its commit the replica stays as it was; after it, whoever comes next finishes it.
 */
export async function rollReplica(request: RollRequest): Promise<RollRecord> {
  const { stateFolder, target, to, signal, workers, progress = silentProgress } = request;
  const started = performance.now();
  await using replica = await Replica.hold(stateFolder, request.replica.state, { signal });
  await refuseDuringCutover(replica);
  const apply = { signal, progress, workers, advance: (bytes: number): void => progress.advance(bytes) };
  await refuseDuringRehearsal(replica, { signal });
  const made =
    to.kind === 'point'
      ? await rollToPoint(replica, target, to, apply)
      : { disks: [], warnings: await rollToKept(replica, target, to.number, apply) };
  const { number, time, point, rolledTo } = replica.state.generation!;
  return {
    type: 'roll',
    replica: replica.id,
    vm: replica.state.vm,
    target: target.address,
    generation: number,
    asOf: time,
    ...(to.kind === 'point' && point ? { point: point.id } : {}),
    ...(to.kind === 'generation' && rolledTo !== undefined ? { rolledTo } : {}),
    disks: made.disks,
    seconds: (performance.now() - started) / 1000,
    warnings: made.warnings,
  };
}

interface Applying extends CallOptions {
  readonly progress: Progress;
  readonly workers: number | undefined;
  advance(bytes: number): void;
}

async function rollToPoint(
  replica: Replica,
  target: Target,
  to: Extract<RollTo, { kind: 'point' }>,
  apply: Applying,
): Promise<Pick<RollRecord, 'disks' | 'warnings'>> {
  const { repository, point } = to;
  const doubts = await pointWarnings(repository, { point }, apply);
  const ready = await readyTarget(replica, target, apply);
  const { disks, warnings } = await bringPoint(replica, target, to, apply);
  return { disks, warnings: [...doubts, ...ready.warnings, ...warnings] };
}

/** What the target holds now is kept first, so that the way back is open. An image that is gone does not stand in the way. */
async function rollToKept(
  replica: Replica,
  target: Target,
  number: number,
  apply: Applying,
): Promise<readonly Warning[]> {
  const kept = await keptGeneration(replica, target, number);
  await settleTarget(replica, target, apply);
  const warnings = await keepPresent(replica, target);
  await replica.save({
    phase: 'rolling',
    generation: { ...kept, number: nextNumber(replica), rolledTo: number },
    staged: [],
    ...withoutBaselines(replica.state),
  });
  await finishRolling(replica, target);
  return warnings;
}
