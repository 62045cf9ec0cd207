/** The program on a cluster of emulated hosts instead of on one: a session for each node, all of them in one schedule. */
import { createClusterSource } from '../../src/capture/index.ts';
import { Cluster, createClusterHyperV, createHyperV, type ClusterNode } from '../../src/hyperv/index.ts';
import { LabCluster } from '../../lab/cluster/index.ts';
import { ProviderSession } from './provider-session.ts';
import { ScheduledSession } from './schedule.ts';
import { settledProvider } from './settled-provider.ts';
import type { Program, ProgramHost } from './world.ts';

export const NODES = ['NODE1', 'NODE2', 'NODE3'] as const;
const NAME = 'CL01';

export class ClusterProgram {
  lab!: LabCluster;

  readonly open = ({ lab, clock, schedule, files }: ProgramHost): Program => {
    this.lab = new LabCluster(lab, { name: NAME, nodes: NODES });
    const connect = async (node: string): Promise<ClusterNode> => {
      const provider = settledProvider(this.lab.provider(node), () => lab().settle());
      const session = new ScheduledSession(new ProviderSession(() => provider), schedule);
      return { session, hyperv: createHyperV(session, { clock }) };
    };
    const cluster = new Cluster({ name: NAME, nodes: NODES }, connect, clock);
    return {
      hyperv: createClusterHyperV(cluster),
      source: createClusterSource({ cluster, files: () => files, hostName: NAME }),
    };
  };

  /** To the next node. */
  async moveOn(vmId: string, arrival?: Promise<void>): Promise<void> {
    const at = NODES.findIndex((node) => node === this.lab.ownerOf(vmId));
    await this.lab.move(vmId, NODES[(at + 1) % NODES.length]!, arrival ? { arrival } : {});
  }
}
