/** Checkpoints: listed, and destroyed. Those of ours are made in {@link file://./recovery-checkpoint.ts}. */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { wql, type CimInstance } from '../winrm/index.ts';
import { ensureOnHost } from './changes-on-host.ts';
import { Msvm_VirtualSystemSettingData } from './classes/settings.ts';
import { Msvm_VirtualSystemSnapshotService } from './classes/snapshot-service.ts';
import { sameId } from './created-elements.ts';
import { serviceKeys, type Host } from './host.ts';
import { settingsReference } from './settings.ts';
import { readVm, vmReference } from './vms.ts';

export interface Checkpoint {
  /** `Microsoft:<GUID>`. */
  readonly instanceId: string;
  /** GUID, lower case. */
  readonly vmId: string;
  readonly name: string;
  /** `recovery` is a backup's, ours or another product's; `user` was made in Hyper-V Manager. */
  readonly kind: 'recovery' | 'user' | 'other';
  /** By the host's clock. */
  readonly createdAt?: Date;
}

const KINDS: Readonly<Record<string, Checkpoint['kind']>> = {
  'Microsoft:Hyper-V:Snapshot:Recovery': 'recovery',
  'Microsoft:Hyper-V:Snapshot:Realized': 'user',
};

export async function listCheckpoints(host: Host, vmId: string, options: CallOptions): Promise<Checkpoint[]> {
  const query = wql`ASSOCIATORS OF ${await vmReference(host, vmId, options)}
    WHERE AssocClass = Msvm_SnapshotOfVirtualSystem ResultClass = Msvm_VirtualSystemSettingData`;
  const rows = await Array.fromAsync(host.session.query(Msvm_VirtualSystemSettingData, query, options));
  return rows.map((row) => checkpointOf(row, vmId));
}

/**
 * The checkpoint still has the name that Hyper-V gives by itself, in the host's own format of date and time: `VM - (date - time)`,
 * on older hosts `VM - Backup - (date - time)`. Whatever has another name, somebody named.
 */
export function isNamedByHost({ name }: Pick<Checkpoint, 'name'>, vmName: string): boolean {
  return name.startsWith(`${vmName} - `) && name.endsWith(')');
}

/** One checkpoint by its InstanceID, also before listings show it; undefined when there is none. */
export async function readCheckpoint(
  host: Host,
  vmId: string,
  instanceId: string,
  options: CallOptions,
): Promise<Checkpoint | undefined> {
  try {
    const keys = settingsReference(instanceId).keys;
    return checkpointOf(await host.session.get(Msvm_VirtualSystemSettingData, keys, options), vmId);
  } catch (error) {
    if (hasCode(error, 'WINRM_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Destroys the checkpoint; one that is gone already is a success. Its disks merge afterwards, see `waitForMerge`. */
export async function removeCheckpoint(
  host: Host,
  checkpoint: Pick<Checkpoint, 'instanceId' | 'vmId'>,
  options: CallOptions,
): Promise<void> {
  const { vmId, instanceId } = checkpoint;
  const service = Msvm_VirtualSystemSnapshotService;
  await ensureOnHost(
    host,
    {
      what: `remove the checkpoint ${instanceId}`,
      call: (options) =>
        host.session.invoke(
          service,
          serviceKeys(service),
          'DestroySnapshot',
          { AffectedSnapshot: settingsReference(instanceId) },
          options,
        ),
      look: async (_job, options) => ((await isThere(host, vmId, instanceId, options)) ? undefined : true),
      isBusy: async (options) => (await readVm(host, vmId, options)).busy !== undefined,
    },
    options,
  );
}

/** A checkpoint just made may be missing from listings for a while, and calling it gone then would leave it for ever. */
async function isThere(host: Host, vmId: string, instanceId: string, options: CallOptions): Promise<boolean> {
  if (await readCheckpoint(host, vmId, instanceId, options)) return true;
  const checkpoints = await listCheckpoints(host, vmId, options);
  return checkpoints.some((checkpoint) => sameId(checkpoint.instanceId, instanceId));
}

export function checkpointOf(
  row: CimInstance<typeof Msvm_VirtualSystemSettingData>,
  vmId: string,
): Checkpoint {
  const createdAt = row.CreationTime?.date;
  return {
    instanceId: row.InstanceID,
    vmId,
    name: row.ElementName ?? '',
    kind: KINDS[row.VirtualSystemType ?? ''] ?? 'other',
    ...(createdAt ? { createdAt } : {}),
  };
}
