/** The part of a host's configuration that says how to log on to WinRM, and which of it fits together. */
import type { AUTH_METHODS } from './engine.ts';

export interface LogOnConfig {
  readonly url: string;
  readonly user?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly passwordEnv?: string | undefined;
  readonly auth?: (typeof AUTH_METHODS)[number] | undefined;
  readonly keytabFile?: string | undefined;
  readonly certificateFile?: string | undefined;
  readonly certificateKeyFile?: string | undefined;
  readonly insecure?: boolean | undefined;
  readonly caFile?: string | undefined;
  readonly fingerprint256?: string | undefined;
}

export interface LogOnProblem {
  readonly path: [keyof LogOnConfig];
  readonly message: string;
}

/** What protects nothing, or is for another method than the one named. */
export function logOnProblems(host: LogOnConfig): LogOnProblem[] {
  const { auth, insecure } = host;
  const tls = host.url.startsWith('https:');
  const found: LogOnProblem[] = [];
  const check = (wrong: boolean, key: keyof LogOnConfig, message: string): void =>
    void (wrong && found.push({ path: [key], message }));
  const shown = auth === 'basic' || auth === 'certificate';
  check(shown && !tls, 'auth', `may be ${auth} only with an https url`);
  check(
    shown && insecure === true,
    'insecure',
    `can not be with auth ${auth}: anybody could be at the other end`,
  );
  const whose = (['passwordFile', 'passwordEnv', 'keytabFile'] as const).find(
    (key) => host[key] !== undefined,
  );
  check(host.user === undefined && whose !== undefined, 'user', `is missing, whose ${whose} is given`);
  check(
    host.user === undefined && auth === 'basic',
    'user',
    'is missing, without whom there is no auth basic',
  );
  const pinned = host.fingerprint256 !== undefined || host.caFile !== undefined;
  check(insecure === true && pinned, 'insecure', 'stands beside caFile or fingerprint256; keep one of them');
  check(
    host.keytabFile !== undefined && (shown || auth === 'ntlm'),
    'keytabFile',
    'belongs to auth kerberos',
  );
  const certificate = auth === 'certificate';
  for (const key of ['certificateFile', 'certificateKeyFile'] as const) {
    check(certificate && host[key] === undefined, key, 'is missing');
    check(!certificate && host[key] !== undefined, key, 'belongs to auth certificate');
  }
  return found;
}
