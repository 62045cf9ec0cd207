/** From how a host is configured to the options of the clients that reach it. Secrets are read when a client asks for them. */
import { readFile } from 'node:fs/promises';
import type { SecurityChoice } from '../auth/index.ts';
import {
  createFsHostFiles,
  createSftpHostFiles,
  createSmbHostFiles,
  type HostFiles,
} from '../hostfile/index.ts';
import { createSshTunnel, type SshOptions } from '../ssh/index.ts';
import type { WinrmOptions } from '../winrm/index.ts';
import { hostOf } from './config-values.ts';
import type { HostAccess, SshAccess } from './engine.ts';

export async function winrmOptions(
  access: HostAccess,
  { createConnection }: WayToWinrm,
): Promise<WinrmOptions> {
  const { caFile, fingerprint256, sessions } = access;
  return {
    url: access.url,
    ...namedUser(access),
    ...(caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }),
    ...(fingerprint256 === undefined ? {} : { fingerprint256 }),
    ...(await logOnOptions(access)),
    ...(sessions === undefined ? {} : { sessions }),
    ...(createConnection ? { createConnection } : {}),
  };
}

/** By SMB with the account of the host: its own files, and those of shares that a mapping names. */
export function hostFiles(access: HostAccess): HostFiles {
  const { kind, ...options } = access.files;
  if (kind === 'fs') return createFsHostFiles(options);
  if (kind === 'sftp') return createSftpHostFiles({ ...sshOptions(access), mappings: options.mappings });
  return createSmbHostFiles({
    host: hostOf(access.url),
    ...namedUser(access),
    ...smbSecurity(access),
    ...options,
  });
}

/** Files go by the mechanism that is named for WinRM; SMB knows neither of the two that show a secret or a certificate. */
function smbSecurity({ logOn = {} }: HostAccess): SecurityChoice {
  const { auth = 'auto', keytab } = logOn;
  return {
    mechanism: auth === 'kerberos' || auth === 'ntlm' ? auth : 'auto',
    ...(keytab === undefined ? {} : { keytab }),
  };
}

type LogOnOptions = Pick<WinrmOptions, 'auth' | 'keytab' | 'insecure' | 'clientCertificate'>;

async function logOnOptions({ logOn = {} }: HostAccess): Promise<LogOnOptions> {
  const { clientCertificate: files, ...options } = logOn;
  if (!files) return options;
  const [certificate, key] = await Promise.all(
    [files.certificateFile, files.keyFile].map((file) => readFile(file, 'utf8')),
  );
  return { ...options, clientCertificate: { certificate: certificate!, key: key! } };
}

function sshOptions(access: HostAccess): SshOptions {
  const { host, port, user, hostKey, usePassword } = access.ssh!;
  return {
    host,
    port,
    user,
    hostKey,
    logOn: {
      ...sshLogOn(access.ssh!),
      ...(usePassword ? { password: credentialsOf(access).password } : {}),
    },
  };
}

export function sshLogOn({ agent, key }: Partial<Pick<SshAccess, 'agent' | 'key'>>): SshOptions['logOn'] {
  return {
    ...(agent === undefined ? {} : { agent }),
    ...(key ? { key: { path: key.path, passphrase: async () => (await key.passphrase()).reveal() } } : {}),
  };
}

export interface WayToWinrm {
  readonly createConnection?: NonNullable<WinrmOptions['createConnection']>;
  close(): Promise<void>;
}

/** Where WinRM goes: straight to the host, or through its SSH server, for which the host itself is 127.0.0.1. */
export function wayToWinrm(access: HostAccess): WayToWinrm {
  if (!access.viaSsh) return { close: async () => undefined };
  const tunnel = createSshTunnel(sshOptions(access));
  const sameMachine = access.ssh!.host === hostOf(access.url);
  return {
    createConnection: (host, port, signal) => tunnel.connect(sameMachine ? '127.0.0.1' : host, port, signal),
    close: () => tunnel.close(),
  };
}

function namedUser(access: HostAccess): Pick<WinrmOptions, 'credentials'> {
  return access.asCurrentUser ? {} : { credentials: credentialsOf(access) };
}

function credentialsOf(access: HostAccess): { user: string; password: () => Promise<string> } {
  return { user: access.user, password: async () => (await access.password()).reveal() };
}
