/**
 * The other nodes of a cluster, each only as far as a backup of a VM it owns depends on it: the way to it, the log-on, the rights,
 * a disk file. What is wrong with Windows or the VMs there, `hvlift doctor` says of a host that is configured for the node.
 */
import { mapOrdered } from '../base/index.ts';
import { readCluster, type ClusterFacts } from '../hyperv/index.ts';
import { dataPath } from './data-path.ts';
import { failed, ok, type Check, type Finding } from './finding.ts';
import { rights } from './rights.ts';
import type { DoctorTarget } from './target.ts';
import { visit, type Visit } from './visit.ts';
import type { WindowsLook } from './windows.ts';

const CLUSTER: Check = { id: 'cluster', title: 'cluster' };
/** Each may take minutes to find out that it does not answer; 64 of them must not take hours. */
const NODES_AT_ONCE = 8;

/** `here`: the node that was looked at already. Nothing is found of a host that is in no cluster. */
export async function* otherNodes(
  { session, signal }: WindowsLook,
  target: DoctorTarget,
  here: string | undefined,
): AsyncGenerator<Finding, void> {
  const facts = await readCluster(session, { signal });
  if (!facts || !target.nodeOf) return;
  const { nodeOf } = target;
  yield ok(CLUSTER, `${here ?? 'this'} is a node of ${facts.name}, with ${facts.nodes.length} nodes`);
  const others = facts.nodes.filter((node) => node.toLowerCase() !== here?.toLowerCase());
  const found = mapOrdered(others, NODES_AT_ONCE, (node) => findingsOf({ nodeOf, facts, node, signal }));
  for await (const findings of found) yield* findings;
}

interface NodeVisit {
  readonly nodeOf: NonNullable<DoctorTarget['nodeOf']>;
  readonly facts: ClusterFacts;
  readonly node: string;
  readonly signal: AbortSignal;
}

async function findingsOf({ nodeOf, facts, node, signal }: NodeVisit): Promise<Finding[]> {
  const labelled = (finding: Finding): Finding => ({ ...finding, node });
  try {
    await using target = await nodeOf(facts, node);
    return (await Array.fromAsync(visit(target, signal, inside))).map(labelled);
  } catch (error) {
    signal.throwIfAborted();
    return [labelled(failed(CLUSTER, error))];
  }
}

async function* inside({ look, target }: Visit): AsyncGenerator<Finding, void> {
  const survey = yield* rights(look);
  if (!survey) return;
  const files = target.openFiles();
  try {
    yield await dataPath({ ...look, files, survey });
  } finally {
    await files.close();
  }
}
