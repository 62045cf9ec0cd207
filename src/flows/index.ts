export * from './backup.ts';
export * from './backup-many.ts';
export * from './check-disk.ts';
export * from './compare-disks.ts';
export * from './convert-disk.ts';
export { CUTOVER_VERIFIES, type CutoverChoices } from './cutover-choices.ts';
export { openOtherSide } from './cutover-connect.ts';
export { cutoverFaults } from './cutover-faults.ts';
export type { CutoverPlan } from './cutover-plan.ts';
export type { CutoverRecord } from './cutover-record.ts';
export { readCutover, refuseOpenCutover, type CutoverState, type CutoverStep } from './cutover-state.ts';
export { cutOver, planOfCutover, type CutoverConnect } from './cutover.ts';
export * from './disk-info.ts';
export * from './disk-map.ts';
export * from './explain-point.ts';
export { failBack, type FailbackRecord } from './failback.ts';
export { foldPoints, type FoldedDisk, type FoldedPoint, type FoldRecord } from './fold-points.ts';
export * from './hash-disk.ts';
export * from './janitor.ts';
export type { CheckpointState, FoundCheckpoint } from './janitor-leftovers.ts';
export type { JanitorReplicas, JanitorRepository } from './janitor-owners.ts';
export * from './limits.ts';
export type { FoundBy, LocalDiskFile, LocalDiskOptions } from './local-disk.ts';
export * from './plan-backup.ts';
export { machineOfPoint, MACHINE_KINDS, type MachineRequest, type PointMachine } from './machine-of-point.ts';
export { chosenDisks } from './point-disks.ts';
export * from './point-stream.ts';
export { pointWarnings, suspectWarningsOfAll } from './point-warnings.ts';
export { changesSince, enableRct, resetRct, type ResetOptions } from './rct.ts';
export { prunePoints, type PrunePoint, type PruneRecord, type VmRetention } from './prune.ts';
export * from './reference-point-ledger.ts';
export type { PipeFormat, RestoreFormat } from './restore-formats.ts';
export { clearRehearsal, endKeptRehearsal } from './rehearsal-end.ts';
export {
  readNote,
  readRehearsals,
  rehearsalState,
  type RehearsalNote,
  type RehearsalRecord,
} from './rehearsal-note.ts';
export type { RehearseRequest } from './rehearsal-begin.ts';
export { rehearse, type RehearsalRun } from './rehearse.ts';
export { ReplicaClone, type ReplicaCloneRequest } from './replica-clone.ts';
export { rollReplica, type RollRecord, type RollTo } from './replicate-roll.ts';
export { replicateVia } from './replicate-via.ts';
export { replicateVm, type ReplicateDeps, type ReplicateRecord, type ReplicateRequest } from './replicate.ts';
export type { ReplicatedDisk, ReplicaReason } from './replicate-disk.ts';
export { noteRemoved, removedReplicas } from './removed-replicas.ts';
export {
  findReplica,
  findReplicas,
  marksOf,
  Replica,
  replicaId,
  type FoundReplica,
  type ReplicaState,
} from './replicate-state.ts';
export { settleTarget, type SeedDisk, type SeedOver } from './replicate-target.ts';
export * from './restore.ts';
export * from './run-record.ts';
export * from './selection.ts';
export * from './serve-point.ts';
export { simulatePolicy, type SimulatedMonth, type Simulation } from './simulate-policy.ts';
export { SuspectPoints } from './suspect-points.ts';
export * from './vm-policy.ts';
export { readSettings } from './vm-settings.ts';
