/**
 * One cycle of a replica: the VM as it is now becomes the next generation on the target.
 *
 *   finish what a dead cycle left ─► is the target there? ─► capture, by the replica's own baseline
 *     ─► per disk: what changed into the staging (a new disk: onto the target) ─► all of it durable
 *     ─► commit: the state says "staged" ─► seal the checkpoint into the next baseline
 *     ─► staging onto the target ─► "idle" ─► confirm that the checkpoint is gone
 *
 * All disks of a generation switch at the commit. Before it the last generation is what the target holds; after it, the target
 * with the staging. Whatever dies in between, the next cycle goes on from there, without a seed.
 */
import { newGuid, silentProgress, type Progress, type Warning } from '../base/index.ts';
import type {
  Capture,
  CaptureRequest,
  CapturedConsistency,
  CheckpointBudget,
  ConsistencyPolicy,
  DiskSelection,
  LeftOutDisk,
  Source,
} from '../capture/index.ts';
import type { Extent } from '../extents/index.ts';
import type { Target } from '../targets/index.ts';
import { roomOf } from './backup-room.ts';
import { refuseDuringCutover } from './cutover-state.ts';
import { hasMoved } from './moved-vm.ts';
import {
  commitMoment,
  finishGeneration,
  noteCycle,
  type Committed,
  type Moment,
} from './replicate-commit.ts';
import type { ReplicatedDisk } from './replicate-disk.ts';
import { abortQuietly, confirmGone, handOver } from './replicate-hand-over.ts';
import { readyTarget } from './replicate-history.ts';
import { Replica } from './replicate-state.ts';
import { seedFrom, type SeedDisk, type SeedOver } from './replicate-target.ts';

export interface ReplicateRequest {
  readonly vm: string;
  readonly target: Target;
  /** Where replicas have their state. */
  readonly stateFolder: string;
  /** `existing`: what is on the target is a copy of the VM; it is compared, and only differences are written. Default: nothing. */
  readonly over?: SeedOver;
  /** Copies of disks of the VM, written onto the target before the first cycle, which compares them with the VM. */
  readonly seed?: readonly SeedDisk[];
  /** How many generations the target keeps, this one among them; left out: it keeps none, and drops none. */
  readonly keep?: number | undefined;
  readonly consistency?: ConsistencyPolicy;
  /** Which disks; default: all. */
  readonly disks?: DiskSelection | undefined;
  readonly skipUnprotectable?: boolean;
  readonly checkpointBudget?: CheckpointBudget | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress;
  /** How long to wait for the host to merge the checkpoint before the cycle ends with a warning. */
  readonly mergeTimeoutMs?: number;
}

export interface ReplicateDeps {
  readonly source: Source;
  resolveVm(
    nameOrId: string,
    options: { signal?: AbortSignal | undefined },
  ): Promise<{ id: string; name: string }>;
}

export interface ReplicateRecord {
  readonly type: 'replicate';
  readonly runId: string;
  /** Id of the replica. */
  readonly replica: string;
  readonly vm: { readonly id: string; readonly name: string; readonly host: string };
  readonly target: string;
  /** That the target holds now. */
  readonly generation: number;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** A cycle that died before had left a complete generation, which was brought to the target first. */
  readonly resumed: boolean;
  readonly consistency: CapturedConsistency;
  /** The restore point that the cycle made, where it goes through a repository. */
  readonly point?: PointOfCycle | undefined;
  readonly disks: readonly ReplicatedDisk[];
  readonly leftOut: readonly LeftOutDisk[];
  readonly warnings: readonly Warning[];
}

export interface PointOfCycle {
  readonly id: string;
  /** Its location. */
  readonly repository: string;
  /** Bytes of all disks, from the host. */
  readonly readBytes: number;
  /** Bytes that differ from the restore point before. */
  readonly changedBytes: number;
  /** Bytes written to the repository for the disks. */
  readonly storedBytes: number;
}

/**
 * Throws what the host, the target and this machine's disks throw, and `REPLICA_BUSY`, `REPLICA_BEGUN`,
 * `REPLICA_STATE_UNREADABLE`. Whatever it throws, the last complete generation stays. A cycle that failed while its VM went to
 * another node of a cluster begins anew there, once.
 */
export async function replicateVm(deps: ReplicateDeps, request: ReplicateRequest): Promise<ReplicateRecord> {
  const { target, stateFolder, signal } = request;
  const { id, name } = await deps.resolveVm(request.vm, { signal });
  await using replica = await Replica.hold(
    stateFolder,
    { vm: { id, name }, target: target.address },
    { signal },
  );
  await refuseDuringCutover(replica);
  const cycle = { ...request, mayWait: true };
  try {
    return await replicateHeld(deps, replica, cycle);
  } catch (error) {
    if (!(await hasMoved(deps.source, id, { signal }))) throw error;
    request.progress?.note(
      `the VM moved to another node (${(error as Error).message}); beginning anew there`,
    );
    return await replicateHeld(deps, replica, cycle); // awaited here: the replica is let go when this function is left
  }
}

export interface HeldCycle extends ReplicateRequest {
  /** The VM is off because its cable was pulled: what it holds is what a crash would have left. */
  readonly turnedOff?: boolean;
  /** Should a rehearsal run over the target, the generation may stay in its staging: a warning, not a fault. */
  readonly mayWait?: boolean;
  /** Gets what a disk's staging changes, once the generation is committed. */
  readonly changed?: (diskId: string, runs: Iterable<Extent>) => void;
}

/** A cycle of a replica that the caller holds. */
export async function replicateHeld(
  deps: Pick<ReplicateDeps, 'source'>,
  replica: Replica,
  request: HeldCycle,
): Promise<ReplicateRecord> {
  const { target, signal, progress = silentProgress } = request;
  const startedAt = new Date().toISOString();
  const started = performance.now();
  const runId = newGuid();
  const apply = { signal, advance: (bytes: number): void => progress.advance(bytes) };
  const ready = await readyTarget(replica, target, { ...request, ...apply });
  if (request.seed)
    await seedFrom(replica, target, request.seed, { ...request, over: request.over ?? 'nothing' });
  // Aborts when the run is cancelled, and when its checkpoint takes more room than it may.
  const room = roomOf(request);
  const capture = await deps.source.open(captureRequest(replica, request, { runId, signal: room.signal }));
  const made = await committed({ replica, capture, room, request, runId, startedAt });
  for (const { diskId, disk } of made.staged) request.changed?.(diskId, disk.written());
  const warnings = [...capture.warnings, ...made.warnings];
  progress.phase('handing over the checkpoint');
  warnings.push(...(await handOver(replica, capture, made.generation.number)));
  progress.phase('onto the target');
  warnings.push(...ready.warnings);
  warnings.push(...(await finishGeneration(replica, target, made, { ...request, ...apply })));
  await noteCycle(replica, made, (performance.now() - started) / 1000);
  warnings.push(...(await confirmGone(capture, made.generation.number, request)));
  return {
    type: 'replicate',
    runId,
    replica: replica.id,
    vm: { id: capture.vm.id, name: capture.vm.name, host: capture.vm.host },
    target: target.address,
    generation: made.generation.number,
    startedAt,
    finishedAt: new Date().toISOString(),
    resumed: ready.resumed,
    consistency: made.generation.consistency,
    disks: made.disks,
    leftOut: capture.leftOut,
    warnings,
  };
}

function captureRequest(
  replica: Replica,
  request: ReplicateRequest,
  { runId, signal }: { runId: string; signal: AbortSignal },
): CaptureRequest {
  const { state, journal } = replica;
  return {
    vm: state.vm.id,
    runId,
    consistency: request.consistency ?? 'application-preferred',
    baselines: state.baselines,
    othersBaselines: state.outdated ?? [],
    earlierDisks: state.disks.map(({ diskId }) => diskId),
    skipUnprotectable: request.skipUnprotectable ?? false,
    disks: request.disks ?? {},
    journal,
    progress: request.progress ?? silentProgress,
    signal,
  };
}

interface CycleParts {
  readonly replica: Replica;
  readonly capture: Capture;
  readonly room: ReturnType<typeof roomOf>;
  readonly request: HeldCycle;
  readonly runId: string;
  readonly startedAt: string;
}

/** Up to the commit. What fails leaves the last generation, and nothing of this run on the host. */
async function committed(parts: CycleParts): Promise<Committed> {
  const { replica, capture, room, request } = parts;
  const { target, over, progress } = request;
  const { signal } = room;
  try {
    return await room.watching(capture, () =>
      commitMoment(replica, target, momentOf(parts), { over, progress, signal }),
    );
  } catch (error) {
    await abortQuietly(capture);
    throw error;
  }
}

function momentOf({ capture, runId, startedAt: time, request }: CycleParts): Moment {
  const { vm, configuration, consistency, disks } = capture;
  return {
    disks,
    generation: {
      time,
      runId,
      consistency: request.turnedOff ? { ...consistency, reached: 'crash' } : consistency,
      settings: { ...(vm.generation === undefined ? {} : { generation: vm.generation }), configuration },
    },
  };
}
