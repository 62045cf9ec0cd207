/** What the consumer holds of a VM, against what the host still knows of it. */
import type { CallOptions } from '../disk/index.ts';
import type { HyperV, Vm } from '../hyperv/index.ts';
import { usableBaseline, type BaselineState } from './decide.ts';
import type { CaptureRequest } from './source.ts';

/** The baselines of the consumer, and whether one of them stands on the host. */
export async function baselineState(
  hyperv: HyperV,
  vm: Vm,
  request: CaptureRequest,
  options: CallOptions,
): Promise<BaselineState> {
  const { baselines, earlierDisks = [] } = request;
  const hadAny = baselines.length > 0;
  if (!hadAny) return { usable: undefined, hadAny, earlierDisks };
  const usable = usableBaseline(baselines, await hyperv.referencePoints(vm.id, options));
  return { usable, hadAny, earlierDisks };
}
