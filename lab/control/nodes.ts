/** The nodes of a lab that is a cluster, as the control API tells of them. */
import type { LabCluster } from '../cluster/index.ts';
import { LabFailure, RETURN } from '../model/index.ts';

export interface NodeAddress {
  readonly name: string;
  /** Of its WS-Management endpoint. */
  readonly url: string;
}

export interface NodeInfo extends NodeAddress {
  /** Names of the VMs it owns. */
  readonly vms: readonly string[];
}

export interface NodeMethods {
  /** Empty for a single host. */
  nodes(): Promise<NodeInfo[]>;
  /** Another node owns the VM from now on, whatever is under way. */
  moveVm(vm: string, node: string): Promise<void>;
}

export function nodeMethods(cluster: LabCluster | undefined, addresses: readonly NodeAddress[]): NodeMethods {
  return {
    async nodes() {
      const vms = (await cluster?.vms()) ?? [];
      return addresses.map((address) => ({
        ...address,
        vms: vms.filter(({ id }) => cluster?.ownerOf(id) === address.name).map(({ name }) => name),
      }));
    },
    async moveVm(vm, node) {
      if (cluster) return await cluster.move(vm, nodeNamed(cluster, node));
      throw new LabFailure(RETURN.notSupported, 'this lab is a single host; a new one has nodes by --nodes');
    },
  };
}

/** As Windows does, without regard to case. */
function nodeNamed({ nodes }: LabCluster, name: string): string {
  return nodes.find((node) => node.toLowerCase() === name.toLowerCase()) ?? name;
}
