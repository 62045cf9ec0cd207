/**
 * Reference points: marks that keep the host able to say what changed since. They carry no name of an owner, so whoever
 * makes one must write down its id.
 */
import { normaliseGuid } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { referenceTo, wql, type CimInstance } from '../winrm/index.ts';
import {
  Msvm_VirtualSystemReferencePoint,
  Msvm_VirtualSystemReferencePointService,
} from './classes/reference-point.ts';
import { ensureOnHost } from './changes-on-host.ts';
import { sameId } from './created-elements.ts';
import { hypervFaults } from './faults.ts';
import { serviceKeys, type Host } from './host.ts';
import { readVm, vmReference } from './vms.ts';

export interface TrackedDisk {
  /** InstanceID of the attachment at that time; the disk in it may be another one by now. */
  readonly attachmentId: string;
  /** Opaque; ask for changes with it. */
  readonly rctId: string;
}

export interface ReferencePoint {
  readonly instanceId: string;
  /** GUID, lower case. */
  readonly vmId: string;
  /** The level that was reached. */
  readonly consistency: 'application' | 'crash';
  /** The disks it can tell changes of; none when the host's two lists of them do not match. */
  readonly disks: readonly TrackedDisk[];
}

export type ReferencePointRow = CimInstance<typeof Msvm_VirtualSystemReferencePoint>;

const CHANGE_TRACKING = 2;
const APPLICATION_CONSISTENT = 1;

/**
 * Every change-tracking reference point of the VM, other products' included. One whose lists do not match is listed
 * without disks: nothing can be derived from it, and somebody else's broken one must not stop our backups.
 */
export async function listReferencePoints(
  host: Host,
  vmId: string,
  options: CallOptions,
): Promise<ReferencePoint[]> {
  return (await referencePointRows(host, vmId, options)).map((row) => referencePointOf(row, vmId));
}

/** Removes the point; one that is gone already is a success. */
export async function removeReferencePoint(
  host: Host,
  point: Pick<ReferencePoint, 'instanceId' | 'vmId'>,
  options: CallOptions,
): Promise<void> {
  const rowOf = async (options: CallOptions): Promise<ReferencePointRow | undefined> =>
    (await referencePointRows(host, point.vmId, options)).find((row) =>
      sameId(row.InstanceID, point.instanceId),
    );
  const row = await rowOf(options);
  if (!row) return;
  const service = Msvm_VirtualSystemReferencePointService;
  const AffectedReferencePoint = referenceTo(Msvm_VirtualSystemReferencePoint, row);
  await ensureOnHost(
    host,
    {
      what: `remove the reference point ${point.instanceId}`,
      call: (options) =>
        host.session.invoke(
          service,
          serviceKeys(service),
          'DestroyReferencePoint',
          { AffectedReferencePoint },
          options,
        ),
      look: async (_job, options) => ((await rowOf(options)) ? undefined : true),
      isBusy: async (options) => (await readVm(host, point.vmId, options)).busy !== undefined,
    },
    options,
  );
}

export async function referencePointRows(
  host: Host,
  vmId: string,
  options: CallOptions,
): Promise<ReferencePointRow[]> {
  const query = wql`ASSOCIATORS OF ${await vmReference(host, vmId, options)}
    WHERE AssocClass = Msvm_ReferencePointOfVirtualSystem ResultClass = Msvm_VirtualSystemReferencePoint`;
  const rows = await Array.fromAsync(host.session.query(Msvm_VirtualSystemReferencePoint, query, options));
  return rows.filter((row) => row.ReferencePointType === CHANGE_TRACKING);
}

export function referencePointOf(row: ReferencePointRow, vmId: string): ReferencePoint {
  const { VirtualDiskIdentifiers: attachments, ResilientChangeTrackingIdentifiers: rctIds } = row;
  const matching = attachments.length === rctIds.length;
  return {
    instanceId: row.InstanceID,
    vmId: normaliseGuid(row.VirtualSystemIdentifier) ?? vmId,
    consistency: row.ConsistencyLevel === APPLICATION_CONSISTENT ? 'application' : 'crash',
    disks: matching
      ? attachments.map((attachmentId, index) => ({ attachmentId, rctId: rctIds[index]! }))
      : [],
  };
}

/** Throws `HYPERV_REFERENCE_POINT_DAMAGED` when the host's lists of disks and of ids differ in length. */
export function assertUndamaged(row: ReferencePointRow): void {
  const [disks, rctIds] = [row.VirtualDiskIdentifiers.length, row.ResilientChangeTrackingIdentifiers.length];
  if (disks !== rctIds) {
    throw hypervFaults.referencePointDamaged({ referencePoint: row.InstanceID, disks, rctIds });
  }
}
