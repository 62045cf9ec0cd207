/** Change tracking by hand: what `hvlift rct` does, with the ledger that says which reference points are ours. */
import { newGuid } from '../base/index.ts';
import { checkpointName } from '../capture/index.ts';
import type { CallOptions } from '../disk/index.ts';
import {
  changedBlocks,
  enableTracking,
  resetTracking,
  type ChangedBlocks,
  type HyperV,
  type ReferencePoint,
  type Vm,
} from '../hyperv/index.ts';
import type { ReferencePointLedger } from './reference-point-ledger.ts';

/** The consumer id of checkpoints made by hand; a repository's is the first 8 digits of its own id. */
export const BY_HAND = 'rct00000';

export async function enableRct(
  hyperv: HyperV,
  ledger: ReferencePointLedger,
  vm: string,
  options: CallOptions,
): Promise<{ vm: Vm; point: ReferencePoint }> {
  const found = await hyperv.vm(vm, options);
  const point = await enableTracking(hyperv.forVm(found.id), found.id, { ...asked(), ...options });
  await ledger.add(found.id, point.instanceId);
  return { vm: found, point };
}

/** Holds a checkpoint on the host until it is disposed of. */
export async function changesSince(
  hyperv: HyperV,
  vm: string,
  referencePointId: string,
  options: CallOptions,
): Promise<ChangedBlocks> {
  const found = await hyperv.vm(vm, options);
  return changedBlocks(hyperv.forVm(found.id), found.id, referencePointId, { ...asked(), ...options });
}

export interface ResetOptions extends CallOptions {
  /** Tells what would go, and changes nothing. */
  readonly dryRun?: boolean;
}

/** Destroys the reference points of the ledger, and those alone. `removed`: those the host still had. */
export async function resetRct(
  hyperv: HyperV,
  ledger: ReferencePointLedger,
  vm: string,
  options: ResetOptions,
): Promise<{ vm: Vm; removed: string[] }> {
  const found = await hyperv.vm(vm, options);
  const ours = await ledger.list(found.id, options);
  if (options.dryRun) {
    const points = await hyperv.forVm(found.id).referencePoints(found.id, options);
    const standing = points.map(({ instanceId }) => instanceId);
    return { vm: found, removed: standing.filter((id) => ours.includes(id)) };
  }
  const removed = await resetTracking(hyperv.forVm(found.id), found.id, ours, options);
  for (const id of ours) await ledger.remove(found.id, id, options);
  return { vm: found, removed };
}

/** Crash-consistent: it only marks a moment, and asks nothing of the guest. */
function asked(): { consistency: 'crash'; name: string } {
  return { consistency: 'crash', name: checkpointName(BY_HAND, newGuid()) };
}
