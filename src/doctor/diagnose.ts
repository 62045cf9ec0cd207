/**
 * What a backup needs from a host, looked at from the outside inwards; each finding says what was seen and how to mend it.
 *
 *   name ─► ports ─► WinRM service, certificate, clock ─► log-on ─► rights ─► Windows, VMs ─► disk files
 *
 * Only reads: no checkpoint is made, nothing is set. What can not be known that way is said, as `unproved`. A step that fails
 * lets those that need it be skipped; the others go on, so that one run tells all there is to mend.
 */
import { surveyHost, type HostSurvey } from '../hyperv/index.ts';
import { parseAddress } from '../winrm/index.ts';
import { dataPath } from './data-path.ts';
import { envelope } from './envelope.ts';
import { doctorFaults } from './faults.ts';
import { failed, ok, skipped, unproved, type Check, type Finding } from './finding.ts';
import { logOn } from './log-on.ts';
import { machines } from './machines.ts';
import type { FixContext } from './powershell.ts';
import { names, ports } from './reach.ts';
import { service } from './service.ts';
import type { DoctorTarget } from './target.ts';
import { space, windows, type WindowsLook } from './windows.ts';

const RIGHTS: Check = { id: 'rights', title: 'rights on Hyper-V' };
const INSIDE: Check = { id: 'inside', title: 'the host itself' };
const CHANGES: Check = { id: 'changes', title: 'making checkpoints' };

/** Throws the signal's reason, and nothing that a host can cause. */
export async function* diagnose(target: DoctorTarget, signal: AbortSignal): AsyncGenerator<Finding, void> {
  const { host, tls } = parseAddress(target.winrm.url);
  const context: FixContext = { user: target.winrm.credentials?.user ?? 'DOMAIN\\name', host, tls };
  let largestAnswer = 0;
  const tap = ({ answer }: { answer: string }): void => {
    largestAnswer = Math.max(largestAnswer, Buffer.byteLength(answer));
  };
  const reached = yield* outside(target, context, signal);
  const session = reached ? yield* logOn({ target, context, signal, tap }) : undefined;
  if (session) {
    const look = { session, context, signal };
    try {
      yield* inside(look, target, () => largestAnswer);
    } catch (error) {
      signal.throwIfAborted();
      yield failed(INSIDE, error, context);
    } finally {
      await session.close();
    }
  } else yield skipped(INSIDE, 'not looked at: nobody could log on');
}

/** Returns whether a WinRM service answers. */
async function* outside(
  target: DoctorTarget,
  context: FixContext,
  signal: AbortSignal,
): AsyncGenerator<Finding, boolean> {
  if (!(yield* names(target, context, signal))) return false;
  const open = yield* ports(target, context, signal);
  // Files are not needed to look further, the way to WinRM is: a tunnel, where no port of its own is named.
  const way = target.ports.some(({ use }) => use === 'winrm') ? 'winrm' : 'ssh';
  return open.has(way) && (yield* service(target, context, signal));
}

async function* inside(
  look: WindowsLook,
  target: DoctorTarget,
  largestAnswer: () => number,
): AsyncGenerator<Finding, void> {
  const { context, signal } = look;
  const survey = yield* rights(look);
  yield* windows(look);
  if (!survey) return;
  yield* machines(survey, context);
  yield await space(look, survey);
  const files = target.openFiles();
  try {
    yield await dataPath({ files, survey, context, signal });
  } finally {
    await files.close();
  }
  yield await envelope({ ...look, largestAnswer: largestAnswer() });
  yield unproved(CHANGES, 'not tried, because it changes the host: the first backup shows it');
}

/** Returns what the account sees; `undefined` when that is nothing. */
async function* rights(look: WindowsLook): AsyncGenerator<Finding, HostSurvey | undefined> {
  const { session, context, signal } = look;
  try {
    const survey = await surveyHost(session, { signal });
    const { hostName, vms } = survey;
    if (hostName === undefined && vms.length === 0) {
      yield failed(RIGHTS, doctorFaults.accountSeesNothing({ user: context.user }), context);
      return undefined;
    }
    const count = vms.length === 0 ? 'and no VM, so there is none' : `and ${vms.length} VMs`;
    yield ok(RIGHTS, `root/virtualization/v2 shows the host ${hostName} ${count}`);
    return survey;
  } catch (error) {
    signal.throwIfAborted();
    yield failed(RIGHTS, error, context);
    return undefined;
  }
}
