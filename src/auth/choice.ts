/**
 * Which mechanism a log-on uses: Kerberos when it can be had, else NTLMv2, unless one is named.
 *
 * Only what shows that Kerberos is not to be had leads to NTLM: no library, no realm, no KDC, a service the KDC does not
 * know. A refused password does not: offering it a second time counts towards locking the account.
 */
import { hasCode } from '../base/index.ts';
import type { Credentials } from '../ntlm/index.ts';
import { kerberosFaults, logOnFaults } from './faults.ts';
import { kerberosSecurity } from './kerberos.ts';
import { ntlmSecurity } from './ntlm-context.ts';
import { isNamed, principalOf } from './principal.ts';
import type { SecurityProvider } from './security-context.ts';
import { sspiSecurity } from './sspi.ts';

export const MECHANISMS = ['auto', 'kerberos', 'ntlm'] as const;
export type Mechanism = (typeof MECHANISMS)[number];

export interface SecurityChoice {
  /** Default `auto`. */
  readonly mechanism?: Mechanism | undefined;
  /** A file with the user's Kerberos key, used instead of tickets and the password. */
  readonly keytab?: string | undefined;
}

const NOT_TO_BE_HAD = [
  'KERBEROS_UNAVAILABLE',
  'SSPI_UNAVAILABLE',
  'KERBEROS_NO_TICKET',
  'KERBEROS_TICKET_EXPIRED',
  'KERBEROS_SERVER_UNREACHABLE',
  'KERBEROS_SERVICE_UNKNOWN',
  'KERBEROS_TIMED_OUT',
];

/** `credentials` are left out for whoever runs hvlift: the account on Windows, elsewhere the owner of the ticket cache. */
export function securityFor(
  credentials: Credentials | undefined,
  choice: SecurityChoice,
  platform: NodeJS.Platform = process.platform,
): SecurityProvider {
  const { kerberos, ntlm, mayHaveTickets } = (platform === 'win32' ? byWindows : byGss)(credentials, choice);
  if (choice.mechanism === 'kerberos') return kerberos;
  if (choice.mechanism === 'ntlm') return ntlm();
  return async (target, signal) => {
    if (!mayHaveTickets || !isNamed(target.host)) return await ntlm()(target, signal);
    try {
      return await kerberos(target, signal);
    } catch (error) {
      if (!hasCode(error, ...NOT_TO_BE_HAD) || (!credentials && platform !== 'win32')) throw error;
      return await ntlm(error.message)(target, signal);
    }
  };
}

interface Mechanisms {
  readonly kerberos: SecurityProvider;
  /** `why`: what stood against Kerberos. */
  readonly ntlm: (why?: string) => SecurityProvider;
  /** False for accounts of the host, and where the realm can not be told. */
  readonly mayHaveTickets: boolean;
}

function byGss(credentials: Credentials | undefined, { keytab }: SecurityChoice): Mechanisms {
  return {
    kerberos: kerberosSecurity(credentials, { keytab }),
    ntlm: (why) => (credentials ? ntlmSecurity(credentials, why) : withoutPassword),
    mayHaveTickets: !credentials || principalOf(credentials) !== undefined,
  };
}

/** Windows itself finds the realm of `CORP\ann`, and has an NTLM for the account hvlift runs under. */
function byWindows(credentials: Credentials | undefined, { keytab, mechanism }: SecurityChoice): Mechanisms {
  const own = mechanism === 'ntlm' ? 'NTLM' : 'Negotiate';
  return {
    kerberos: keytab === undefined ? sspiSecurity('Kerberos', credentials) : withoutKeytabs(keytab),
    ntlm: (why) => (credentials ? ntlmSecurity(credentials, why) : sspiSecurity(own, undefined, { why })),
    mayHaveTickets: !credentials || credentials.domain !== '' || credentials.user.includes('@'),
  };
}

const withoutPassword: SecurityProvider = async ({ host }) => {
  throw logOnFaults.noPassword({ method: 'NTLM', host });
};

function withoutKeytabs(keytab: string): SecurityProvider {
  return async () => {
    throw kerberosFaults.keytabUnusable({ keytab, user: 'a user', reason: 'Windows logs nobody on by one' });
  };
}
