/**
 * Turning a recovery checkpoint into a reference point. The host deletes the checkpoint while it does so, and the ids the
 * point keeps are those sealed when the checkpoint was made: what the guest wrote meanwhile belongs to the next increment.
 */
import type { CallOptions } from '../disk/index.ts';
import type { CimReference } from '../winrm/index.ts';
import { awaitEffect, changeHost, refusalFault } from './changes-on-host.ts';
import type { Checkpoint } from './checkpoints.ts';
import { Msvm_VirtualSystemReferencePoint } from './classes/reference-point.ts';
import { Msvm_VirtualSystemSnapshotService } from './classes/snapshot-service.ts';
import { createdBy, sameId } from './created-elements.ts';
import { hypervFaults } from './faults.ts';
import { serviceKeys, type Host } from './host.ts';
import {
  assertUndamaged,
  referencePointOf,
  referencePointRows,
  removeReferencePoint,
  type ReferencePoint,
  type ReferencePointRow,
} from './reference-points.ts';
import { settingsReference } from './settings.ts';
import { readVm } from './vms.ts';

const WHAT = 'turn the recovery checkpoint into a reference point';

/** Every read of the checkpoint's disks must have ended: the host merges into these files from here on. */
export async function convertCheckpoint(
  host: Host,
  checkpoint: Pick<Checkpoint, 'instanceId' | 'vmId'>,
  options: CallOptions,
): Promise<ReferencePoint> {
  const { vmId, instanceId } = checkpoint;
  const before = (await referencePointRows(host, vmId, options)).map((row) => row.InstanceID);
  const service = Msvm_VirtualSystemSnapshotService;
  const input = { AffectedSnapshot: settingsReference(instanceId), ReferencePointSettings: '' };
  const outcome = await changeHost<ReferencePointRow>(
    host,
    {
      what: WHAT,
      call: (call) =>
        host.session.invoke(service, serviceKeys(service), 'ConvertToReferencePoint', input, call),
      look: (job, call) => findMade(host, vmId, before, job, call),
      isBusy: async (call) => (await readVm(host, vmId, call)).busy !== undefined,
    },
    options,
  );
  if (outcome.kind === 'refused') {
    await removeMade(host, { vmId, before, job: outcome.refusal.job }, options);
    throw refusalFault(WHAT, outcome.refusal);
  }
  assertUndamaged(outcome.value);
  return referencePointOf(outcome.value, vmId);
}

interface Failed {
  readonly vmId: string;
  readonly before: readonly string[];
  readonly job: CimReference | undefined;
}

/**
 * A job may fail after it has made its point, which nobody would know to be ours. One that the job names is waited for, because
 * listings lag: whoever gets the refusal may rely on it that nothing is left.
 */
async function removeMade(host: Host, { vmId, before, job }: Failed, options: CallOptions): Promise<void> {
  if (!job) return;
  try {
    const look = (_job: unknown, call: CallOptions) => findMade(host, vmId, before, job, call);
    const named = await createdBy(host, job, Msvm_VirtualSystemReferencePoint.name, options);
    const isBusy = async (): Promise<boolean> => false;
    const made = await (named.length > 0
      ? awaitEffect(host, { look, isBusy }, undefined, options)
      : look(undefined, options));
    if (made) await removeReferencePoint(host, { vmId, instanceId: made.InstanceID }, options);
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw hypervFaults.referencePointLeft({ vm: vmId }, { cause });
  }
}

/** The new point: the only one that is new, or among several the one the job names as its work. */
async function findMade(
  host: Host,
  vmId: string,
  before: readonly string[],
  job: CimReference | undefined,
  options: CallOptions,
): Promise<ReferencePointRow | undefined> {
  const created = job ? await createdBy(host, job, Msvm_VirtualSystemReferencePoint.name, options) : [];
  const fresh = (await referencePointRows(host, vmId, options)).filter(
    (row) => !before.some((id) => sameId(id, row.InstanceID)),
  );
  const named = fresh.filter((row) => created.some((id) => sameId(id, row.InstanceID)));
  const candidates = named.length > 0 ? named : created.length > 0 ? [] : fresh;
  if (candidates.length > 1) throw hypervFaults.effectAmbiguous({ what: WHAT, count: candidates.length });
  return candidates[0];
}
