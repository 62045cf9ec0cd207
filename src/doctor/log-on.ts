/**
 * The log-on, one mechanism after the other, as `auto` would try them, and why each failed.
 *
 * A password that was refused once is not shown a second time, by whatever mechanism: each try counts towards the lock-out of
 * the account, and with it of everything else that uses it.
 */
import { hasCode, isFault } from '../base/index.ts';
import { openWinrm, type AuthMethod, type WinrmSession } from '../winrm/index.ts';
import type { ApproachOptions } from './approach.ts';
import { doctorFaults } from './faults.ts';
import { failed, ok, skipped, warning, type Check, type Finding } from './finding.ts';
import type { FixContext } from './powershell.ts';

const PASSWORD_REFUSED = [
  'WINRM_AUTHENTICATION_FAILED',
  'KERBEROS_PASSWORD_REFUSED',
  'KERBEROS_ACCOUNT_REFUSED',
];
/** Nothing is wrong with a host of no domain, or a machine without the library: there is simply no Kerberos to be had. */
const NO_KERBEROS = ['KERBEROS_UNAVAILABLE', 'KERBEROS_NO_PRINCIPAL'];
const NAMES: Readonly<Record<AuthMethod, string>> = {
  auto: 'log-on',
  kerberos: 'log-on by Kerberos',
  ntlm: 'log-on by NTLM',
  basic: 'log-on by Basic',
  certificate: 'log-on by certificate',
};
/** Large answers show what the envelope allows. */
const PAGE_SIZE = 512;

/** Returns the session of the first mechanism that works; the caller closes it. */
export async function* logOn(options: ApproachOptions): AsyncGenerator<Finding, WinrmSession | undefined> {
  const { auth = 'auto' } = options.target.winrm;
  const methods: AuthMethod[] = auth === 'auto' ? ['kerberos', 'ntlm'] : [auth];
  let missed: Error | undefined;
  for (const [index, method] of methods.entries()) {
    const outcome = await attempt(method, options);
    if (!(outcome instanceof Error)) {
      yield ok(checkOf(method), identityOf(outcome, options));
      if (missed) yield* autoToo(missed, options);
      return outcome;
    }
    const final =
      index === methods.length - 1 || hasCode(outcome, ...PASSWORD_REFUSED) || isOfNetwork(outcome);
    if (final) {
      yield failed(checkOf(method), outcome, options.context);
      for (const left of methods.slice(index + 1)) yield skipped(checkOf(left), notTried(outcome));
      return undefined;
    }
    yield missedKerberos(outcome, options.context);
    missed = outcome;
  }
  return undefined;
}

async function attempt(auth: AuthMethod, options: ApproachOptions): Promise<WinrmSession | Error> {
  const { target, signal, tap } = options;
  try {
    return await openWinrm({ ...target.winrm, auth, signal, tap, pageSize: PAGE_SIZE });
  } catch (error) {
    signal.throwIfAborted();
    return error as Error;
  }
}

const checkOf = (method: AuthMethod): Check => ({ id: `log-on-${method}`, title: NAMES[method] });

function identityOf({ identity }: WinrmSession, { context }: ApproachOptions): string {
  const introduced = identity ? `${identity.vendor}, ${identity.version}` : 'it does not introduce itself';
  return `${context.user}; Identify: ${introduced}`;
}

function notTried(error: Error): string {
  return hasCode(error, ...PASSWORD_REFUSED)
    ? 'not tried: the password was refused, and trying it again could lock the account'
    : 'not tried: the host was not reached';
}

function isOfNetwork(error: Error): boolean {
  return isFault(error) && /^(WINRM_(UNREACHABLE|CONNECTION_LOST|TIMED_OUT|TLS|CERT)|SSH_)/.test(error.code);
}

function missedKerberos(error: Error, context: FixContext): Finding {
  const check = checkOf('kerberos');
  if (!isFault(error)) throw error;
  return hasCode(error, ...NO_KERBEROS) ? skipped(check, error.message) : warning(check, error, context);
}

/** `auto` leaves Kerberos for NTLM only when there is none to be had; where it broke, backups break with it. */
async function* autoToo(missed: Error, options: ApproachOptions): AsyncGenerator<Finding, void> {
  if (hasCode(missed, ...NO_KERBEROS)) return;
  const outcome = await attempt('auto', options);
  if (outcome instanceof Error) {
    const fault = doctorFaults.autoStops({ reason: outcome.message }, { cause: outcome });
    yield failed(checkOf('auto'), fault, options.context);
  } else await outcome.close();
}
