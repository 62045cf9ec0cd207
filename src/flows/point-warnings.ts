/** What must be known before anybody relies on a restore point: an audit threw doubt on it, or it is not the whole VM. */
import { warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Repository, RestorePoint } from '../repository/index.ts';
import { readablePoints } from './earlier-content.ts';
import { flowFaults } from './faults.ts';
import { SuspectPoints, type Suspicion } from './suspect-points.ts';

export interface UseOfPoint {
  readonly point: RestorePoint;
  /** Ids of the disks that are used; all when left out. */
  readonly diskIds?: readonly string[];
}

/** Reads the manifests of the VM's later points. */
export async function pointWarnings(
  repository: Repository,
  { point, diskIds }: UseOfPoint,
  options: CallOptions,
): Promise<Warning[]> {
  const suspicion = await suspicionOf(repository, point, options);
  return [
    ...(suspicion ? suspectWarnings(point, suspicion, diskIds) : []),
    ...(diskIds ? [] : leftOutWarnings(point)),
  ];
}

/** Of every restore point there is, for a look at the whole repository. */
export async function suspectWarningsOfAll(repository: Repository, options: CallOptions): Promise<Warning[]> {
  const suspects = new SuspectPoints();
  const warnings: Warning[] = [];
  for await (const point of readablePoints(repository, undefined, options)) {
    const suspicion = suspects.of(point);
    if (suspicion) warnings.push(...suspectWarnings(point, suspicion));
  }
  return warnings;
}

async function suspicionOf(
  repository: Repository,
  point: RestorePoint,
  options: CallOptions,
): Promise<Suspicion | undefined> {
  const suspects = new SuspectPoints();
  for await (const each of readablePoints(repository, point.vm.id, options)) {
    const suspicion = suspects.of(each);
    if (each.id === point.id) return suspicion;
  }
  return undefined;
}

function suspectWarnings(
  point: RestorePoint,
  { diskIds, alarm }: Suspicion,
  used?: readonly string[],
): Warning[] {
  const numbers = point.disks.flatMap(({ diskId }, index) =>
    diskIds.has(diskId) && (used?.includes(diskId) ?? true) ? [index + 1] : [],
  );
  if (numbers.length === 0) return [];
  return [warningOf(flowFaults.pointSuspect({ point: point.id, disks: numbers.join(', '), alarm }))];
}

function leftOutWarnings({ id, leftOut = [] }: RestorePoint): Warning[] {
  if (leftOut.length === 0) return [];
  const disks = leftOut.map(({ path }) => path).join(', ');
  return [warningOf(flowFaults.leftOutDisks({ point: id, disks }))];
}
