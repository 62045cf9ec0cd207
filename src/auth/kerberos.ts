/** Kerberos for any number of log-ons of one user: with a keytab when one is given, else the ticket cache, else the password. */
import { hasCode } from '../base/index.ts';
import type { Credentials } from '../ntlm/index.ts';
import { kerberosFaults } from './faults.ts';
import { GssContext } from './gss-context.ts';
import { loadGss } from './gss-library.ts';
import type { TicketSource } from './kerberos-ticket.ts';
import { openInTurn } from './log-on-turn.ts';
import { CURRENT_USER, isNamed, principalOf } from './principal.ts';
import type { SecurityContext, SecurityProvider } from './security-context.ts';

export interface KerberosOptions {
  /** A file with the user's key; then neither tickets nor the password are looked for. */
  readonly keytab?: string | undefined;
  /** For names, tickets and the first token together. Default 30. */
  readonly timeoutSeconds?: number | undefined;
}

/** Less than a first answer of DNS and KDC that are up needs by far; a KDC that is down is given up by the library after about 30 s. */
const TIMEOUT_SECONDS = 30;

/** Without credentials: the tickets of whoever runs hvlift. The provider throws `KERBEROS_…` and the signal's reason. */
export function kerberosSecurity(
  credentials: Credentials | undefined,
  options: KerberosOptions = {},
): SecurityProvider {
  const { keytab, timeoutSeconds: seconds = TIMEOUT_SECONDS } = options;
  return async (target, signal) => {
    const user = credentials?.name ?? CURRENT_USER;
    const principal = credentials && demandedPrincipal(credentials);
    if (!isNamed(target.host)) {
      const reason = `${target.host} is an address, and services are known by name`;
      throw kerberosFaults.noPrincipal({ user, reason });
    }
    const gss = await loadGss();
    const wait = { user: principal ?? user, seconds, signal };
    return await openInTurn(gss, wait, () =>
      openFirst(sourcesOf(credentials, keytab), (source) =>
        GssContext.open(gss, { principal, source, target }),
      ),
    );
  };
}

function demandedPrincipal(credentials: Credentials): string {
  const principal = principalOf(credentials);
  if (principal !== undefined) return principal;
  throw kerberosFaults.noPrincipal({ user: credentials.name, reason: 'the realm is missing' });
}

function sourcesOf(
  credentials: Credentials | undefined,
  keytab: string | undefined,
): readonly [TicketSource, ...TicketSource[]] {
  if (!credentials) return [{ kind: 'cache' }];
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
