/**
 * Which mechanism a log-on uses: Kerberos when it can be had, else NTLMv2, unless one is named.
 *
 * Only what shows that Kerberos is not to be had leads to NTLM: no library, no realm, no KDC, a service the KDC does not
 * know. A refused password does not: offering it a second time counts towards locking the account.
 */
import { hasCode, type Fault } from '../base/index.ts';
import type { Credentials } from '../ntlm/index.ts';
import { kerberosSecurity } from './kerberos.ts';
import { ntlmSecurity } from './ntlm-context.ts';
import { isNamed, principalOf } from './principal.ts';
import type { SecurityProvider } from './security-context.ts';

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
  'KERBEROS_NO_TICKET',
  'KERBEROS_TICKET_EXPIRED',
  'KERBEROS_SERVER_UNREACHABLE',
  'KERBEROS_SERVICE_UNKNOWN',
  'KERBEROS_TIMED_OUT',
];

export function securityFor(
  credentials: Credentials,
  { mechanism, keytab }: SecurityChoice,
): SecurityProvider {
  const kerberos = kerberosSecurity(credentials, { keytab });
  const ntlm = ntlmSecurity(credentials);
  if (mechanism === 'kerberos') return kerberos;
  if (mechanism === 'ntlm') return ntlm;
  return async (target, signal) => {
    if (principalOf(credentials) === undefined || !isNamed(target.host)) return await ntlm(target, signal);
    try {
      return await kerberos(target, signal);
    } catch (error) {
      if (!hasCode(error, ...NOT_TO_BE_HAD)) throw error;
      return await ntlmSecurity(credentials, (error as Fault).message)(target, signal);
    }
  };
}
