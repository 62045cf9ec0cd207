/** A cluster while one command uses it: each node is opened when it is first needed, and all are closed together. */
import { isFault, type Fault } from '../base/index.ts';
import { createClusterSource, type PlanningSource } from '../capture/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import {
  Cluster,
  createClusterHyperV,
  type ClusterFacts,
  type ClusterNode,
  type HyperV,
} from '../hyperv/index.ts';
import type { WinrmSession } from '../winrm/index.ts';
import { cliFaults } from './faults.ts';
import { nodeAccess } from './node-access.ts';
import type { HostAccess } from './engine.ts';
import type { OpenHost, OpenNode, WaysToNodes } from './open-host.ts';

export class OpenCluster implements OpenHost {
  readonly session: WinrmSession;
  readonly hyperv: HyperV;
  readonly files: HostFiles;
  readonly source: PlanningSource;
  readonly #entry: OpenNode;
  readonly #access: HostAccess;
  readonly #facts: ClusterFacts;
  readonly #ways: WaysToNodes;
  readonly #cluster: Cluster;
  readonly #nodes: OpenNode[] = [];
  /** By lower-case name of the node. */
  readonly #files = new Map<string, HostFiles>();

  /** `entry` is the node, or the name of the cluster, that the configuration leads to. */
  constructor(access: HostAccess, entry: OpenNode, facts: ClusterFacts, ways: WaysToNodes) {
    this.#access = access;
    this.#entry = entry;
    this.#facts = facts;
    this.#ways = ways;
    this.session = entry.session;
    const cluster = new Cluster(facts, (node, options) => this.#connect(node, options));
    this.#cluster = cluster;
    this.hyperv = createClusterHyperV(cluster);
    const files = (node: string): HostFiles => this.#filesOf(node);
    this.source = createClusterSource({ cluster, files, hostName: access.name });
    this.files = new FilesOfAnyNode(cluster, files);
  }

  hostOf(vmId: string, options: CallOptions): Promise<string> {
    return this.#cluster.ownerOf(vmId, options);
  }

  async unreachable(options: CallOptions): Promise<Fault[]> {
    const silent: Fault[] = [];
    for (const node of this.#cluster.nodes) {
      try {
        await this.#cluster.at(node, options);
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!isFault(error)) throw error;
        silent.push(cliFaults.nodeNotAsked({ node, reason: error.message }, { cause: error }));
      }
    }
    return silent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const files of this.#files.values()) await files.close();
    for (const node of [...this.#nodes, this.#entry]) await node[Symbol.asyncDispose]();
  }

  async #connect(node: string, { signal }: CallOptions): Promise<ClusterNode> {
    const opened = await this.#ways.openNode(nodeAccess(this.#access, this.#facts, node), signal);
    this.#nodes.push(opened);
    return opened;
  }

  #filesOf(node: string): HostFiles {
    const key = node.toLowerCase();
    const files = this.#files.get(key) ?? this.#ways.openFiles(nodeAccess(this.#access, this.#facts, node));
    this.#files.set(key, files);
    return files;
  }
}

/** For a file of no VM in particular: shared storage shows on every node, anything else on one of them. */
class FilesOfAnyNode implements HostFiles {
  readonly #cluster: Cluster;
  readonly #files: (node: string) => HostFiles;

  constructor(cluster: Cluster, files: (node: string) => HostFiles) {
    this.#cluster = cluster;
    this.#files = files;
  }

  async open(path: string, options?: CallOptions): Promise<RangeReader> {
    let failure: unknown;
    for (const node of this.#cluster.nodes) {
      try {
        return await this.#files(node).open(path, options);
      } catch (error) {
        options?.signal?.throwIfAborted();
        failure ??= error;
      }
    }
    throw failure;
  }

  describe(): string {
    return `files of the nodes ${this.#cluster.nodes.join(', ')}`;
  }

  /** They are closed with the cluster. */
  async close(): Promise<void> {}
}
