/** Whether the guest can be asked for an application-consistent moment. */
import type { CallOptions } from '../disk/index.ts';
import { wql, type CimInstance } from '../winrm/index.ts';
import { Msvm_VssComponent } from './classes/computer-system.ts';
import type { Host } from './host.ts';
import { vmReference } from './vms.ts';

export interface VssReadiness {
  readonly ready: boolean;
  /** Why not, one sentence without the final stop. */
  readonly reason?: string;
}

const ENABLED = 2;
/** 3: guest and host speak different versions, and it works. */
const USABLE_STATUS: ReadonlySet<number> = new Set([2, 3]);
const REASONS: Readonly<Record<number, string>> = {
  7: 'the backup integration service of the guest is incompatible with this host',
  12: 'the backup integration service of the guest is not installed or has not started yet',
  13: 'the backup integration service of the guest no longer answers',
};

export async function readVssReadiness(
  host: Host,
  vmId: string,
  options: CallOptions,
): Promise<VssReadiness> {
  const { keys } = await vmReference(host, vmId, options);
  const query = wql`SELECT * FROM Msvm_VssComponent WHERE SystemName = ${keys['Name']!}`;
  const [component] = await Array.fromAsync(host.session.query(Msvm_VssComponent, query, options));
  const reason = reasonAgainst(component);
  return reason === undefined ? { ready: true } : { ready: false, reason };
}

function reasonAgainst(component: CimInstance<typeof Msvm_VssComponent> | undefined): string | undefined {
  if (!component) return 'the guest is not running, so nobody can be asked for consistency';
  if (component.EnabledState !== ENABLED) return 'the backup integration service is switched off for this VM';
  const status = component.OperationalStatus[0] ?? 0;
  if (USABLE_STATUS.has(status)) return undefined;
  return REASONS[status] ?? `the backup integration service of the guest reports status ${status}`;
}
