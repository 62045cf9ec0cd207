/** Log-ons by Windows itself: with a user and password, or as the account hvlift runs under. */
import type { Credentials } from '../ntlm/index.ts';
import { openInTurn } from './log-on-turn.ts';
import { CURRENT_USER } from './principal.ts';
import type { SecurityProvider } from './security-context.ts';
import { SspiContext } from './sspi-context.ts';
import type { PasswordIdentity, SecurityFunctions, SecurityPackage } from './sspi-functions.ts';
import { loadSspi } from './sspi-library.ts';

export interface SspiOptions {
  /** What stood against Kerberos, for messages. */
  readonly why?: string | undefined;
  /** For everything up to the first token. Default 30. */
  readonly timeoutSeconds?: number | undefined;
  /** Default: secur32.dll. */
  readonly functions?: (() => Promise<SecurityFunctions>) | undefined;
}

const TIMEOUT_SECONDS = 30;

/** The provider throws `KERBEROS_…`, `SSPI_…`, `NTLM_…` and the signal's reason. */
export function sspiSecurity(
  name: SecurityPackage,
  credentials: Credentials | undefined,
  options: SspiOptions = {},
): SecurityProvider {
  const { why, timeoutSeconds: seconds = TIMEOUT_SECONDS, functions: load = loadSspi } = options;
  const user = credentials?.name ?? CURRENT_USER;
  return async (target, signal) => {
    const functions = await load();
    return await openInTurn(functions, { user, seconds, signal }, async () => {
      const identity = credentials && (await identityOf(credentials));
      return await SspiContext.open(functions, { package: name, identity, target, user, why });
    });
  };
}

async function identityOf(credentials: Credentials): Promise<PasswordIdentity> {
  const { user, domain } = credentials;
  return { user, domain, password: await credentials.password() };
}
