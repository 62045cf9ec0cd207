/**
 * A cluster as a source: each run begins at the node that owns the VM, and follows it. A run that failed because the VM moved
 * may begin anew; its clean-up is then done by the new one, on the new node, with the same journal.
 */
import type { CallOptions, RangeReader } from '../disk/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import { followingHyperV, VmWhereabouts, type Cluster } from '../hyperv/index.ts';
import { openCapture } from './hyperv-source.ts';
import { planCapture } from './plan.ts';
import type { SourceHost } from './source-host.ts';
import type { Capture, CapturePlan, CaptureRequest, PlanningSource } from './source.ts';

export interface SourceCluster {
  readonly cluster: Cluster;
  /** Files by the paths a node uses; shared by all runs, closed by whoever made the cluster. */
  files(node: string): HostFiles;
  /** For records and messages. */
  readonly hostName: string;
}

export function createClusterSource(source: SourceCluster): PlanningSource {
  return new ClusterSource(source);
}

class ClusterSource implements PlanningSource {
  readonly #source: SourceCluster;
  /** The node of the last run of each VM. */
  readonly #startedAt = new Map<string, string>();

  constructor(source: SourceCluster) {
    this.#source = source;
  }

  /** `request.vm` is a GUID. */
  async open(request: CaptureRequest): Promise<Capture> {
    const where = new VmWhereabouts(this.#source.cluster, request.vm);
    this.#startedAt.set(request.vm, await where.now(request));
    return await openCapture(this.#hostOf(where), request);
  }

  /** `request.vm` is a GUID. */
  plan(request: CaptureRequest): Promise<CapturePlan> {
    return planCapture(this.#hostOf(new VmWhereabouts(this.#source.cluster, request.vm)), request);
  }

  /** The node the VM is on, wherever that is by then. */
  #hostOf(where: VmWhereabouts): SourceHost {
    const { cluster, hostName } = this.#source;
    const files = new FollowingFiles(this.#source, where);
    return { hyperv: followingHyperV(cluster, where), files, hostName };
  }

  async moved(vmId: string, options: CallOptions): Promise<boolean> {
    const before = this.#startedAt.get(vmId);
    if (before === undefined) return false;
    const now = await this.#source.cluster.ownerOf(vmId, options);
    return now.toLowerCase() !== before.toLowerCase();
  }
}

/** Shared storage shows on every node; what does not is where the VM is. */
class FollowingFiles implements HostFiles {
  readonly #source: SourceCluster;
  readonly #where: VmWhereabouts;

  constructor(source: SourceCluster, where: VmWhereabouts) {
    this.#source = source;
    this.#where = where;
  }

  open(path: string, options: CallOptions = {}): Promise<RangeReader> {
    return this.#where.unlessItFails((node) => this.#source.files(node).open(path, options), options);
  }

  describe(): string {
    return `files of the node of ${this.#source.cluster.name} that owns the VM`;
  }

  async close(): Promise<void> {}
}
