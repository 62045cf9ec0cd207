/** One recovery checkpoint, as consistent as the policy asks and the guest allows. */
import { hasCode, isFault, warningOf, type Fault, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Checkpoint, HyperV, Vm, VssReadiness } from '../hyperv/index.ts';
import { captureFaults } from './faults.ts';
import type { Consistency, ConsistencyPolicy } from './source.ts';

export interface FreezeOrder {
  readonly policy: ConsistencyPolicy;
  readonly truncateLogs: boolean;
  readonly name: string;
  /** What the guest said it can; undefined when it was not asked. */
  readonly guest: VssReadiness | undefined;
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

/** What the guest can be asked for; undefined where nobody asks: the policy is `crash`, or the VM is off. */
export async function readGuest(
  hyperv: HyperV,
  vm: Vm,
  policy: ConsistencyPolicy,
  options: CallOptions,
): Promise<VssReadiness | undefined> {
  return vm.state === 'off' || policy === 'crash' ? undefined : hyperv.vssReady(vm.id, options);
}

/** What a checkpoint should reach, if nothing fails; undefined when the policy cannot be met. */
export function expectedConsistency(
  vm: Vm,
  policy: ConsistencyPolicy,
  guest: VssReadiness | undefined,
): Consistency | undefined {
  if (vm.state === 'off') return offline(vm);
  if (guest?.ready) return guest.freezes === 'file-systems' ? 'file-system' : 'application';
  return policy === 'application-required' ? undefined : 'crash';
}

/** Why the guest cannot give what the policy prefers or requires. */
export function consistencyFault(
  vm: Vm,
  policy: ConsistencyPolicy,
  guest: VssReadiness | undefined,
): Fault | undefined {
  if (guest === undefined || guest.ready) return undefined;
  return faultOf(vm, policy, refusalOf(guest));
}

export async function freeze(
  hyperv: HyperV,
  vm: Vm,
  order: FreezeOrder,
  options: CallOptions,
): Promise<Frozen> {
  const { policy, name, guest } = order;
  if (guest === undefined) {
    const crash = { consistency: 'crash', name, ...options } as const;
    const checkpoint = await hyperv.createRecoveryCheckpoint(vm.id, crash);
    return { checkpoint, reached: vm.state === 'off' ? offline(vm) : 'crash', warnings: [] };
  }
  const tried = guest.ready ? await tryApplication(hyperv, vm, order, options) : refusalOf(guest);
  if ('checkpoint' in tried) return tried;
  const fault = faultOf(vm, policy, tried);
  if (policy === 'application-required') throw fault;
  const checkpoint = await hyperv.createRecoveryCheckpoint(vm.id, { consistency: 'crash', name, ...options });
  return { checkpoint, reached: 'crash', warnings: [warningOf(fault)] };
}

/** A VM that was shut down is consistent. The replica of another VM is off too, and holds what a crash would have left (I9). */
function offline({ replication }: Vm): Consistency {
  return replication === undefined || replication === 'primary' ? 'offline' : 'crash';
}

function refusalOf({ reason, fix }: VssReadiness): Refusal {
  return {
    reason: reason ?? 'the backup integration service of the guest is not ready',
    fix: fix ?? 'look at the backup (volume checkpoint) integration service of the VM',
  };
}

function faultOf(vm: Vm, policy: ConsistencyPolicy, refusal: Refusal): Fault {
  const facts = { vm: vm.name, ...refusal };
  return policy === 'application-required'
    ? captureFaults.notApplicationConsistent(facts)
    : captureFaults.onlyCrashConsistent(facts);
}

/** The checkpoint, or the reason why there is none. Faults that are not about consistency are thrown. */
async function tryApplication(
  hyperv: HyperV,
  vm: Vm,
  { name, truncateLogs, guest }: FreezeOrder,
  options: CallOptions,
): Promise<Frozen | Refusal> {
  const consistency = 'application';
  try {
    const asked = { consistency, name, ...(truncateLogs ? { truncateLogs } : {}), ...options } as const;
    const checkpoint = await hyperv.createRecoveryCheckpoint(vm.id, asked);
    const reached = guest?.freezes === 'file-systems' ? 'file-system' : consistency;
    return { checkpoint, reached, ...(truncateLogs ? { truncatedLogs: true } : {}), warnings: [] };
  } catch (error) {
    if (!hasCode(error, 'HYPERV_CHECKPOINT_FAILED')) throw error;
    return { reason: isFault(error) ? error.message : String(error), fix: WRITERS_FIX };
  }
}
