/** The Kerberos name of a user, as far as it can be told from how Windows names are written. */
import { isIP } from 'node:net';
import type { Credentials } from '../ntlm/index.ts';

/** Whoever runs hvlift, in messages. */
export const CURRENT_USER = 'the current user';

/**
 * `ann@corp.example` and `corp.example\ann` are `ann@CORP.EXAMPLE`, because the realm of a Windows domain is its DNS name in
 * capitals; `CORP\ann` names a domain whose DNS name is not known here, and `ann` or `.\ann` an account of the host.
 */
export function principalOf({ user, domain }: Credentials): string | undefined {
  const [name, realm] = domain === '' ? splitAtLast(user, '@') : [user, domain];
  if (realm === undefined || name === '' || (domain !== '' && !domain.includes('.'))) return undefined;
  return realm === '' ? undefined : `${name}@${realm.toUpperCase()}`;
}

/** Services are registered by name: there is no ticket for an address. */
export function isNamed(host: string): boolean {
  return isIP(host) === 0;
}

function splitAtLast(text: string, separator: string): [string, string | undefined] {
  const at = text.lastIndexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
