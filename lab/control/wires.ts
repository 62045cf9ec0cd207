/** What clients of a lab connect to: one wire for a single host, one for each node of a cluster. */
import type { LabCluster } from '../cluster/index.ts';
import type { LabHost } from '../model/index.ts';
import { startWire, type Wire, type WireFaults, type WireOptions, type WireTraits } from '../wire/index.ts';

export interface WiresOptions {
  readonly users: WireOptions['users'];
  /** Of all wires. */
  readonly faults: WireFaults;
  readonly traits?: Partial<WireTraits> | undefined;
  /** Of the first wire, the others have those after it; default: free ones. */
  readonly port?: number | undefined;
}

/** They count together, and are closed when `parts` is. */
export async function startWires(
  host: LabHost,
  cluster: LabCluster | undefined,
  { port, traits, ...shared }: WiresOptions,
  parts: AsyncDisposableStack,
): Promise<[Wire, ...Wire[]]> {
  const wires: Wire[] = [];
  for (const provider of cluster?.nodes.map((node) => cluster.provider(node)) ?? [host.provider]) {
    const wire = await startWire({
      ...shared,
      ...(wires[0] ? { stats: wires[0].stats } : {}),
      provider,
      port: port ? port + wires.length : 0,
      traits: { language: host.options.language, ...traits },
    });
    parts.defer(() => wire.close());
    wires.push(wire);
  }
  return wires as [Wire, ...Wire[]];
}
