/**
 * The cluster of a lab folder: `cluster.json` names its nodes and which of them has each VM, so that all of it is there again at
 * the next start.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LabFailure, replaceFile, RETURN, type LabHost } from '../model/index.ts';
import { LabCluster } from './lab-cluster.ts';

interface KeptCluster {
  readonly name: string;
  readonly nodes: readonly string[];
  /** Node by the id of the VM. */
  readonly owners: Readonly<Record<string, string>>;
}

/** As many as a failover cluster of Windows has at most. */
const NODES_MAX = 64;

/** `nodes`: how many a new cluster gets. A folder that has none, and is to have none, is of a single host: `undefined`. */
export async function openCluster(
  folder: string,
  host: LabHost,
  nodes: number | undefined,
): Promise<LabCluster | undefined> {
  const file = join(folder, 'cluster.json');
  const kept = await keptIn(file);
  if (kept && nodes !== undefined && nodes !== kept.nodes.length) {
    const reason = `the cluster in ${folder} has ${kept.nodes.length} nodes; a lab keeps the number it began with`;
    throw new LabFailure(RETURN.invalidParameter, reason);
  }
  if (!kept && nodes === undefined) return undefined;
  const state = kept ?? newCluster(nodes!);
  const save = (owners: KeptCluster['owners']): Promise<void> =>
    replaceFile(file, `${JSON.stringify({ ...state, owners }, null, 2)}\n`);
  await save(state.owners);
  return new LabCluster(() => host, { ...state, moved: save });
}

async function keptIn(file: string): Promise<KeptCluster | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as KeptCluster);
}

function newCluster(count: number): KeptCluster {
  if (count < 2 || count > NODES_MAX)
    throw new LabFailure(RETURN.invalidParameter, `a cluster has 2 to ${NODES_MAX} nodes, not ${count}`);
  return { name: 'CL01', nodes: Array.from({ length: count }, (_, index) => `NODE${index + 1}`), owners: {} };
}
