/**
 * One disk, as it was at one moment, into its replica.
 *
 *   in the last generation   ─► staging over what the target has: changed ranges of a delta, differences of a compare
 *   not in it yet            ─► straight onto the target: nothing counts on it before the generation is committed
 */
import { isFault, type Progress } from '../base/index.ts';
import type { CapturedDisk, CompareReason, DeltaReason } from '../capture/index.ts';
import type { Target, TargetDisk, TargetDiskSpec } from '../targets/index.ts';
import { copyRanges, type RangeCopy, type RangeTally } from './replicate-ranges.ts';
import { StagedDisk } from './replicate-staging.ts';
import type { Replica } from './replicate-state.ts';

export type ReplicaReason =
  | CompareReason
  | DeltaReason
  /** The replica has nothing of it. */
  | 'seed'
  /** Somebody else wrote to the target's disk. */
  | 'target-changed'
  /** Of a restore point: the maps of both tell what differs. */
  | 'changes-since-restore-point'
  /** Of a restore point: what the target has is of none that the repository has. */
  | 'no-restore-point';

/** A disk as it was at one moment of its VM: of a capture, or of a restore point. */
export interface MomentDisk extends Pick<
  CapturedDisk,
  'id' | 'path' | 'size' | 'logicalSectorSize' | 'hostFileBytes' | 'kind' | 'extents' | 'reader'
> {
  readonly reason: CapturedDisk['reason'] | ReplicaReason;
  /** For a delta whose changes cannot be had or cannot be believed: all that is allocated. */
  asCompare(reason: CompareReason): MomentDisk;
}

/** A delta cannot be had, and why. */
const NO_DELTA: Readonly<Record<string, CompareReason>> = {
  HYPERV_BASELINE_LOST: 'change-query-failed',
  REPLICA_MAP_UNREADABLE: 'base-damaged',
};

export interface ReplicatedDisk {
  readonly diskId: string;
  /** On the host. */
  readonly path: string;
  /** On the target. */
  readonly place: string;
  readonly kind: 'full' | 'compare' | 'delta';
  readonly reason: ReplicaReason;
  /** Size of the virtual disk. */
  readonly virtualBytes: number;
  /** Size of the host files that hold it. */
  readonly allocatedBytes: number;
  /** Read of it: from the host, or from the repository. */
  readonly readBytes: number;
  /** Data for the target. */
  readonly writtenBytes: number;
  /** Made zeros on the target. */
  readonly zeroedBytes: number;
  readonly seconds: number;
}

export interface DiskContext {
  readonly replica: Replica;
  readonly target: Target;
  /** That is being made. */
  readonly generation: number;
  /** What somebody else wrote to since the last cycle: VirtualDiskIds. */
  readonly changedByOthers: ReadonlySet<string>;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** What holds a disk open until its generation is committed. */
export interface DiskInWork {
  readonly done: ReplicatedDisk;
  readonly staged?: StagedDisk;
  readonly direct?: TargetDisk;
}

type Copied = Pick<ReplicatedDisk, 'kind' | 'reason'> & { readonly tally: RangeTally };

/** `open` gets what is to be closed as soon as it is opened. */
export async function replicateDisk(
  context: DiskContext,
  disk: MomentDisk,
  spec: TargetDiskSpec,
  open: (opened: { close(): Promise<void> }) => void,
): Promise<DiskInWork> {
  const started = performance.now();
  const { replica, target, generation, signal } = context;
  const place = target.placeOf(spec);
  const opened = await target.openDisk(spec, { signal });
  const done = ({ kind, reason, tally }: Copied): ReplicatedDisk => ({
    diskId: disk.id,
    path: disk.path,
    place,
    kind,
    reason,
    virtualBytes: disk.size,
    allocatedBytes: disk.hostFileBytes,
    readBytes: tally.read,
    writtenBytes: tally.written,
    zeroedBytes: tally.zeroed,
    seconds: (performance.now() - started) / 1000,
  });
  if (!isHeld(replica, disk.id)) {
    open(opened);
    return { done: done(await seed(context, disk, opened)), direct: opened };
  }
  const staged = await StagedDisk.create(replica, { diskId: disk.id, generation }, opened);
  open(staged.disk);
  return { done: done(await stage(context, disk, staged)), staged };
}

/** Whether the last generation has it. */
export function isHeld({ state }: Replica, diskId: string): boolean {
  return state.generation?.disks.some((each) => each.diskId === diskId) ?? false;
}

/** All of it, over nothing or over what an earlier attempt or another copy left. */
async function seed(context: DiskContext, disk: MomentDisk, into: TargetDisk): Promise<Copied> {
  const whole = disk.kind === 'delta' ? disk.asCompare('no-baseline') : disk;
  await into.settleSize(context);
  const how = into.isNew ? 'fresh' : 'differences';
  const kind = into.isNew ? 'full' : 'compare';
  const tally = await copy(context, { disk: whole, into, how });
  await into.flush(context);
  const first = whole.reason === 'first-backup' || whole.reason === 'new-disk';
  return { kind, reason: first ? 'seed' : (whole.reason as ReplicaReason), tally };
}

/** What cannot be had as a delta is compared instead, from the same frozen disk. */
async function stage(context: DiskContext, disk: MomentDisk, { disk: into }: StagedDisk): Promise<Copied> {
  if (context.changedByOthers.has(disk.id)) return compare(context, disk, into, 'target-changed');
  if (disk.kind !== 'delta') return compare(context, disk, into, disk.reason as ReplicaReason);
  try {
    const tally = await copy(context, { disk, into, how: 'over' });
    return { kind: 'delta', reason: disk.reason as ReplicaReason, tally };
  } catch (error) {
    const reason = isFault(error) ? NO_DELTA[error.code] : undefined;
    if (reason === undefined) throw error;
    context.progress.note(
      `${disk.path}: what changed could not be told (${(error as Error).message}); comparing all of it`,
    );
    return compare(context, disk, into, reason);
  }
}

async function compare(
  context: DiskContext,
  disk: MomentDisk,
  into: RangeCopy['into'],
  reason: ReplicaReason,
): Promise<Copied> {
  const whole = disk.kind === 'delta' ? disk.asCompare('no-baseline') : disk;
  return {
    kind: 'compare',
    reason,
    tally: await copy(context, { disk: whole, into, how: 'differences' }),
  };
}

function copy(
  { progress, signal }: DiskContext,
  { disk, into, how }: { disk: MomentDisk } & Pick<RangeCopy, 'into' | 'how'>,
): Promise<RangeTally> {
  const name = disk.path.split(/[\\/]/).at(-1) ?? disk.path;
  const known = how === 'over' ? undefined : disk.hostFileBytes;
  progress.phase(`${how === 'over' ? 'delta' : how === 'fresh' ? 'full' : 'compare'} ${name}`, known);
  const advance = (bytes: number): void => progress.advance(bytes);
  return copyRanges({ source: disk.reader, extents: disk.extents, into, how, signal, advance });
}
