/** What the account sees of Hyper-V. Nothing at all means that Windows hides it. */
import { surveyHost, type HostSurvey } from '../hyperv/index.ts';
import { doctorFaults } from './faults.ts';
import { failed, ok, type Check, type Finding } from './finding.ts';
import type { WindowsLook } from './windows.ts';

const RIGHTS: Check = { id: 'rights', title: 'rights on Hyper-V' };

/** Returns what the account sees; `undefined` when that is nothing. */
export async function* rights(look: WindowsLook): AsyncGenerator<Finding, HostSurvey | undefined> {
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
