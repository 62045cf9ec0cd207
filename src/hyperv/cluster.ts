/**
 * A failover cluster: nodes that share storage and VMs, each VM owned by one node at a time.
 *
 *   any node ──► root/MSCluster ──► nodes; the owner of a VM      asked of the node that answered last, else of the others
 *   owner    ──► its own Msvm_*     the only one that shows the VM, and the only one that may look at its disks
 *
 * The owner changes whenever the cluster or an administrator wants it. Nothing announces it, so whoever works on a VM asks
 * again: {@link file://./whereabouts.ts}.
 */
import { hasCode, isFault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { wql, type CimSession } from '../winrm/index.ts';
import { MSCluster_Cluster, MSCluster_Node, MSCluster_Resource } from './classes/cluster.ts';
import { hypervFaults } from './faults.ts';
import { systemClock, type HyperVClock } from './host.ts';
import type { HyperV } from './hyperv.ts';

export interface ClusterFacts {
  readonly name: string;
  /** With its domain, when the cluster tells it. */
  readonly fqdn?: string;
  /** Names of the nodes, without domain. */
  readonly nodes: readonly string[];
}

export interface ClusterNode {
  /** For `root/MSCluster`. */
  readonly session: CimSession;
  readonly hyperv: HyperV;
}

/** Reaches a node; asked once for each. What it opens is its own to close. */
export type ConnectNode = (node: string, options: CallOptions) => Promise<ClusterNode>;

/** What a host says that has no such namespace or class, or hides it from this account. */
const NO_CLUSTER = ['WINRM_CLASS_UNKNOWN', 'WINRM_NOT_FOUND', 'WINRM_BAD_FILTER', 'WINRM_ACCESS_DENIED'];

/** The cluster the host is a node of; undefined when it is in none, or this account may not see it. */
export async function readCluster(
  session: CimSession,
  options: CallOptions = {},
): Promise<ClusterFacts | undefined> {
  try {
    const [cluster] = await Array.fromAsync(session.enumerate(MSCluster_Cluster, options));
    if (!cluster) return undefined;
    const nodes = await Array.fromAsync(session.enumerate(MSCluster_Node, options));
    return {
      name: cluster.Name,
      ...(cluster.Fqdn ? { fqdn: cluster.Fqdn } : {}),
      nodes: nodes.map(({ Name }) => Name),
    };
  } catch (error) {
    if (hasCode(error, ...NO_CLUSTER)) return undefined;
    throw error;
  }
}

export class Cluster {
  readonly name: string;
  readonly clock: HyperVClock;
  readonly #connect: ConnectNode;
  readonly #connections = new Map<string, Promise<ClusterNode>>();
  /** The node that answered last comes first. */
  #nodes: readonly string[];

  constructor(facts: ClusterFacts, connect: ConnectNode, clock: HyperVClock = systemClock) {
    this.name = facts.name;
    this.clock = clock;
    this.#nodes = facts.nodes;
    this.#connect = connect;
  }

  get nodes(): readonly string[] {
    return this.#nodes.toSorted();
  }

  /** Throws what connecting throws; a node that could not be reached is tried anew the next time. */
  async at(node: string, options: CallOptions): Promise<ClusterNode> {
    const key = node.toLowerCase();
    const connection = this.#connections.get(key) ?? this.#connect(node, options);
    this.#connections.set(key, connection);
    try {
      return await connection;
    } catch (error) {
      this.#connections.delete(key);
      throw error;
    }
  }

  /**
   * The node that owns the VM now. A VM on a node that is no role of the cluster is looked for on each. Throws
   * `HYPERV_VM_NOT_FOUND`, or the last fault when no node answers.
   */
  async ownerOf(vmId: string, options: CallOptions): Promise<string> {
    const query = wql`SELECT * FROM MSCluster_Resource WHERE PrivateProperties.VmID = ${vmId} AND Type = ${'Virtual Machine'}`;
    const [resource] = await this.#ask(
      ({ session }) => Array.fromAsync(session.query(MSCluster_Resource, query, options)),
      options,
    );
    return resource?.OwnerNode || (await this.#nodeThatShows(vmId, options));
  }

  async #nodeThatShows(vmId: string, options: CallOptions): Promise<string> {
    const shown = await this.each(
      async (node, { hyperv }) => ({ node, vms: await hyperv.vms(options) }),
      options,
    );
    const owner = shown.find(({ vms }) => vms.some(({ id }) => id === vmId.toLowerCase()));
    if (owner) return owner.node;
    throw hypervFaults.vmNotFound({ vm: vmId, visible: shown.flatMap(({ vms }) => vms).length });
  }

  /** What every node answers. A node that cannot be reached has no VMs, as long as another answers; else its fault is thrown. */
  async each<T>(
    question: (name: string, node: ClusterNode) => Promise<T>,
    options: CallOptions,
  ): Promise<T[]> {
    const answers: T[] = [];
    let failure: unknown;
    for (const name of this.nodes) {
      try {
        answers.push(await question(name, await this.at(name, options)));
      } catch (error) {
        failure = passed(error, options);
      }
    }
    if (answers.length === 0) throw failure;
    return answers;
  }

  /** One question to whichever node answers. */
  async #ask<T>(question: (node: ClusterNode) => Promise<T>, options: CallOptions): Promise<T> {
    let failure: unknown;
    for (const node of this.#nodes) {
      try {
        const answer = await question(await this.at(node, options));
        this.#nodes = [node, ...this.#nodes.filter((other) => other !== node)];
        return answer;
      } catch (error) {
        failure = passed(error, options);
      }
    }
    throw failure;
  }
}

/** A fault after which another node is asked; throws every other one. */
function passed(error: unknown, { signal }: CallOptions): unknown {
  signal?.throwIfAborted();
  if (isFault(error) && error.kind === 'retry') return error;
  throw error;
}
