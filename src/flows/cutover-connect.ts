/** The other side of a cutover by what it was told: the hypervisor, and the clone that its machine starts from. */
import { openHypervisor, type Hypervisor } from '../hypervisors/index.ts';
import type { Target } from '../targets/index.ts';
import type { CutoverChoices } from './cutover-choices.ts';
import { ReplicaClone } from './replica-clone.ts';
import type { Replica } from './replicate-state.ts';

/** `qemu` alone keeps the machine beside its clone. Throws `HYPERVISOR_ADDRESS_INVALID`. */
export async function openOtherSide(
  replica: Replica,
  target: Target,
  { hypervisor: address, folder, conversion, machine }: CutoverChoices,
): Promise<{ readonly clone: ReplicaClone; readonly hypervisor: Hypervisor }> {
  const clone = new ReplicaClone({ target, purpose: 'cutover', folder, conversion, choices: machine });
  const place = address === 'qemu' ? `qemu:${clone.folderOf(replica)}` : address;
  return { clone, hypervisor: await openHypervisor(place) };
}
