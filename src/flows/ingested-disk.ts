/** A disk that is in the repository, and what is said about it: in the run record, and in the manifest of its restore point. */
import type { Warning } from '../base/index.ts';
import type { CapturedDisk } from '../capture/index.ts';
import {
  auditBound,
  type AuditMark,
  type AuditResult,
  type IngestStats,
  type PointDisk,
} from '../repository/index.ts';
import type { EarlierDisk } from './earlier-content.ts';
import type { DiskBackupRecord } from './run-record.ts';

export interface Ingested {
  readonly disk: CapturedDisk;
  readonly base: EarlierDisk | undefined;
  readonly root: PointDisk['root'];
  readonly stats: IngestStats;
  readonly readBytes: number;
  readonly mark?: AuditMark | undefined;
  readonly audit?: AuditResult | undefined;
  readonly warnings?: readonly Warning[];
}

/** A delta that was not believed, and the compare that was made instead: the content of the second, the cost of both. */
export function together(delta: Ingested, compared: Ingested): Ingested {
  const { stats } = compared;
  return {
    ...compared,
    readBytes: delta.readBytes + compared.readBytes,
    stats: {
      ...stats,
      newRawBytes: delta.stats.newRawBytes + stats.newRawBytes,
      newStoredBytes: delta.stats.newStoredBytes + stats.newStoredBytes,
      newChunks: delta.stats.newChunks + stats.newChunks,
    },
  };
}

export function recordOf(
  { disk, stats, readBytes, audit }: Ingested,
  suspects: string[],
  seconds: number,
): DiskBackupRecord {
  return {
    diskId: disk.id,
    path: disk.path,
    kind: disk.kind,
    reason: disk.reason,
    virtualBytes: disk.size,
    allocatedBytes: disk.hostFileBytes,
    readBytes,
    changedBytes: stats.changedBytes,
    newBytes: stats.newRawBytes,
    storedBytes: stats.newStoredBytes,
    ...(stats.foldedSlots > 0 ? { folded: { slots: stats.foldedSlots, bytes: stats.foldedBytes } } : {}),
    ...auditRecord(audit, suspects),
    seconds,
  };
}

function auditRecord(
  audit: AuditResult | undefined,
  suspectPoints: string[],
): Pick<DiskBackupRecord, 'audit'> {
  const withinRuns = audit && auditBound(audit.mark);
  if (!audit || withinRuns === undefined) return {};
  const { comparedBytes, mismatchBytes } = audit.mark;
  return { audit: { readBytes: audit.readBytes, comparedBytes, mismatchBytes, withinRuns, suspectPoints } };
}

export function draftOf({ disk, root, stats, mark }: Ingested, suspectPoints: string[]): PointDisk {
  return {
    diskId: disk.id,
    attachment: disk.attachment,
    path: disk.chain.at(-1) ?? disk.path,
    size: disk.size,
    logicalSectorSize: disk.logicalSectorSize,
    physicalSectorSize: disk.physicalSectorSize,
    format: disk.format,
    root,
    kind: disk.kind,
    reason: disk.reason,
    ...(mark ? { audit: mark } : {}),
    ...(suspectPoints.length > 0 ? { suspectPoints } : {}),
    hostFileBytes: disk.hostFileBytes,
    stats,
  };
}
