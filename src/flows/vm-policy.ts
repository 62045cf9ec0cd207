/** What a VM is asked for when it is frozen: the first policy that means the VM and says something about it counts. */
import type { ConsistencyPolicy } from '../capture/index.ts';
import type { Vm } from '../hyperv/index.ts';
import { isMeant } from './selection.ts';

export interface VmPolicy {
  /** A name, GUID, pattern or `#tag`, as a selection has it. */
  readonly match: string;
  readonly consistency?: ConsistencyPolicy | undefined;
  readonly truncateLogs?: boolean | undefined;
}

export interface FreezePolicy {
  readonly consistency: ConsistencyPolicy;
  readonly truncateLogs: boolean;
}

/** Each property by itself: a policy that sets one leaves the other to those behind it. */
export function policyOf(vm: Pick<Vm, 'id' | 'name' | 'notes'>, policies: readonly VmPolicy[]): FreezePolicy {
  const own = policies.filter(({ match }) => isMeant(vm, match));
  const consistency = own.find((policy) => policy.consistency)?.consistency ?? 'application-preferred';
  const truncateLogs = own.find((policy) => policy.truncateLogs !== undefined)?.truncateLogs ?? false;
  // A guest that is not asked cannot be told anything either.
  return { consistency, truncateLogs: truncateLogs && consistency !== 'crash' };
}
