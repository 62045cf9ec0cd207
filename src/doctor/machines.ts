/** The VMs: which of them change tracking can not serve, and what has gathered on the host. */
import { isNamedByUs } from '../capture/index.ts';
import type { Checkpoint, HostSurvey, Vm } from '../hyperv/index.ts';
import { doctorFaults } from './faults.ts';
import { ok, warning, type Check, type Finding } from './finding.ts';
import { joinNames, type FixContext } from './powershell.ts';

const VERSIONS: Check = { id: 'vm-versions', title: 'VM versions' };
const OURS: Check = { id: 'leftovers', title: 'checkpoints of hvlift' };
const OTHERS: Check = { id: 'other-backups', title: 'other backups' };
const MERGES: Check = { id: 'merges', title: 'merges' };
const USERS: Check = { id: 'user-checkpoints', title: 'user checkpoints' };
const POINTS: Check = { id: 'reference-points', title: 'reference points' };

/** 6.2 to 7.x come from previews of Windows 10; from 8.0 on every source agrees that tracking works. */
const TRACKING_SINCE_VERSION = 8;
/** The screen is for reading; `hvlift vms` lists all. */
const LISTED_MAX = 8;

export function* machines(survey: HostSurvey, context: FixContext): Generator<Finding, void> {
  yield versions(survey, context);
  const recovery = survey.checkpoints.filter(({ kind }) => kind === 'recovery');
  const [ours, others] = [recovery.filter(isNamedByUs), recovery.filter((each) => !isNamedByUs(each))];
  yield leftovers(OURS, doctorFaults.checkpointOfOurs, ours, survey, context);
  yield leftovers(OTHERS, doctorFaults.checkpointOfOthers, others, survey, context);
  yield merges(survey, context);
  yield userCheckpoints(survey);
  yield referencePoints(survey);
}

function versions({ vms }: HostSurvey, context: FixContext): Finding {
  const old = vms.filter((vm) => Number.parseFloat(vm.configurationVersion ?? '') < TRACKING_SINCE_VERSION);
  if (old.length === 0) return ok(VERSIONS, `${counted(vms.length, 'VM')}, none older than 8.0`);
  const listed = list(old.map((vm) => `${vm.name} (${vm.configurationVersion})`));
  return warning(
    VERSIONS,
    doctorFaults.vmsTooOld({ vms: listed, names: joinNames(old.map(({ name }) => name)) }),
    context,
  );
}

function leftovers(
  check: Check,
  fault: typeof doctorFaults.checkpointOfOurs,
  checkpoints: readonly Checkpoint[],
  survey: HostSurvey,
  context: FixContext,
): Finding {
  if (checkpoints.length === 0) return ok(check, 'none');
  const names = checkpoints.map((each) => nameOf(survey, each.vmId));
  const listed = list(
    checkpoints.map(
      ({ name, createdAt }, index) =>
        `"${name}" of ${names[index]}${createdAt ? ` since ${minute(createdAt)}` : ''}`,
    ),
  );
  return warning(check, fault({ checkpoints: listed, vms: joinNames([...new Set(names)]) }), context);
}

/** A disk that writes to an AVHDX although its VM has no checkpoint: it merges, or the merge is stuck. */
function merges({ vms, disks, checkpoints }: HostSurvey, context: FixContext): Finding {
  const kept = new Set(checkpoints.map(({ vmId }) => vmId));
  const pending = vms
    .filter((vm) => !kept.has(vm.id))
    .flatMap((vm) =>
      disks
        .filter(({ ownerId, path }) => ownerId === vm.id && /\.avhdx?$/i.test(path))
        .map((disk) => ({ vm, disk })),
    );
  if (pending.length === 0) return ok(MERGES, 'none waits');
  const listed = list(pending.map(({ vm, disk }) => `${disk.path} of ${vm.name}${busy(vm)}`));
  return warning(MERGES, doctorFaults.mergePending({ disks: listed }), context);
}

const busy = (vm: Vm): string => (vm.busy === undefined ? '' : ` (${vm.busy})`);

function userCheckpoints(survey: HostSurvey): Finding {
  const made = survey.checkpoints.filter(({ kind }) => kind === 'user');
  if (made.length === 0) return ok(USERS, 'none');
  const names = [...new Set(made.map(({ vmId }) => nameOf(survey, vmId)))];
  return ok(
    USERS,
    `${made.length}, of ${list(names)}; backups work, and compare the disks as a whole after going back to one`,
  );
}

function referencePoints(survey: HostSurvey): Finding {
  const total = [...survey.referencePoints.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) return ok(POINTS, 'none');
  const vms = counted(survey.referencePoints.size, 'VM');
  return ok(POINTS, `${total}, of ${vms}; whose they are, no host can tell`);
}

function nameOf({ vms }: HostSurvey, vmId: string): string {
  return vms.find(({ id }) => id === vmId)?.name ?? vmId;
}

function list(items: readonly string[]): string {
  const more = items.length - LISTED_MAX;
  return items.slice(0, LISTED_MAX).join(', ') + (more > 0 ? `, and ${more} more` : '');
}

const minute = (date: Date): string => `${date.toISOString().slice(0, 16).replace('T', ' ')}Z`;
const counted = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
