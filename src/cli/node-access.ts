/** How a node of a cluster is reached: as the cluster was, under the node's own name. */
import { isIP } from 'node:net';
import type { ClusterFacts } from '../hyperv/index.ts';
import { hostOf } from './config-values.ts';
import type { HostAccess } from './engine.ts';

/** `nodes` of the configuration counts before the name that the cluster tells, with the domain of the cluster. */
export function nodeAccess(access: HostAccess, facts: ClusterFacts, node: string): HostAccess {
  const entry = hostOf(access.url);
  const url = configuredUrl(access, node) ?? withHost(access.url, `${node}${domainOf(entry, facts)}`);
  const { ssh } = access;
  return {
    ...access,
    url,
    // A jump host stays what it is; an SSH server that is the node itself goes along.
    ...(ssh?.host === entry ? { ssh: { ...ssh, host: hostOf(url) } } : {}),
  };
}

function configuredUrl({ nodes = {} }: HostAccess, node: string): string | undefined {
  const key = Object.keys(nodes).find((name) => name.toLowerCase() === node.toLowerCase());
  return key === undefined ? undefined : nodes[key];
}

/** `.example.com`, from the address that was configured, else from what the cluster says of itself. */
function domainOf(entry: string, { fqdn }: ClusterFacts): string {
  const name = isIP(entry) === 0 && entry.includes('.') ? entry : (fqdn ?? '');
  const dot = name.indexOf('.');
  return dot < 0 ? '' : name.slice(dot);
}

function withHost(url: string, host: string): string {
  // By text, because URL drops a port that is the scheme's own.
  return url.replace(/^(https?:\/\/)(?:\[[^\]]*\]|[^/:]+)/i, `$1${host}`);
}
