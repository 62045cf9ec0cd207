/**
 * What can be protected is decided before the checkpoint is made, and what cannot is said then, all of it at once.
 *
 *   refused    keeps the VM from being backed up          thrown before anything is done to the host
 *   warning    the restore point is good, and lacks something or promises less      in the record of every run
 *   note       explains what somebody may wonder about    in a plan, and in the progress of a run
 *
 * Disks that a guest attaches by itself (iSCSI, SMB, Fibre Channel) show nowhere on the host.
 */
import { warningOf, type Fault, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type {
  AttachedDisk,
  Checkpoint,
  HostVolume,
  Vm,
  VmConfiguration,
  VssReadiness,
} from '../hyperv/index.ts';
import { readVmConfiguration } from './configuration-record.ts';
import { captureFaults } from './faults.ts';
import { consistencyFault, readGuest } from './freeze.ts';
import { slotOf } from './frozen-disks.ts';
import { spaceFaults, volumesOf, volumesUnder } from './room.ts';
import type { SourceHost } from './source-host.ts';
import type { CapturedDisk, CaptureRequest, LeftOutDisk } from './source.ts';
import { surveyDisks, type SurveyedDisk } from './surveyed-disks.ts';

/** 6.2 to 7.x come from previews of Windows 10; from 8.0 on every source agrees that tracking works. */
const TRACKING_SINCE_VERSION = 8;
/** A host allows 50 checkpoints of a VM; half of that reads at a third of the speed, and merges for hours. */
const CHAIN_FILES_MAX = 25;

export interface Preflight {
  readonly trackable: boolean;
  readonly guest: VssReadiness | undefined;
  readonly disks: readonly SurveyedDisk[];
  /** Slots that will be in the restore point. */
  readonly slots: ReadonlySet<string>;
  readonly leftOut: readonly LeftOutDisk[];
  readonly configuration: VmConfiguration;
  /** Those of the disks. */
  readonly volumes: readonly HostVolume[];
  readonly refusals: readonly Fault[];
  readonly warnings: readonly Warning[];
  readonly notes: readonly Fault[];
}

/** `others`: checkpoints of the VM that are not ours. */
export async function preflight(
  host: SourceHost,
  vm: Vm,
  request: CaptureRequest,
  others: readonly Checkpoint[],
  options: CallOptions,
): Promise<Preflight> {
  const { hyperv } = host;
  const asked = { ...request.disks, chainMax: request.chainFilesMax ?? CHAIN_FILES_MAX };
  const disks = await surveyDisks(host, vm, asked, options);
  const kept = disks.filter((disk) => !disk.deselected && !disk.unprotectable);
  const paths = kept.map(({ attached }) => attached.path);
  const volumes = volumesUnder(paths, await volumesOf(hyperv, vm.id, options));
  const guest = await readGuest(hyperv, vm, request.consistency, options);
  const { configuration, warnings } = await readVmConfiguration(hyperv, vm, options);
  const skips = request.skipUnprotectable ?? false;
  const found = { vm, disks, kept, volumes, guest, request, others };
  const trackable = Number.parseFloat(vm.configurationVersion ?? '0') >= TRACKING_SINCE_VERSION;
  return {
    trackable,
    guest,
    disks,
    slots: new Set(kept.map(({ attached }) => slotOf(attached))),
    leftOut: disks.filter((disk) => !kept.includes(disk)).map(leftOutDisk),
    configuration,
    volumes,
    refusals: refusalsOf(found),
    warnings: [
      ...(skips ? unprotectableOf(disks).map(leftOutWarning) : []),
      ...(trackable ? [] : [tooOld(vm)]),
      ...standing(vm, configuration),
      ...warnings,
    ],
    notes: notesOf(vm, others),
  };
}

interface Found {
  readonly vm: Vm;
  readonly disks: readonly SurveyedDisk[];
  readonly kept: readonly SurveyedDisk[];
  readonly volumes: readonly HostVolume[];
  readonly guest: VssReadiness | undefined;
  readonly request: CaptureRequest;
  readonly others: readonly Checkpoint[];
}

function refusalsOf({ vm, disks, kept, volumes, guest, request, others }: Found): Fault[] {
  const foreign = others.find(({ kind }) => kind === 'recovery');
  const isRequired = request.consistency === 'application-required';
  const inconsistent = isRequired ? consistencyFault(vm, request.consistency, guest) : undefined;
  const unprotectable = request.skipUnprotectable ? [] : unprotectableOf(disks);
  return [
    ...(vm.busy === undefined ? [] : [captureFaults.vmBusy({ vm: vm.name, activity: vm.busy })]),
    ...(foreign ? [captureFaults.foreignCheckpoint({ vm: vm.name, checkpoint: foreign.name })] : []),
    ...unprotectable,
    ...(kept.length === 0 && unprotectable.length === 0 ? [captureFaults.noDisks({ vm: vm.name })] : []),
    ...kept.flatMap(({ unreachable }) => unreachable ?? []),
    ...spaceFaults(vm.name, volumes),
    ...(inconsistent ? [inconsistent] : []),
  ];
}

function unprotectableOf(disks: readonly SurveyedDisk[]): Fault[] {
  return disks.flatMap(({ unprotectable }) => unprotectable ?? []);
}

/** The one that there is, or one that tells of all. */
export function throwRefusals(vm: Vm, refusals: readonly Fault[]): void {
  const [first, ...more] = refusals;
  if (!first) return;
  if (more.length === 0) throw first;
  const obstacles = refusals.map(({ code, message, remedy }) => `${code}: ${message}; do: ${remedy}`);
  throw captureFaults.severalObstacles({
    vm: vm.name,
    count: refusals.length,
    obstacles: obstacles.join('\n'),
  });
}

function leftOutDisk({ number, attached, info, unprotectable }: SurveyedDisk): LeftOutDisk {
  return {
    number,
    attachment: attachmentOf({ attached }),
    ...(info?.virtualDiskId === undefined ? {} : { diskId: info.virtualDiskId }),
    path: pathOf(attached),
    reason: unprotectable ? 'unprotectable' : 'asked',
    why: unprotectable?.message ?? 'the run was asked to leave it out',
  };
}

/** A physical disk is no file; its object path, of 150 letters, says nothing to anybody. */
export function pathOf({ kind, path, controller, slot }: AttachedDisk): string {
  return kind === 'virtual' ? path : `physical disk at ${controller.kind} ${controller.number}:${slot}`;
}

export function attachmentOf({ attached }: Pick<SurveyedDisk, 'attached'>): CapturedDisk['attachment'] {
  const { controller, slot } = attached;
  return { controller: controller.kind, controllerNumber: controller.number, slot };
}

const leftOutWarning = ({ message }: Fault): Warning =>
  warningOf(captureFaults.diskLeftOut({ why: message }));

function tooOld(vm: Vm): Warning {
  const version = vm.configurationVersion ?? 'unknown';
  return warningOf(captureFaults.trackingUnsupported({ version, vm: vm.name }));
}

/** What a VM is, as long as nobody changes it. */
function standing({ name, replication }: Vm, { security }: VmConfiguration): Warning[] {
  const isCopy = replication !== undefined && replication !== 'primary';
  return [
    ...(isCopy ? [warningOf(captureFaults.replicaVm({ vm: name, role: replication }))] : []),
    ...(security.shielded ? [warningOf(captureFaults.shielded({ vm: name }))] : []),
  ];
}

function notesOf({ name, replication }: Vm, others: readonly Checkpoint[]): Fault[] {
  const count = others.filter(({ kind }) => kind === 'user').length;
  return [
    ...(count > 0 ? [captureFaults.userCheckpoints({ vm: name, count })] : []),
    ...(replication === 'primary' ? [captureFaults.primaryOfReplica({ vm: name })] : []),
  ];
}
