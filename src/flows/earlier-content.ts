/**
 * What the repository holds of a disk from before: the map that a delta is laid over, or the one that a compare starts from.
 *
 * A delta belongs to one restore point and no other, the one whose reference point the changes were asked against. A compare
 * may start from any: the nearer, the less differs.
 */
import { isFault } from '../base/index.ts';
import type { CapturedDisk } from '../capture/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { BaselineRecord, PointDisk, Repository, RestorePoint } from '../repository/index.ts';

export interface ReadableBaseline {
  readonly record: BaselineRecord;
  readonly point: RestorePoint;
}

/** A disk of an earlier restore point. */
export interface EarlierDisk {
  readonly point: RestorePoint;
  readonly disk: PointDisk;
}

/** A disk that was left out for longer than so many restore points is read as one never seen: a full. */
const LOOK_BACK_POINTS = 32;

/** The restore point of the very baseline the changes were asked against. */
export function baseOfDelta(
  disk: CapturedDisk,
  baselines: readonly ReadableBaseline[],
): EarlierDisk | undefined {
  const { referencePointId } = disk.baseline!;
  const found = baselines.find((each) => each.record.referencePointId === referencePointId);
  const known = found?.point.disks.find((each) => each.diskId === disk.id);
  return found && known && { point: found.point, disk: known };
}

/** The newest restore points of the VM that can be read. */
export async function recentPoints(
  repository: Repository,
  vmId: string,
  options: CallOptions,
): Promise<RestorePoint[]> {
  const points: RestorePoint[] = [];
  for await (const point of readablePoints(repository, vmId, options)) {
    points.push(point);
    if (points.length >= LOOK_BACK_POINTS) break;
  }
  return points;
}

/** Newest first, of one VM or of all. What is damaged is left out: it cannot be built upon, and verify tells of it. */
export async function* readablePoints(
  repository: Repository,
  vmId: string | undefined,
  { signal }: CallOptions,
): AsyncGenerator<RestorePoint> {
  try {
    yield* repository.points({ ...(vmId === undefined ? {} : { vmId }), signal });
  } catch (error) {
    if (!isFault(error) || error.kind !== 'corrupt') throw error;
  }
}

/**
 * The newest that has the disk; else the disk that was in its slot and is not in the VM any more: one that was converted or
 * brought back from a backup has another identity and nearly the same content.
 */
export function baseOfCompare(
  disk: CapturedDisk,
  points: readonly RestorePoint[],
  present: readonly CapturedDisk[],
): EarlierDisk | undefined {
  for (const point of points) {
    const known = point.disks.find((each) => each.diskId === disk.id);
    if (known) return { point, disk: known };
  }
  const [newest] = points;
  const replaced = newest?.disks.find(
    (each) => isSameSlot(each, disk) && !present.some(({ id }) => id === each.diskId),
  );
  return newest && replaced && { point: newest, disk: replaced };
}

function isSameSlot({ attachment }: PointDisk, disk: CapturedDisk): boolean {
  const before = attachment as Partial<CapturedDisk['attachment']>;
  const { controller, controllerNumber, slot } = disk.attachment;
  return (
    before.controller === controller && before.controllerNumber === controllerNumber && before.slot === slot
  );
}
