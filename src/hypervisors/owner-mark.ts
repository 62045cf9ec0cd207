/** The mark of its owner that a domain of libvirt carries among its metadata. */
import { element } from '../images/index.ts';
import type { MachineOwner } from './port.ts';

/** Names, and not an address of the network: nothing is there. */
export const MARK_NAMESPACE = 'urn:hvlift:machine:1';

export function markOf({ vmId, replica, generation, purpose }: MachineOwner): string {
  const attributes = { 'xmlns:hvlift': MARK_NAMESPACE, vm: vmId, replica, generation, purpose };
  return element('hvlift:machine', attributes);
}

/** Id of the replica. `xml` is what libvirt has of our namespace, which it leaves out when it is asked for it alone. */
export function replicaOfMark(xml: string): string | undefined {
  return /^\s*<machine\b[^>]*\sreplica=["']([0-9a-f]+)["']/.exec(xml)?.[1];
}
