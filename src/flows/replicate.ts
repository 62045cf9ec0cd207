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
import { hasCode, newGuid, silentProgress, warningOf, type Progress, type Warning } from '../base/index.ts';
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
import type { Target } from '../targets/index.ts';
import type { Extent } from '../extents/index.ts';
import { roomOf } from './backup-room.ts';
import { checkHistory, keepGeneration } from './replicate-history.ts';
import { replicateDisk, type DiskInWork, type ReplicatedDisk } from './replicate-disk.ts';
import { replicaFaults } from './replicate-faults.ts';
import { abortQuietly, confirmGone, handOver } from './replicate-hand-over.ts';
import { makeDurable, type StagedDisk } from './replicate-staging.ts';
import { refuseDuringCutover } from './cutover-state.ts';
import { Replica, type CycleNote, type ReplicaGeneration } from './replicate-state.ts';
import {
  bringToTarget,
  changedByOthers,
  checkHeld,
  claimDisks,
  settleTarget,
  seedFrom,
  specOf,
  type SeedDisk,
  type SeedOver,
} from './replicate-target.ts';

/** A day of cycles every five minutes is too long ago to tell about the next one. */
const CYCLES_KEPT = 50;

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
  readonly disks: readonly ReplicatedDisk[];
  readonly leftOut: readonly LeftOutDisk[];
  readonly warnings: readonly Warning[];
}

/**
 * Throws what the host, the target and this machine's disks throw, and `REPLICA_BUSY`, `REPLICA_BEGUN`,
 * `REPLICA_STATE_UNREADABLE`. Whatever it throws, the last complete generation stays.
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
  return await replicateHeld(deps, replica, { ...request, mayWait: true }); // awaited here: the replica is let go when this function is left
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
  refuseSeed(replica, request);
  const apply = { signal, advance: (bytes: number): void => progress.advance(bytes) };
  progress.phase('what an earlier cycle left');
  await checkHistory(replica, target, request.keep);
  const resumed = await settleTarget(replica, target, apply);
  const kept = resumed ? await keepGeneration(replica, target, request.keep) : [];
  await checkHeld(replica, target, { signal });
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
  warnings.push(...(await brought(replica, target, made, { ...request, ...apply })));
  warnings.push(...kept, ...(await keepGeneration(replica, target, request.keep)));
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
    resumed,
    consistency: made.generation.consistency,
    disks: made.disks,
    leftOut: capture.leftOut,
    warnings,
  };
}

/** Its generation stands, so what a rehearsal keeps back is brought by a later cycle. */
async function brought(
  replica: Replica,
  target: Target,
  { staged, generation }: Committed,
  options: HeldCycle & { advance(bytes: number): void },
): Promise<Warning[]> {
  try {
    await bringToTarget(replica, target, staged, options);
    return [];
  } catch (error) {
    if (!options.mayWait || !hasCode(error, 'REPLICA_REHEARSED')) throw error;
    return [warningOf(replicaFaults.broughtLater({ generation: generation.number }))];
  }
}

/** A replica that has a generation would not be compared with what the user thinks it is. */
function refuseSeed({ state: { generation } }: Replica, { over, seed }: ReplicateRequest): void {
  if (generation && (over === 'existing' || seed))
    throw replicaFaults.begun({ generation: generation.number });
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
    earlierDisks: state.disks.map(({ diskId }) => diskId),
    skipUnprotectable: request.skipUnprotectable ?? false,
    disks: request.disks ?? {},
    journal,
    progress: request.progress ?? silentProgress,
    signal,
  };
}

interface Committed {
  readonly generation: ReplicaGeneration;
  readonly staged: readonly StagedDisk[];
  readonly disks: readonly ReplicatedDisk[];
  readonly warnings: readonly Warning[];
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
  const { capture, room } = parts;
  const opened: { close(): Promise<void> }[] = [];
  try {
    return await room.watching(capture, () => readAll(parts, (disk) => opened.push(disk)));
  } catch (error) {
    // The staging stays: a commit that failed may have arrived all the same, and the next run sees whether it did.
    await Promise.allSettled(opened.map((disk) => disk.close()));
    await abortQuietly(capture);
    throw error;
  }
}

async function readAll(
  { replica, capture, room, request, runId, startedAt }: CycleParts,
  open: (opened: { close(): Promise<void> }) => void,
): Promise<Committed> {
  const { target, progress = silentProgress, over = 'nothing' } = request;
  const { signal } = room;
  const changed = await changedByOthers(replica, target);
  await claimDisks(replica, target, capture.disks, { over, signal });
  const number = (replica.state.generation?.number ?? 0) + 1;
  const context = { replica, target, generation: number, changedByOthers: changed, progress, signal };
  const inWork: DiskInWork[] = [];
  for (const disk of capture.disks)
    inWork.push(await replicateDisk(context, disk, specOf(replica, { ...disk, diskId: disk.id }), open));
  for (const { direct } of inWork) await direct?.close();
  const staged = inWork.flatMap((each) => each.staged ?? []);
  progress.phase('commit');
  await makeDurable(replica, staged);
  signal.throwIfAborted();
  const generation = generationOf(capture, { number, time: startedAt, runId }, request);
  const warnings = disksLeft(replica, target, generation);
  await replica.save({ phase: 'staged', generation, staged: staged.map(({ diskId }) => diskId) });
  return { generation, staged, disks: inWork.map(({ done }) => done), warnings };
}

function generationOf(
  { vm, configuration, consistency, disks }: Capture,
  about: Pick<ReplicaGeneration, 'number' | 'time' | 'runId'>,
  { turnedOff = false }: HeldCycle,
): ReplicaGeneration {
  return {
    ...about,
    consistency: turnedOff ? { ...consistency, reached: 'crash' } : consistency,
    settings: { ...(vm.generation === undefined ? {} : { generation: vm.generation }), configuration },
    disks: disks.map((disk) => ({
      diskId: disk.id,
      attachmentId: disk.attachmentId,
      size: disk.size,
      logicalSectorSize: disk.logicalSectorSize,
      path: disk.path,
      attachment: disk.attachment,
      physicalSectorSize: disk.physicalSectorSize,
    })),
  };
}

/** For who wants to know how long the next one takes. */
async function noteCycle(replica: Replica, { generation, disks }: Committed, seconds: number): Promise<void> {
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
