/**
 * One disk of a capture into its replica.
 *
 *   in the last generation   ─► staging over what the target has: changed ranges of a delta, differences of a compare
 *   not in it yet            ─► straight onto the target: nothing counts on it before the generation is committed
 */
import { hasCode, type Progress } from '../base/index.ts';
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
  | 'target-changed';

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
  /** Read from the host. */
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
  disk: CapturedDisk,
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
async function seed(context: DiskContext, disk: CapturedDisk, into: TargetDisk): Promise<Copied> {
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
async function stage(context: DiskContext, disk: CapturedDisk, { disk: into }: StagedDisk): Promise<Copied> {
  if (context.changedByOthers.has(disk.id)) return compare(context, disk, into, 'target-changed');
  if (disk.kind !== 'delta') return compare(context, disk, into, disk.reason as CompareReason);
  try {
    const tally = await copy(context, { disk, into, how: 'over' });
    return { kind: 'delta', reason: 'changes-since-reference-point', tally };
  } catch (error) {
    if (!hasCode(error, 'HYPERV_BASELINE_LOST')) throw error;
    context.progress.note(
      `${disk.path}: the host could not tell what changed (${error.message}); comparing all of it`,
    );
    return compare(context, disk, into, 'change-query-failed');
  }
}

async function compare(
  context: DiskContext,
  disk: CapturedDisk,
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
  { disk, into, how }: { disk: CapturedDisk } & Pick<RangeCopy, 'into' | 'how'>,
): Promise<RangeTally> {
  const name = disk.path.split(/[\\/]/).at(-1) ?? disk.path;
  const known = how === 'over' ? undefined : disk.hostFileBytes;
  progress.phase(`${how === 'over' ? 'delta' : how === 'fresh' ? 'full' : 'compare'} ${name}`, known);
  const advance = (bytes: number): void => progress.advance(bytes);
  return copyRanges({ source: disk.reader, extents: disk.extents, into, how, signal, advance });
}
