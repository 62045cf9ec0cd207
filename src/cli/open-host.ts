/**
 * A host while one command uses it. One that is the node of a cluster opens the whole cluster: whether it is, it says itself,
 * so the address of the cluster, or of any node of it, is all there is to configure.
 */
import type { Fault } from '../base/index.ts';
import { createHyperVSource, type PlanningSource } from '../capture/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ReadLimits } from '../flows/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import { createHyperV, readCluster, type HyperV } from '../hyperv/index.ts';
import { openWinrm, type WinrmSession } from '../winrm/index.ts';
import { OpenCluster } from './open-cluster.ts';
import type { HostAccess, Task } from './engine.ts';
import { hostFiles, wayToWinrm, winrmOptions, type WayToWinrm } from './host-access.ts';

/** One machine. */
export interface OpenNode extends AsyncDisposable {
  readonly session: WinrmSession;
  readonly hyperv: HyperV;
  readonly files: HostFiles;
}

/** What a command works with: a host, or a cluster as if it were one. */
export interface OpenHost extends OpenNode {
  readonly source: PlanningSource;
  /** Name of the machine that runs the VM now. */
  hostOf(vmId: string, options: CallOptions): Promise<string>;
  /** Why nodes of the cluster do not answer, those that do not: VMs that are there show nowhere. */
  unreachable(options: CallOptions): Promise<Fault[]>;
}

/** With `limits` every file is read within them. */
export async function openHost(
  access: HostAccess,
  { signal }: Pick<Task, 'signal'>,
  limits?: ReadLimits,
): Promise<OpenHost> {
  const openFiles: OpenFilesAt = (at) => limits?.over(hostFiles(at)) ?? hostFiles(at);
  const ways: WaysToNodes = { openFiles, openNode: (at, call) => openNode(at, openFiles, call) };
  const node = await ways.openNode(access, signal);
  try {
    const facts = await readCluster(node.session, { signal });
    if (facts) return new OpenCluster(access, node, facts, ways);
    const source = createHyperVSource({ ...node, hostName: access.name });
    return { ...node, source, hostOf: async () => access.name, unreachable: async () => [] };
  } catch (error) {
    await node[Symbol.asyncDispose]();
    throw error;
  }
}

type OpenFilesAt = (access: HostAccess) => HostFiles;

export interface WaysToNodes {
  readonly openFiles: OpenFilesAt;
  readonly openNode: (access: HostAccess, signal: AbortSignal | undefined) => Promise<OpenNode>;
}

async function openNode(
  access: HostAccess,
  openFiles: OpenFilesAt,
  signal: AbortSignal | undefined,
): Promise<OpenNode> {
  const files = openFiles(access);
  const way = wayToWinrm(access);
  const session = await openSession(access, way, signal);
  return {
    session,
    hyperv: createHyperV(session),
    files,
    async [Symbol.asyncDispose]() {
      await files.close();
      await session.close();
      await way.close();
    },
  };
}

async function openSession(
  access: HostAccess,
  way: WayToWinrm,
  signal: AbortSignal | undefined,
): Promise<WinrmSession> {
  try {
    return await openWinrm({ ...(await winrmOptions(access, way)), ...(signal ? { signal } : {}) });
  } catch (error) {
    await way.close();
    throw error;
  }
}
