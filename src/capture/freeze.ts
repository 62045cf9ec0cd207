/** One recovery checkpoint, as consistent as the policy asks and the guest allows. */
import { hasCode, isFault, warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Checkpoint, HyperV, Vm } from '../hyperv/index.ts';
import { captureFaults } from './faults.ts';
import type { Consistency, ConsistencyPolicy } from './source.ts';

export interface FreezeOrder {
  readonly policy: ConsistencyPolicy;
  readonly truncateLogs: boolean;
  readonly name: string;
}

export interface Frozen {
  readonly checkpoint: Checkpoint;
  readonly reached: Consistency;
  /** Writers of the guest were told of a full backup. */
  readonly truncatedLogs?: true;
  readonly warnings: readonly Warning[];
}

/** Why the guest cannot be asked, or failed when it was. */
interface Refusal {
  readonly reason: string;
  readonly fix: string;
}

const WRITERS_FIX =
  'look at the VSS writers in the guest (`vssadmin list writers`), in a Linux guest at the log of hv_vss_daemon';

export async function freeze(
  hyperv: HyperV,
  vm: Vm,
  order: FreezeOrder,
  options: CallOptions,
): Promise<Frozen> {
  const { policy, name } = order;
  if (vm.state === 'off') {
    const crash = { consistency: 'crash', name, ...options } as const;
    const checkpoint = await hyperv.createRecoveryCheckpoint(vm.id, crash);
    return { checkpoint, reached: 'offline', warnings: [] };
  }
  if (policy === 'crash') return crash(hyperv, vm, name, options, []);
  const tried = await tryApplication(hyperv, vm, order, options);
  if ('checkpoint' in tried) return tried;
  if (policy === 'application-required') {
    throw captureFaults.notApplicationConsistent({ vm: vm.name, ...tried });
  }
  return crash(hyperv, vm, name, options, [
    warningOf(captureFaults.onlyCrashConsistent({ vm: vm.name, ...tried })),
  ]);
}

/** The checkpoint, or the reason why there is none. Faults that are not about consistency are thrown. */
async function tryApplication(
  hyperv: HyperV,
  vm: Vm,
  { name, truncateLogs }: FreezeOrder,
  options: CallOptions,
): Promise<Frozen | Refusal> {
  const guest = await hyperv.vssReady(vm.id, options);
  if (!guest.ready) {
    return {
      reason: guest.reason ?? 'the backup integration service of the guest is not ready',
      fix: guest.fix ?? 'look at the backup (volume checkpoint) integration service of the VM',
    };
  }
  const consistency = 'application';
  try {
    const asked = { consistency, name, ...(truncateLogs ? { truncateLogs } : {}), ...options } as const;
    const checkpoint = await hyperv.createRecoveryCheckpoint(vm.id, asked);
    const reached = guest.freezes === 'file-systems' ? 'file-system' : consistency;
    return { checkpoint, reached, ...(truncateLogs ? { truncatedLogs: true } : {}), warnings: [] };
  } catch (error) {
    if (!hasCode(error, 'HYPERV_CHECKPOINT_FAILED')) throw error;
    return { reason: isFault(error) ? error.message : String(error), fix: WRITERS_FIX };
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
