/** Kerberos for any number of log-ons of one user: with a keytab when one is given, else the ticket cache, else the password. */
import { hasCode, unlessAborted, withTimeout } from '../base/index.ts';
import type { Credentials } from '../ntlm/index.ts';
import { kerberosFaults } from './faults.ts';
import { GssContext } from './gss-context.ts';
import { loadGss } from './gss-library.ts';
import type { TicketSource } from './kerberos-ticket.ts';
import { isNamed, principalOf } from './principal.ts';
import type { SecurityContext, SecurityProvider, SecurityTarget } from './security-context.ts';

export interface KerberosOptions {
  /** A file with the user's key; then neither tickets nor the password are looked for. */
  readonly keytab?: string | undefined;
  /** For names, tickets and the first token together. Default 30. */
  readonly timeoutSeconds?: number | undefined;
}

/** Less than a first answer of DNS and KDC that are up needs by far; a KDC that is down is given up by the library after about 30 s. */
const TIMEOUT_SECONDS = 30;

/** The provider throws `KERBEROS_…` and the signal's reason. */
export function kerberosSecurity(credentials: Credentials, options: KerberosOptions = {}): SecurityProvider {
  const { keytab, timeoutSeconds = TIMEOUT_SECONDS } = options;
  return async (target, signal) => {
    const principal = demandedPrincipal(credentials, target);
    const gss = await loadGss();
    using deadline = withTimeout(timeoutSeconds * 1000, 'Kerberos', signal);
    const opening = gss.inTurn(() => {
      // It waited for its turn; a log-on nobody waits for would only hold up the next.
      deadline.signal.throwIfAborted();
      return openFirst(sourcesOf(credentials, keytab), (source) =>
        GssContext.open(gss, { principal, source, target }),
      );
    });
    try {
      return await unlessAborted(opening, deadline.signal, (late) => late[Symbol.dispose]());
    } catch (error) {
      if (signal?.aborted || !hasCode(error, 'RUN_TIMED_OUT')) throw error;
      throw kerberosFaults.timedOut({ user: principal, seconds: timeoutSeconds }, { cause: error });
    }
  };
}

function demandedPrincipal(credentials: Credentials, { host }: SecurityTarget): string {
  const principal = principalOf(credentials);
  const user = credentials.name;
  if (principal === undefined) throw kerberosFaults.noPrincipal({ user, reason: 'the realm is missing' });
  if (isNamed(host)) return principal;
  throw kerberosFaults.noPrincipal({ user, reason: `${host} is an address, and services are known by name` });
}

function sourcesOf(
  credentials: Credentials,
  keytab: string | undefined,
): readonly [TicketSource, ...TicketSource[]] {
  if (keytab !== undefined) return [{ kind: 'keytab', file: keytab }];
  return [{ kind: 'cache' }, { kind: 'password', password: () => credentials.password() }];
}

/** A cache without a usable ticket is no failure as long as there is another source. */
async function openFirst(
  [source, ...others]: readonly [TicketSource, ...TicketSource[]],
  open: (source: TicketSource) => Promise<SecurityContext>,
): Promise<SecurityContext> {
  const [next, ...rest] = others;
  try {
    return await open(source);
  } catch (error) {
    if (!next || !hasCode(error, 'KERBEROS_NO_TICKET', 'KERBEROS_TICKET_EXPIRED')) throw error;
    return await openFirst([next, ...rest], open);
  }
}
