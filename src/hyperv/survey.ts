/**
 * A whole host at a glance: what is on it and what has gathered there. Four enumerations, whose cost grows with pages and not
 * with VMs, so that a host of a thousand is looked at as fast as one of ten. For diagnosis: a backup asks VM by VM, because
 * listings by class may show things in the middle of a change.
 */
import { normaliseGuid } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { CimSession } from '../winrm/index.ts';
import { checkpointOf, type Checkpoint } from './checkpoints.ts';
import { Msvm_ComputerSystem } from './classes/computer-system.ts';
import { jobClass, Msvm_AffectedJobElement } from './classes/job.ts';
import { Msvm_VirtualSystemReferencePoint } from './classes/reference-point.ts';
import { Msvm_StorageAllocationSettingData, Msvm_VirtualSystemSettingData } from './classes/settings.ts';
import { VIRTUAL_DISK } from './disks.ts';
import { isCurrentSettings } from './settings.ts';
import { settingsOf, vmOf, type Vm } from './vms.ts';

export interface SurveyedDisk {
  /** GUID of the VM, or of the checkpoint that keeps the file; lower case. */
  readonly ownerId: string;
  readonly path: string;
}

export interface HostSurvey {
  /** The computer name in the host's own row; absent when the account sees nothing at all, not even that. */
  readonly hostName?: string;
  readonly vms: readonly Vm[];
  /** Of all VMs. */
  readonly checkpoints: readonly Checkpoint[];
  /** Current files of VMs, and frozen ones of checkpoints. */
  readonly disks: readonly SurveyedDisk[];
  /** Change-tracking reference points by VM. */
  readonly referencePoints: ReadonlyMap<string, number>;
}

export async function surveyHost(session: CimSession, options: CallOptions = {}): Promise<HostSurvey> {
  const systems = await Array.fromAsync(session.enumerate(Msvm_ComputerSystem, options));
  const host = systems.find((row) => normaliseGuid(row.Name) === undefined);
  const vms = new Map(
    systems.filter((row) => row !== host).map((row) => [normaliseGuid(row.Name)!, vmOf(row)]),
  );
  const checkpoints: Checkpoint[] = [];
  for await (const row of session.enumerate(Msvm_VirtualSystemSettingData, options)) {
    const vm = vms.get(normaliseGuid(row.VirtualSystemIdentifier ?? '') ?? '');
    // Templates and planned systems belong to no VM of the list.
    if (!vm) continue;
    if (isCurrentSettings(row)) vms.set(vm.id, { ...vm, ...settingsOf(row) });
    else checkpoints.push(checkpointOf(row, vm.id));
  }
  return {
    ...(host ? { hostName: host.Name } : {}),
    vms: [...vms.values()],
    checkpoints,
    disks: await disksOfHost(session, options),
    referencePoints: await referencePointCounts(session, options),
  };
}

async function disksOfHost(session: CimSession, options: CallOptions): Promise<SurveyedDisk[]> {
  const disks: SurveyedDisk[] = [];
  for await (const row of session.enumerate(Msvm_StorageAllocationSettingData, options)) {
    const [, owner = ''] = /^Microsoft:([0-9a-f-]{36})\\/i.exec(row.InstanceID) ?? [];
    const ownerId = normaliseGuid(owner);
    const [path] = row.HostResource;
    if (ownerId !== undefined && path && row.ResourceSubType === VIRTUAL_DISK) disks.push({ ownerId, path });
  }
  return disks;
}

async function referencePointCounts(session: CimSession, options: CallOptions): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const row of session.enumerate(Msvm_VirtualSystemReferencePoint, options)) {
    const id = normaliseGuid(row.VirtualSystemIdentifier);
    if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

/** How many jobs the host still remembers, and how many things they touched. */
export async function listJobs(
  session: CimSession,
  options: CallOptions = {},
): Promise<{ readonly jobs: number; readonly touched: number }> {
  const jobs = await Array.fromAsync(session.enumerate(jobClass('Msvm_ConcreteJob'), options));
  const touched = await Array.fromAsync(session.enumerate(Msvm_AffectedJobElement, options));
  return { jobs: jobs.length, touched: touched.length };
}
