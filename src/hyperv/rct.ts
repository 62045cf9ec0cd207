/**
 * Change tracking by hand, for `hvlift rct` and for programs: what the plan behind this project called Enable-VMRCT,
 * Get-VMChangedBlocks and Reset-VMRCT, made of what Windows really has.
 *
 *   enableTracking   recovery checkpoint ─► reference point      the host remembers this moment
 *   changedBlocks    recovery checkpoint ─► ask per disk         the checkpoint is the frozen end of the interval
 *   resetTracking    reference points destroyed                  nobody can ask for changes since them any more
 */
import type { CallOptions } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import { sameId } from './created-elements.ts';
import type { AttachedDisk } from './disks.ts';
import { hypervFaults } from './faults.ts';
import type { HyperV, OnVm } from './hyperv.ts';
import type { RecoveryCheckpointOptions } from './recovery-checkpoint.ts';
import type { ReferencePoint, TrackedDisk } from './reference-points.ts';

/** Cleaning up must work after the run was cancelled, so it never uses the run's own signal. */
const CLEAN_UP_MS_MAX = 5 * 60_000;

export interface ChangedDisk {
  readonly attachmentId: string;
  /** GUID, lower case. */
  readonly virtualDiskId?: string;
  /** The frozen file; gone when the changes are disposed of. */
  readonly path: string;
  /** Bytes of the virtual disk. */
  readonly size: number;
  /** False when the reference point does not cover the disk: then `extents` is the whole disk. */
  readonly tracked: boolean;
  /** Throws `HYPERV_BASELINE_LOST` when the host cannot tell what changed. */
  readonly extents: AsyncIterable<Extent>;
}

/** Holds a checkpoint on the host while it lives: `await using changes = await changedBlocks(...)`. */
export interface ChangedBlocks extends AsyncDisposable {
  readonly disks: readonly ChangedDisk[];
}

export async function enableTracking(
  hyperv: HyperV,
  vmId: string,
  options: RecoveryCheckpointOptions,
): Promise<ReferencePoint> {
  const checkpoint = await hyperv.createRecoveryCheckpoint(vmId, options);
  try {
    options.signal?.throwIfAborted();
    // Not by the run's own signal: a conversion cut short leaves a reference point that nobody knows to be ours.
    return await hyperv.convertToReferencePoint(checkpoint, { signal: AbortSignal.timeout(CLEAN_UP_MS_MAX) });
  } catch (error) {
    await discard(hyperv, checkpoint, error);
    throw error;
  }
}

/** Throws `HYPERV_REFERENCE_POINT_NOT_FOUND`, and what `createRecoveryCheckpoint` throws. */
export async function changedBlocks(
  hyperv: HyperV,
  vmId: string,
  referencePointId: string,
  options: RecoveryCheckpointOptions,
): Promise<ChangedBlocks> {
  const points = await hyperv.referencePoints(vmId, options);
  const since = points.find((point) => sameId(point.instanceId, referencePointId));
  if (!since) throw hypervFaults.referencePointNotFound({ referencePoint: referencePointId });
  const checkpoint = await hyperv.createRecoveryCheckpoint(vmId, options);
  try {
    const disks = await changedDisks(hyperv, checkpoint, since, options);
    return { disks, [Symbol.asyncDispose]: () => destroy(hyperv, checkpoint) };
  } catch (error) {
    await discard(hyperv, checkpoint, error);
    throw error;
  }
}

async function changedDisks(
  hyperv: HyperV,
  checkpoint: OnVm,
  since: ReferencePoint,
  options: CallOptions,
): Promise<ChangedDisk[]> {
  const tracked = await trackedIdentities(hyperv, checkpoint.vmId, since, options);
  const frozen = await hyperv.checkpointDisks(checkpoint, options);
  return Promise.all(
    frozen
      .filter((disk) => disk.kind === 'virtual')
      .map((disk) => changedDisk(hyperv, disk, tracked, options)),
  );
}

/** What a reference point knows about the disk of this identity. */
type TrackedIdentities = ReadonlyMap<string, TrackedDisk>;

/**
 * A reference point names places of attachment. Which disk is in the place now is told by the active file's identity, and
 * by that identity the frozen file is found. If the disk in the place was swapped, the host does not know the id for it.
 */
async function trackedIdentities(
  hyperv: HyperV,
  vmId: string,
  since: ReferencePoint,
  options: CallOptions,
): Promise<TrackedIdentities> {
  const identities = new Map<string, TrackedDisk>();
  for (const disk of await hyperv.disks(vmId, options)) {
    const entry = since.disks.find((tracked) => sameId(tracked.attachmentId, disk.attachmentId));
    if (!entry || disk.kind !== 'virtual') continue;
    const { virtualDiskId } = await hyperv.diskInfo(disk.path, options);
    if (virtualDiskId) identities.set(virtualDiskId, entry);
  }
  return identities;
}

async function changedDisk(
  hyperv: HyperV,
  disk: AttachedDisk,
  tracked: TrackedIdentities,
  options: CallOptions,
): Promise<ChangedDisk> {
  const { virtualDiskId, size } = await hyperv.diskInfo(disk.path, options);
  const entry = tracked.get(virtualDiskId ?? '');
  return {
    attachmentId: entry?.attachmentId ?? disk.attachmentId,
    ...(virtualDiskId ? { virtualDiskId } : {}),
    path: disk.path,
    size,
    tracked: entry !== undefined,
    extents: entry ? hyperv.changedExtents(disk.path, entry.rctId, size, options) : wholeDisk(size),
  };
}

/** Not knowing what changed means that everything may have. */
async function* wholeDisk(size: number): AsyncGenerator<Extent> {
  if (size > 0) yield { offset: 0, length: size };
}

/**
 * Destroys the given reference points of the VM and returns the ids of those that were there. They carry no owner's name,
 * so the caller must know which ones are ours; other products' stay.
 */
export async function resetTracking(
  hyperv: HyperV,
  vmId: string,
  referencePointIds: readonly string[],
  options: CallOptions = {},
): Promise<string[]> {
  const present = (await hyperv.referencePoints(vmId, options)).filter((point) =>
    referencePointIds.some((id) => sameId(id, point.instanceId)),
  );
  for (const point of present) await hyperv.destroyReferencePoint(point, options);
  return present.map((point) => point.instanceId);
}

const destroy = (hyperv: HyperV, checkpoint: OnVm): Promise<void> =>
  hyperv.destroyCheckpoint(checkpoint, { signal: AbortSignal.timeout(CLEAN_UP_MS_MAX) });

/** Removes a checkpoint after a failure; the first failure is the one to report unless the checkpoint stays. */
async function discard(hyperv: HyperV, checkpoint: OnVm, cause: unknown): Promise<void> {
  try {
    await destroy(hyperv, checkpoint);
  } catch {
    throw hypervFaults.checkpointLeft({ vm: checkpoint.vmId }, { cause });
  }
}
