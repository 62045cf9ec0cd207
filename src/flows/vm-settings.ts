/** The settings of a VM as its restore point has them. */
import { isFault, warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Repository, RestorePoint } from '../repository/index.ts';
import { flowFaults } from './faults.ts';

/** Damage to a few KiB of settings must not keep anybody from the disks: it becomes a warning. */
export async function readSettings(
  repository: Repository,
  point: RestorePoint,
  options: CallOptions,
): Promise<Uint8Array | Warning> {
  try {
    return await repository.readBlob(point.vm.configuration, options);
  } catch (error) {
    if (!isFault(error) || error.kind !== 'corrupt') throw error;
    return warningOf(flowFaults.settingsLost({ reason: error.message }, { cause: error }));
  }
}
