/**
 * A failover cluster of emulated hosts: nodes that share one storage and its VMs, each VM owned by one node at a time.
 *
 *   const cluster = new LabCluster(host, { name: 'CL01', nodes: ['NODE1', 'NODE2'] });
 *   const wire = await startWire({ provider: cluster.provider('NODE1'), users });
 *   await cluster.move(vm.id, 'NODE2');
 *
 * Built on one {@link LabHost}, whose VMs each node shows or hides. What a move does to work under way is decided here and
 * not known of a host: jobs go on, checkpoints and reference points go along, and a call that is answered after the move is
 * answered by what the node shows then.
 */
import type { LabCimProvider } from '../cim.ts';
import { LabFailure, RETURN, type LabHost, type VmInfo } from '../model/index.ts';
import { createClusterProvider } from './cluster-provider.ts';
import { createNodeProvider } from './node-provider.ts';

export interface LabClusterOptions {
  readonly name: string;
  readonly nodes: readonly string[];
  /** Node of each VM by its id; of those that are not here it is the first. */
  readonly owners?: Readonly<Record<string, string>>;
  /** Told of every move before it is done. */
  readonly moved?: (owners: Readonly<Record<string, string>>) => Promise<void>;
}

export interface MoveOptions {
  /** The new owner shows the VM only after this is over; the cluster names it at once. */
  readonly arrival?: Promise<void>;
}

export class LabCluster {
  readonly name: string;
  readonly nodes: readonly string[];
  /** At every call: a host that was restarted is another object. */
  readonly host: () => LabHost;
  readonly #owners: Map<string, string>;
  readonly #moved: NonNullable<LabClusterOptions['moved']>;
  readonly #underWay = new Set<string>();
  readonly #providers = new Map<string, LabCimProvider>();

  constructor(host: () => LabHost, { name, nodes, owners = {}, moved }: LabClusterOptions) {
    this.host = host;
    this.name = name;
    this.nodes = nodes;
    this.#owners = new Map(Object.entries(owners));
    this.#moved = moved ?? (async () => undefined);
    const shared = createClusterProvider(this);
    for (const node of nodes) this.#providers.set(node, createNodeProvider(this, node, shared));
  }

  /** What clients of the node see. */
  provider(node: string): LabCimProvider {
    const provider = this.#providers.get(node);
    if (!provider) throw new LabFailure(RETURN.invalidParameter, `there is no node ${node}`);
    return provider;
  }

  /** The node the cluster names; at first the first one. */
  ownerOf(vmId: string): string {
    return this.#owners.get(vmId.toUpperCase()) ?? this.nodes[0]!;
  }

  /** The node shows the VM. */
  shows(node: string, vmId: string): boolean {
    return this.ownerOf(vmId) === node && !this.#underWay.has(vmId.toUpperCase());
  }

  async vms(): Promise<VmInfo[]> {
    return this.host().vms();
  }

  async move(vm: string, node: string, { arrival }: MoveOptions = {}): Promise<void> {
    const { id } = await this.host().vm(vm);
    this.provider(node);
    await this.#moved({ ...Object.fromEntries(this.#owners), [id]: node });
    this.#owners.set(id, node);
    if (!arrival) return;
    this.#underWay.add(id);
    void arrival.finally(() => this.#underWay.delete(id));
  }
}
