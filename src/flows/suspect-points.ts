/**
 * Restore points that may lack changes: an audit found that the host had not reported some, and nothing tells since when.
 *
 *   full ── delta ── delta (audited there) ── delta ── delta ── now: mismatch
 *                                             suspect  suspect
 *
 * Whatever was read whole is right, and so is a range at the last audit that looked at it; every increment since then may have
 * taken the lost change over from its parent. The restore point of the run that found it is right again, and names them.
 */
import type { CallOptions } from '../disk/index.ts';
import { audited, type AuditResult, type Repository, type RestorePoint } from '../repository/index.ts';
import { readablePoints, type EarlierDisk } from './earlier-content.ts';

/**
 * Ids of the increments since the last good audit of the ranges that differ, newest first. `points` are those of the VM, newest
 * first; one without a parent, as older versions made them, counts as made over the one before it.
 */
export function suspectsSince(
  base: EarlierDisk,
  { mark, positions }: Pick<AuditResult, 'mark' | 'positions'>,
  points: readonly RestorePoint[],
): string[] {
  const suspects: string[] = [];
  let open = [...positions];
  let index = points.findIndex((each) => each.id === base.point.id);
  for (let point = points[index]; point && open.length > 0; point = points[index]) {
    const disk = point.disks.find((each) => each.diskId === base.disk.diskId);
    if (disk && disk.kind !== 'delta') break;
    open = open.filter((position) => !audited(disk?.audit, mark, position));
    if (disk && open.length > 0) suspects.push(point.id);
    const { parent } = point;
    const parentIndex = points.findIndex((each) => each.id === parent);
    index = parentIndex < 0 ? index + 1 : parentIndex;
  }
  return suspects;
}

/** What the disk's new restore point has to name: what was found now, and what earlier ones named and still exists. */
export async function suspectsToName(
  repository: Repository,
  vmId: string,
  disk: { readonly base: EarlierDisk | undefined; readonly audit: AuditResult | undefined },
  options: CallOptions,
): Promise<{ found: string[]; all: string[] }> {
  const { base, audit } = disk;
  const named = base?.disk.suspectPoints ?? [];
  const isFound = audit !== undefined && audit.mismatches.length > 0;
  if (!base || (named.length === 0 && !isFound)) return { found: [], all: [] };
  const points = await Array.fromAsync(readablePoints(repository, vmId, options));
  const found = isFound ? suspectsSince(base, audit, points) : [];
  const existing = named.filter((id) => points.some((point) => point.id === id));
  return { found, all: [...new Set([...found, ...existing])] };
}

/** What later points say of one: which of its disks may lack changes, and which audit found that. */
export interface Suspicion {
  readonly diskIds: ReadonlySet<string>;
  /** The restore point whose run found it, and which is right again. */
  readonly alarm: string;
}

/** Which restore points are suspect, as a listing goes by: a point is only named by later ones of its VM. */
export class SuspectPoints {
  readonly #disks = new Map<string, { readonly diskIds: Set<string>; alarm: string }>();

  /** What is said of `point`; undefined: nothing. Points of a VM come newest first. */
  of(point: RestorePoint): Suspicion | undefined {
    for (const { diskId, suspectPoints = [] } of point.disks) {
      for (const id of suspectPoints) {
        const known = this.#disks.get(id) ?? { diskIds: new Set(), alarm: point.id };
        known.diskIds.add(diskId);
        // Names are carried on from point to point: the oldest that has one is whose audit found it.
        known.alarm = point.id;
        this.#disks.set(id, known);
      }
    }
    return this.#disks.get(point.id);
  }
}
