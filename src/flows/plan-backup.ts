/** What `backupVm` would do with a VM, found out without a lock, a checkpoint or a byte written. */
import { newGuid } from '../base/index.ts';
import type { CapturePlan, PlanningSource } from '../capture/index.ts';
import type { Repository } from '../repository/index.ts';
import type { BackupRequest } from './backup.ts';
import { baselinesOfRun } from './backup-baselines.ts';

export interface PlanDeps {
  readonly source: PlanningSource;
  readonly repository: Repository;
}

/** `request.vm` is a GUID. */
export async function planVm({ source, repository }: PlanDeps, request: BackupRequest): Promise<CapturePlan> {
  const { capture } = await baselinesOfRun(repository, request, newGuid());
  return source.plan(capture);
}
