/** Whether the guest can be asked for a consistent moment, and what it can freeze then. */
import { isFault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { decodeEmbedded, wql, type CimInstance } from '../winrm/index.ts';
import { Msvm_KvpExchangeComponent, Msvm_VssComponent } from './classes/computer-system.ts';
import type { Host } from './host.ts';
import { vmReference } from './vms.ts';

export interface VssReadiness {
  readonly ready: boolean;
  /** Why not, one sentence without the final stop. */
  readonly reason?: string;
  /** What to do about it, in the guest or to the VM. */
  readonly fix?: string;
  /**
   * `file-systems`: the guest is no Windows, so that it has no VSS writers and freezes its file systems only. Absent: what the
   * guest runs is not known, and its answer to the host is taken for what it is for Windows.
   */
  readonly freezes?: 'applications' | 'file-systems';
}

interface Obstacle {
  readonly reason: string;
  readonly fix: string;
}

const ENABLED = 2;
/** 3: guest and host speak different versions, and it works. */
const USABLE_STATUS: ReadonlySet<number> = new Set([2, 3]);
const START_IT =
  'start the service vmicvss (Hyper-V Volume Shadow Copy Requestor) in a Windows guest, install and start hv_vss_daemon in a Linux guest';
const OBSTACLES: Readonly<Record<number, Obstacle>> = {
  7: {
    reason: 'the backup integration service of the guest is incompatible with this host',
    fix: 'update the integration services in the guest',
  },
  12: {
    reason: 'the backup integration service of the guest is not installed or has not started yet',
    fix: START_IT,
  },
  13: {
    reason: 'the backup integration service of the guest no longer answers',
    fix: 'restart the service vmicvss in a Windows guest, hv_vss_daemon in a Linux guest',
  },
};
const NOT_RUNNING: Obstacle = {
  reason: 'the guest is not running, so nobody can be asked for consistency',
  fix: 'start or resume the VM, or shut it down: a VM that is off is always consistent',
};
const SWITCHED_OFF: Obstacle = {
  reason: 'the backup integration service is switched off for this VM',
  fix: 'tick "Backup (volume checkpoint)" under Integration Services in the settings of the VM',
};

export async function readVssReadiness(
  host: Host,
  vmId: string,
  options: CallOptions,
): Promise<VssReadiness> {
  const { keys } = await vmReference(host, vmId, options);
  const query = wql`SELECT * FROM Msvm_VssComponent WHERE SystemName = ${keys['Name']!}`;
  const [component] = await Array.fromAsync(host.session.query(Msvm_VssComponent, query, options));
  const obstacle = obstacleOf(component);
  if (obstacle) return { ready: false, ...obstacle };
  const system = await guestSystem(host, keys['Name']!, options);
  if (system === undefined) return { ready: true };
  return { ready: true, freezes: /windows/i.test(system) ? 'applications' : 'file-systems' };
}

function obstacleOf(component: CimInstance<typeof Msvm_VssComponent> | undefined): Obstacle | undefined {
  if (!component) return NOT_RUNNING;
  if (component.EnabledState !== ENABLED) return SWITCHED_OFF;
  const status = component.OperationalStatus[0] ?? 0;
  if (USABLE_STATUS.has(status)) return undefined;
  const reason = `the backup integration service of the guest reports status ${status}`;
  return OBSTACLES[status] ?? { reason, fix: START_IT };
}

/** The name of the operating system as the guest's own service tells it; undefined when it tells nothing. */
async function guestSystem(host: Host, name: string, options: CallOptions): Promise<string | undefined> {
  const query = wql`SELECT * FROM Msvm_KvpExchangeComponent WHERE SystemName = ${name}`;
  try {
    const [component] = await Array.fromAsync(host.session.query(Msvm_KvpExchangeComponent, query, options));
    const items = (component?.GuestIntrinsicExchangeItems ?? []).map(pairOf);
    const system = items.find((pair) => pair?.name === 'OSName')?.data;
    return typeof system === 'string' && system !== '' ? system : undefined;
  } catch (error) {
    options.signal?.throwIfAborted();
    // The question is not worth a backup: what cannot be known is recorded as not known.
    if (isFault(error) && error.kind !== 'bug') return undefined;
    throw error;
  }
}

/** The text is the guest's, and may be anything: a pair that cannot be read is none. */
function pairOf(item: string): { name: unknown; data: unknown } | undefined {
  try {
    const { properties } = decodeEmbedded(item);
    return { name: properties['Name'], data: properties['Data'] };
  } catch {
    return undefined;
  }
}
