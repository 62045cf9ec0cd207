export type { AuditResult, DiskAudit } from './audit.ts';
export { auditBound, audited, nextAudit, type AuditBudget, type AuditMark } from './audit-sweep.ts';
export type { BaselineDisk, BaselineRecord } from './baselines.ts';
export type { ChunkReader } from './chunk-reader.ts';
export type { CollectReport, CollectRequest, PackTally } from './collector.ts';
export { repositoryFaults } from './faults.ts';
export type { FoldBudget, FoldState } from './fold.ts';
export type { IngestRequest, IngestResult, IngestStats } from './ingest.ts';
export type { Journal, JournalNote } from './journal.ts';
export type { KeySlotInfo } from './key-slots.ts';
export type { Keyring, NewSecret } from './keyring.ts';
export { holderState, Lease, type LeaseOptions } from './lease.ts';
export type { MapRoot } from './map-root.ts';
export * from './open-repository.ts';
export type {
  PointConsistency,
  PointDisk,
  PointDraft,
  PointFile,
  PointPolicy,
  PointVm,
  RestorePoint,
} from './point.ts';
export type { PointQuery } from './points.ts';
export type { Pin } from './pins.ts';
export {
  MIN_GOOD_DEFAULT,
  RETENTION_RULES,
  isEmpty as isEmptyPolicy,
  retain,
  type KeepReason,
  type RetainablePoint,
  type RetentionPolicy,
  type RetentionRule,
  type RetentionVerdict,
} from './retention.ts';
export { warningsOfReading, type ReadSession } from './read-session.ts';
export type { RebuildReport } from './rebuild-index.ts';
export type { Repository, RepositoryStatus } from './repository.ts';
export type { RestoreRequest, RestoreStats } from './restore.ts';
export type { SessionOptions, WriteSession } from './session.ts';
export type { Affected, AffectedDisk, AffectedSettings } from './losses.ts';
export type { VerifyBudget } from './sweep.ts';
export type { VerifyProblem } from './verify.ts';
export type { RepositoryReport, VerifiedState, VerifyRequest } from './verify-repository.ts';
