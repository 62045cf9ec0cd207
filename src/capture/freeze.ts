/** One recovery checkpoint, as consistent as the policy asks and the guest allows. */
import { hasCode, isFault, warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Checkpoint, HyperV, Vm } from '../hyperv/index.ts';
import { captureFaults } from './faults.ts';
import type { Consistency, ConsistencyPolicy } from './source.ts';

export interface Frozen {
  readonly checkpoint: Checkpoint;
  readonly reached: Consistency;
  readonly warnings: readonly Warning[];
}

export async function freeze(
  hyperv: HyperV,
  vm: Vm,
  policy: ConsistencyPolicy,
  name: string,
  options: CallOptions,
): Promise<Frozen> {
  if (vm.state === 'off') {
    const checkpoint = await hyperv.createRecoveryCheckpoint(vm.id, {
      consistency: 'crash',
      name,
      ...options,
    });
    return { checkpoint, reached: 'offline', warnings: [] };
  }
  if (policy === 'crash') return crash(hyperv, vm, name, options, []);
  const refusal = await tryApplication(hyperv, vm, name, options);
  if (typeof refusal !== 'string') return refusal;
  if (policy === 'application-required') {
    throw captureFaults.notApplicationConsistent({ vm: vm.name, reason: refusal });
  }
  return crash(hyperv, vm, name, options, [
    warningOf(captureFaults.onlyCrashConsistent({ vm: vm.name, reason: refusal })),
  ]);
}

/** The checkpoint, or the reason why there is none. Faults that are not about consistency are thrown. */
async function tryApplication(
  hyperv: HyperV,
  vm: Vm,
  name: string,
  options: CallOptions,
): Promise<Frozen | string> {
  const ready = await hyperv.vssReady(vm.id, options);
  if (!ready.ready) return ready.reason ?? 'the backup integration service of the guest is not ready';
  try {
    const checkpoint = await hyperv.createRecoveryCheckpoint(vm.id, {
      consistency: 'application',
      name,
      ...options,
    });
    return { checkpoint, reached: 'application', warnings: [] };
  } catch (error) {
    if (hasCode(error, 'HYPERV_CHECKPOINT_FAILED')) return isFault(error) ? error.message : String(error);
    throw error;
  }
}

async function crash(
  hyperv: HyperV,
  vm: Vm,
  name: string,
  options: CallOptions,
  warnings: readonly Warning[],
): Promise<Frozen> {
  const checkpoint = await hyperv.createRecoveryCheckpoint(vm.id, { consistency: 'crash', name, ...options });
  return { checkpoint, reached: 'crash', warnings };
}
