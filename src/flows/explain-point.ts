/**
 * Why an increment is as large as it is: what changed since the restore point before, by partition and area of the file system.
 *
 *   maps of both points ─► ranges that differ (64 KiB grid) ─► by area ─► beside the median of the ten points before
 *                                 └─► content of both, compared ─► what was written (4 KiB), what was over-reported
 *
 * The cost grows with the changes: pages of the maps that differ, the changed content of this point, and of the ten points
 * before only their pages. Areas are those of this point; they rarely move.
 */
import { MiB, silentProgress, type Progress } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import { piecesOf, type Extent } from '../extents/index.ts';
import type { PointDisk, Repository, RestorePoint } from '../repository/index.ts';
import { ChangeTally, median, type AreaKey, type Region } from './change-tally.ts';
import { DiskAreas } from './disk-areas.ts';

export interface ExplainRequest extends CallOptions {
  readonly point: RestorePoint;
  readonly progress?: Progress;
}

/** All sizes are bytes. */
export interface PointExplanation {
  readonly pointId: string;
  readonly disks: readonly DiskExplanation[];
}

export interface DiskExplanation {
  readonly diskId: string;
  readonly path: string;
  /** The restore point it is compared with; absent: there is none with this disk, so all that it holds is new. */
  readonly comparedWith?: string;
  /** Read from the host because it was reported as changed, or because all was read. */
  readonly reportedBytes?: number;
  /** In cells of 64 KiB that were stored anew. */
  readonly changedBytes: number;
  /** In blocks of 4 KiB whose content differs. */
  readonly writtenBytes?: number;
  /** Reported, and the whole cell of 64 KiB is as it was. */
  readonly overReportedBytes?: number;
  /** Median of `changedBytes` of the points before. */
  readonly usualBytes?: number;
  /** How many points that is the median of, at most 10. */
  readonly usualOf: number;
  readonly partitionTable: 'gpt' | 'mbr' | 'none';
  /** Those with changes. */
  readonly volumes: readonly VolumeExplanation[];
  /** Largest first. */
  readonly areas: readonly AreaExplanation[];
  /** Ranges without a gap, largest first, at most 10. */
  readonly regions: readonly Region[];
}

export interface VolumeExplanation {
  readonly partition?: number;
  /** Of the partition. */
  readonly name?: string;
  readonly fileSystem: string;
  readonly label: string;
  /** Why its areas are not known: only regions are. */
  readonly unreadable?: string;
  /** Areas that could not be located; their changes count as `files`. */
  readonly missing: readonly string[];
}

export interface AreaExplanation extends AreaKey {
  readonly changedBytes: number;
  readonly writtenBytes?: number;
  readonly usualBytes?: number;
}

const HISTORY_POINTS = 10;
const CELL_BYTES = 64 * 1024;
const BLOCK_BYTES = 4096;

/** Throws what reading the repository throws; what the guest wrote never makes it fail. */
export async function explainPoint(
  repository: Repository,
  request: ExplainRequest,
): Promise<PointExplanation> {
  const { point, signal } = request;
  await using _reading = await repository.startReading(point, request); // not registered: what is dropped meanwhile fails it
  const older = await olderPoints(repository, point, signal);
  const disks: DiskExplanation[] = [];
  for (const disk of point.disks) disks.push(await explainDisk(repository, disk, older, request));
  return { pointId: point.id, disks };
}

/** The point, then those before it, newest first: the point compared with the last of the ten is needed too. */
async function olderPoints(
  repository: Repository,
  point: RestorePoint,
  signal: AbortSignal | undefined,
): Promise<RestorePoint[]> {
  const points: RestorePoint[] = [];
  const own: string[] = [];
  for await (const each of repository.points({ vmId: point.vm.id, signal })) {
    if (points.length === 0 && each.id !== point.id) continue;
    points.push(each);
    if (each.consumer === point.consumer) own.push(each.id);
    if (own.length > HISTORY_POINTS + 1) break;
  }
  return points;
}

async function explainDisk(
  repository: Repository,
  disk: PointDisk,
  points: readonly RestorePoint[],
  { progress = silentProgress, signal }: ExplainRequest,
): Promise<DiskExplanation> {
  await using parts = new AsyncDisposableStack();
  const reader = opened(repository, disk, parts);
  const areas = await DiskAreas.open(reader, { signal });
  const before = earlier(points, 0, disk.diskId);
  progress.phase(`explain ${disk.path}`);
  const changed = await tallyOf(repository, areas, {
    before: before?.disk,
    after: disk,
    size: disk.size,
    signal,
  });
  const written = before
    ? await compareContent(areas, {
        after: reader,
        before: opened(repository, before.disk, parts),
        changes: repository.changes(before.disk.root, disk.root, disk.size),
        progress,
        signal,
      })
    : undefined;
  const history = await historyOf(repository, areas, disk, points, signal);
  return {
    diskId: disk.diskId,
    path: disk.path,
    ...(before ? { comparedWith: before.point.id } : {}),
    ...figures(disk, changed, written),
    ...usual(history.map(({ totalBytes }) => totalBytes)),
    usualOf: history.length,
    partitionTable: areas.table.kind,
    volumes: volumesOf(areas),
    areas: areasOf(changed, written?.tally, history),
    regions: changed.regions(),
  };
}

function opened(repository: Repository, disk: PointDisk, parts: AsyncDisposableStack): Disk {
  const reader = repository.openDisk(disk.root, disk.size, disk);
  parts.defer(() => reader.close());
  return reader;
}

/** The disk in the point that the one at `index` was made over, or else in the next older one of the same consumer, or of any. */
function earlier(
  points: readonly RestorePoint[],
  index: number,
  diskId: string,
): { readonly point: RestorePoint; readonly disk: PointDisk } | undefined {
  const { parent, consumer } = points[index]!;
  const older = points.slice(index + 1).flatMap((point) => {
    const disk = point.disks.find((each) => each.diskId === diskId);
    return disk ? [{ point, disk }] : [];
  });
  return (
    older.find(({ point }) => point.id === parent) ??
    older.find(({ point }) => point.consumer === consumer) ??
    older[0]
  );
}

interface Step extends CallOptions {
  readonly before: PointDisk | undefined;
  readonly after: PointDisk;
  /** Of the disk whose areas are known. */
  readonly size: number;
}

async function tallyOf(repository: Repository, areas: DiskAreas, step: Step): Promise<ChangeTally> {
  const tally = new ChangeTally();
  const size = Math.min(step.size, step.after.size);
  for await (const extent of repository.changes(step.before?.root, step.after.root, size)) {
    step.signal?.throwIfAborted();
    await tally.add(areas, extent);
  }
  return tally;
}

/** One tally a point of the same consumer before this one, as far as each has one to be compared with. */
async function historyOf(
  repository: Repository,
  areas: DiskAreas,
  disk: PointDisk,
  points: readonly RestorePoint[],
  signal: AbortSignal | undefined,
): Promise<ChangeTally[]> {
  const tallies: ChangeTally[] = [];
  for (let index = 1; index < points.length && tallies.length < HISTORY_POINTS; index += 1) {
    const point = points[index]!;
    const after = point.disks.find((each) => each.diskId === disk.diskId);
    const before = earlier(points, index, disk.diskId)?.disk;
    if (point.consumer !== points[0]!.consumer || !after || !before) continue;
    tallies.push(await tallyOf(repository, areas, { before, after, size: disk.size, signal }));
  }
  return tallies;
}

interface Comparison extends CallOptions {
  readonly before: Disk;
  readonly after: Disk;
  readonly changes: AsyncIterable<Extent>;
  readonly progress: Progress;
}

interface Written {
  readonly tally: ChangeTally;
  /** In cells of 64 KiB that differ anywhere. */
  readonly cellBytes: number;
}

async function compareContent(
  areas: DiskAreas,
  { before, after, changes, progress, signal }: Comparison,
): Promise<Written> {
  const tally = new ChangeTally();
  let cellBytes = 0;
  for await (const piece of piecesOf(changes, MiB)) {
    signal?.throwIfAborted();
    const [old, now] = [await bytesAt(before, piece, signal), await bytesAt(after, piece, signal)];
    for (const { offset, length } of differing(old, now, BLOCK_BYTES))
      await tally.add(areas, { offset: piece.offset + offset, length });
    for (const { length } of differing(old, now, CELL_BYTES)) cellBytes += length;
    progress.advance(piece.length);
  }
  return { tally, cellBytes };
}

/** Of a disk that was smaller, what lies behind its end was zeros. */
async function bytesAt(
  disk: Disk,
  { offset, length }: Extent,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const there = Math.min(length, Math.max(0, disk.size - offset));
  if (there > 0) await disk.read(offset, bytes.subarray(0, there), { signal });
  return bytes;
}

/** Blocks that differ, neighbours joined. */
function* differing(a: Buffer, b: Buffer, blockBytes: number): Generator<Extent> {
  let open: { offset: number; length: number } | undefined;
  for (let at = 0; at < a.length; at += blockBytes) {
    const end = Math.min(a.length, at + blockBytes);
    const same = a.compare(b, at, end, at, end) === 0;
    if (same && open) yield open;
    open = same ? undefined : { offset: open?.offset ?? at, length: end - (open?.offset ?? at) };
  }
  if (open) yield open;
}

function figures(
  disk: PointDisk,
  changed: ChangeTally,
  written: Written | undefined,
): Pick<DiskExplanation, 'reportedBytes' | 'changedBytes' | 'writtenBytes' | 'overReportedBytes'> {
  const reported = disk.stats?.readBytes;
  return {
    ...(reported === undefined ? {} : { reportedBytes: reported }),
    changedBytes: changed.totalBytes,
    ...(written ? { writtenBytes: written.tally.totalBytes } : {}),
    ...(written && reported !== undefined && disk.kind === 'delta'
      ? { overReportedBytes: Math.max(0, reported - written.cellBytes) }
      : {}),
  };
}

function usual(values: readonly number[]): { usualBytes?: number } {
  const middle = median(values);
  return middle === undefined ? {} : { usualBytes: middle };
}

function areasOf(
  changed: ChangeTally,
  written: ChangeTally | undefined,
  history: readonly ChangeTally[],
): AreaExplanation[] {
  return changed.areas().map(({ bytes, ...key }) => ({
    ...key,
    changedBytes: bytes,
    ...(written ? { writtenBytes: written.bytesOf(key) } : {}),
    ...usual(history.map((tally) => tally.bytesOf(key))),
  }));
}

function volumesOf(areas: DiskAreas): VolumeExplanation[] {
  return areas.volumes.map(({ partition, fileSystem, label, unreadable, map }) => ({
    ...(partition ? { partition: partition.number, name: partition.name } : {}),
    fileSystem,
    label,
    ...(unreadable === undefined ? {} : { unreadable }),
    missing: map?.missing ?? [],
  }));
}
