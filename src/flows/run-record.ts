/**
 * The run record: the one truth for exit code, JSON, table and, later, API and mail. Every number has its own name;
 * all are bytes unless the name says otherwise.
 */
import type { Warning } from '../base/index.ts';
import type {
  CapturedConsistency,
  CompareReason,
  DeltaReason,
  FullReason,
  LeftOutDisk,
} from '../capture/index.ts';

export interface BackupRecord {
  readonly type: 'backup';
  readonly runId: string;
  readonly vm: { readonly id: string; readonly name: string; readonly host: string };
  /** Whose baseline this run used and renewed; absent: the repository's unnamed consumer. */
  readonly consumer?: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** `warnings`: the restore point is good, something else needs attention. */
  readonly outcome: 'ok' | 'warnings';
  readonly pointId: string;
  readonly consistency: CapturedConsistency;
  readonly disks: readonly DiskBackupRecord[];
  /** Disks of the VM that are not in the restore point. */
  readonly leftOut: readonly LeftOutDisk[];
  readonly warnings: readonly Warning[];
}

export interface DiskBackupRecord {
  readonly diskId: string;
  readonly path: string;
  readonly kind: 'full' | 'compare' | 'delta';
  readonly reason: FullReason | CompareReason | DeltaReason;
  /** Size of the virtual disk. */
  readonly virtualBytes: number;
  /** Size of the host files that hold it. */
  readonly allocatedBytes: number;
  /** Read from the host, the audit not counted. */
  readonly readBytes: number;
  /** Content that differs from the previous restore point. */
  readonly changedBytes: number;
  /** Content the repository did not have yet, before compression. */
  readonly newBytes: number;
  /** Written to the repository for this disk, compressed and sealed. */
  readonly storedBytes: number;
  /** Slots of many pieces that were stored whole, and what of that had not changed; absent: none. */
  readonly folded?: { readonly slots: number; readonly bytes: number };
  /** Of an increment, unless it was switched off. */
  readonly audit?: DiskAuditRecord;
  readonly seconds: number;
}

/** The comparison of ranges that the host did not report with what the repository has. */
export interface DiskAuditRecord {
  /** Read from the host for it. */
  readonly readBytes: number;
  /** Compared; what is allocated nowhere is not read. */
  readonly comparedBytes: number;
  /** Had changed without a report: other than 0 is an alarm. */
  readonly mismatchBytes: number;
  /** After so many increments every byte of the disk was compared. */
  readonly withinRuns: number;
  /** Restore points that may lack changes of this disk, as this run found out. */
  readonly suspectPoints: readonly string[];
}

export interface RestoreRecord {
  readonly type: 'restore';
  readonly pointId: string;
  readonly vm: { readonly id: string; readonly name: string };
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly disks: readonly DiskRestoreRecord[];
  readonly warnings: readonly Warning[];
}

export interface DiskRestoreRecord {
  readonly diskId: string;
  readonly path: string;
  readonly format: string;
  readonly virtualBytes: number;
  /** Written to the image; the rest of the disk is zeros and stays sparse. */
  readonly writtenBytes: number;
  readonly seconds: number;
}
