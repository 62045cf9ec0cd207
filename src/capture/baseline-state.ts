/** What the consumer holds of a VM, against what the host still knows of it. */
import type { CallOptions } from '../disk/index.ts';
import type { HyperV, Vm } from '../hyperv/index.ts';
import { usableBaseline, type BaselineState } from './decide.ts';
import type { Baseline, CaptureRequest } from './source.ts';

/** The baselines of the consumer, and whether one of them stands on the host. `chains`: of the disks as they are now. */
export async function baselineState(
  hyperv: HyperV,
  vm: Vm,
  request: CaptureRequest,
  chains: readonly (readonly string[])[],
  options: CallOptions,
): Promise<BaselineState> {
  const { baselines, earlierDisks = [] } = request;
  const hadAny = baselines.length > 0;
  const nothing = { usable: undefined, hadAny, earlierDisks, neverWentBack: false };
  if (!hadAny) return nothing;
  const usable = usableBaseline(baselines, await hyperv.referencePoints(vm.id, options));
  if (!usable) return nothing;
  const neverWentBack = hasLeaves(usable, chains) || (await ranOn(hyperv, vm, usable, options));
  return { ...nothing, usable, neverWentBack };
}

/** Then nothing was thrown away, and the host need not be asked. */
function hasLeaves({ disks }: Baseline, chains: readonly (readonly string[])[]): boolean {
  const files = new Set(chains.flat().map((path) => path.toLowerCase()));
  return disks.every(({ chain }) => chain.length > 0 && files.has(chain[0]!.toLowerCase()));
}

/**
 * Somebody who wants to go back needs a checkpoint from before the baseline, and a host applies one only to a VM that is off or
 * saved. A VM that runs, since the same moment of the host's own time as at the baseline, was neither.
 */
async function ranOn(hyperv: HyperV, vm: Vm, baseline: Baseline, options: CallOptions): Promise<boolean> {
  if (baseline.userCheckpoints === 0) return true;
  if (baseline.runningSince === undefined) return false;
  return (await runningSince(hyperv, vm.id, options)) === baseline.runningSince;
}

/** Undefined when it does not run, and when the host does not tell. */
export async function runningSince(
  hyperv: HyperV,
  vmId: string,
  options: CallOptions,
): Promise<string | undefined> {
  const { state, changedAt } = await hyperv.power(vmId, options);
  return state === 'running' ? changedAt : undefined;
}
