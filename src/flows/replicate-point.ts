/**
 * A restore point as the next generation of a replica.
 *
 *   the target holds a restore point of this repository ─► the maps of both say what differs: that is read, and nothing else
 *   it holds anything else                              ─► all of the point is compared with what is there
 *
 * Maps name content, so what is equal in both was never touched, and the cost grows with the difference. The replica's own mark on
 * the host says nothing about what comes from elsewhere, and is given up.
 */
import { isFault, type Progress, type Warning, warningOf } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import type { VmConfiguration } from '../hyperv/index.ts';
import {
  warningsOfReading,
  type ChunkReader,
  type PointDisk,
  type Repository,
  type RestorePoint,
} from '../repository/index.ts';
import type { Target } from '../targets/index.ts';
import {
  commitMoment,
  finishGeneration,
  type Committed,
  type FinishOptions,
  type Moment,
} from './replicate-commit.ts';
import { flowFaults } from './faults.ts';
import { attachmentOfPoint } from './point-attachment.ts';
import { replicaFaults } from './replicate-faults.ts';
import type { Replica } from './replicate-state.ts';
import type { SeedOver } from './replicate-target.ts';
import { readSettings } from './vm-settings.ts';

export interface PointRequest extends FinishOptions {
  readonly over?: SeedOver | undefined;
  readonly progress?: Progress | undefined;
  /** Threads that decode what is read whole; default: one a processor. 0: none. */
  readonly workers?: number | undefined;
}

/**
 * Brings the point to the target. Throws `REPLICA_OTHER_VM`, `REPO_POINT_NOT_FOUND`, `REPO_POINT_DROPPED`, and any `TARGET_` fault;
 * the last complete generation stays. What is damaged in the point is thrown as well: no part of it is brought to the target.
 */
export async function bringPoint(
  replica: Replica,
  target: Target,
  { repository, point }: { readonly repository: Repository; readonly point: RestorePoint },
  request: PointRequest,
): Promise<Committed> {
  const { vm } = replica.state;
  if (point.vm.id.toLowerCase() !== vm.id.toLowerCase())
    throw replicaFaults.otherVm({ point: point.id, vm: vm.name, other: point.vm.name });
  const made = await committedPoint(replica, target, { repository, point }, request);
  const finished = await finishGeneration(replica, target, made, request);
  return { ...made, warnings: [...made.warnings, ...finished] };
}

async function committedPoint(
  replica: Replica,
  target: Target,
  { repository, point }: { readonly repository: Repository; readonly point: RestorePoint },
  { signal = new AbortController().signal, over, progress, workers }: PointRequest,
): Promise<Committed> {
  // Before the point that the target holds is looked for: while it stands, nothing of either is deleted.
  await using reading = await repository.startReading(point, { signal });
  await using opened = new AsyncDisposableStack();
  try {
    const held = await heldPoint(replica, repository, { signal });
    const parts = { replica, held, opened, signal, workers };
    const { moment, warnings } = await momentOf(repository, point, parts);
    const made = await commitMoment(replica, target, moment, { over, progress, signal });
    return { ...made, warnings: [...warningsOfReading(reading), ...warnings, ...made.warnings] };
  } catch (error) {
    throw await reading.explain(error);
  }
}

/** The restore point that the target holds; undefined when it holds none, or one that is not in this repository any more. */
async function heldPoint(
  { state: { generation } }: Replica,
  repository: Repository,
  options: CallOptions,
): Promise<RestorePoint | undefined> {
  const held = generation?.point;
  if (held?.repository !== repository.id) return undefined;
  try {
    return await repository.point(held.id, options);
  } catch (error) {
    if (!isFault(error) || error.kind === 'retry' || error.kind === 'bug') throw error;
    return undefined;
  }
}

interface Reading extends CallOptions {
  readonly replica: Replica;
  readonly held: RestorePoint | undefined;
  readonly opened: AsyncDisposableStack;
  readonly workers?: number | undefined;
}

async function momentOf(
  repository: Repository,
  point: RestorePoint,
  reading: Reading,
): Promise<{ readonly moment: Moment; readonly warnings: readonly Warning[] }> {
  const { held, opened, signal, workers } = reading;
  const settings = await settingsOf(repository, point, { signal });
  const isDelta = point.disks.every(({ diskId }) => diskOf(held, diskId));
  // Threads are worth their start where a disk is read whole.
  const chunks = isDelta
    ? undefined
    : opened.use(repository.chunkReader(workers === undefined ? {} : { workers }));
  const disks = point.disks.map((disk) =>
    momentDisk(
      { repository, ...reading },
      disk,
      attachmentOfPoint(disk, settings.configuration)?.attachmentId ?? disk.diskId,
      chunks,
    ),
  );
  const { generation } = point.vm;
  const about = { repository: repository.id, id: point.id };
  return {
    moment: {
      disks,
      generation: {
        time: point.created,
        runId: point.runId,
        consistency: consistencyOf(point),
        settings: {
          ...(generation === undefined ? {} : { generation }),
          configuration: settings.configuration,
        },
        point: about,
      },
      losesBaselines: true,
    },
    warnings: settings.warnings,
  };
}

function consistencyOf({ consistency }: RestorePoint): Moment['generation']['consistency'] {
  const { asked, reached, truncatedLogs } = consistency;
  return { asked, reached, ...(truncatedLogs ? { truncatedLogs } : {}) };
}

function diskOf(point: RestorePoint | undefined, id: string): PointDisk | undefined {
  return point?.disks.find(({ diskId }) => diskId === id);
}

type MomentDisk = Moment['disks'][number];

function momentDisk(
  { repository, replica, held, opened, signal }: Reading & { readonly repository: Repository },
  disk: PointDisk,
  attachmentId: string,
  chunks: ChunkReader | undefined,
): MomentDisk {
  const { diskId, root, size, path, logicalSectorSize, physicalSectorSize } = disk;
  const order = { order: 'ascending', logicalSectorSize, ...(chunks ? { chunks } : {}) } as const;
  const reader = repository.openDisk(root, size, order);
  opened.defer(() => reader.close());
  const facts = {
    id: diskId,
    attachmentId,
    attachment: disk.attachment as NonNullable<MomentDisk['attachment']>,
    path,
    size,
    logicalSectorSize,
    physicalSectorSize,
    hostFileBytes: disk.hostFileBytes ?? size,
    reader,
  };
  const asCompare: MomentDisk['asCompare'] = (reason) => ({
    ...facts,
    kind: 'compare',
    reason,
    extents: reader.allocated(undefined, { signal }),
    asCompare,
  });
  const before = diskOf(held, diskId);
  const isHeld = replica.state.generation?.disks.some((each) => each.diskId === diskId) ?? false;
  if (!before || !isHeld) {
    const reason = isHeld ? 'no-restore-point' : 'seed';
    return { ...asCompare('no-baseline'), ...facts, asCompare, reason };
  }
  const extents = differences(repository, { before, after: disk, point: held!.id });
  return { ...facts, kind: 'delta', reason: 'changes-since-restore-point', extents, asCompare };
}

/** Damage to a map costs the difference, not the content: the disk is compared then. Throws `REPLICA_MAP_UNREADABLE`. */
async function* differences(
  repository: Repository,
  { before, after, point }: { before: PointDisk; after: PointDisk; point: string },
): AsyncGenerator<Extent> {
  try {
    yield* repository.changes(before.root, after.root, after.size);
  } catch (error) {
    if (!isFault(error) || error.kind !== 'corrupt') throw error;
    const { message: reason } = error;
    throw replicaFaults.mapUnreadable({ disk: after.path, point, reason }, { cause: error });
  }
}

interface Settings {
  readonly configuration: Partial<VmConfiguration>;
  readonly warnings: readonly Warning[];
}

/** Lost settings cost a machine that starts from the replica its shape, and the disks nothing. */
async function settingsOf(
  repository: Repository,
  point: RestorePoint,
  options: CallOptions,
): Promise<Settings> {
  const bytes = await readSettings(repository, point, options);
  if (!(bytes instanceof Uint8Array)) return { configuration: {}, warnings: [bytes] };
  try {
    return {
      configuration: JSON.parse(Buffer.from(bytes).toString()) as Partial<VmConfiguration>,
      warnings: [],
    };
  } catch (error) {
    const reason = (error as Error).message;
    return { configuration: {}, warnings: [warningOf(flowFaults.settingsLost({ reason }))] };
  }
}
