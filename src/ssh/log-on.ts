/** By which methods we log on, in this order: the agent, the key, the password; each only when it was named. RFC 4252. */
import { readFile } from 'node:fs/promises';
import type { AnyAuthMethod, ParsedKey } from 'ssh2';
import { failureReason } from '../base/index.ts';
import { sshFaults } from './faults.ts';

export interface LogOnMethods {
  /** Path of the agent's socket (`SSH_AUTH_SOCK`), or its pipe on Windows. */
  readonly agent?: string;
  readonly key?: {
    /** A private key in the format of OpenSSH or PEM. */
    readonly path: string;
    /** Asked only when the key is encrypted. */
    readonly passphrase?: () => Promise<string>;
  };
  readonly password?: () => Promise<string>;
}

/** Throws `SSH_NO_METHOD`, `SSH_KEY_UNUSABLE`, and what the callbacks throw. */
export async function authMethods(
  host: string,
  username: string,
  methods: LogOnMethods,
): Promise<AnyAuthMethod[]> {
  const { agent, key, password } = methods;
  const list: AnyAuthMethod[] = [];
  if (agent !== undefined) list.push({ type: 'agent', username, agent });
  if (key) list.push({ type: 'publickey', username, key: await loadKey(key) });
  if (password) list.push({ type: 'password', username, password: await password() });
  if (list.length === 0) throw sshFaults.noMethod({ host, user: username });
  return list;
}

async function loadKey({ path, passphrase }: NonNullable<LogOnMethods['key']>): Promise<ParsedKey> {
  const unusable = (reason: string, cause?: unknown): Error =>
    sshFaults.keyUnusable({ path, reason }, { cause });
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw unusable(failureReason(error), error);
  });
  const { default: ssh2 } = await import('ssh2');
  const plain = parsed(ssh2, bytes);
  const key = needsPassphrase(plain) && passphrase ? parsed(ssh2, bytes, await passphrase()) : plain;
  if (key instanceof Error) {
    throw unusable(needsPassphrase(key) ? 'it is encrypted, and no passphrase was named' : key.message, key);
  }
  if (!key.isPrivateKey()) throw unusable('it is a public key');
  return key;
}

/** The library says it returns one key, and returns a list for some formats. */
function parsed(ssh2: typeof import('ssh2'), bytes: Buffer, passphrase?: string): ParsedKey | Error {
  const result: ParsedKey | ParsedKey[] | Error = ssh2.utils.parseKey(bytes, passphrase);
  return Array.isArray(result) ? result[0]! : result;
}

function needsPassphrase(key: ParsedKey | Error): boolean {
  return key instanceof Error && /encrypted/i.test(key.message) && /passphrase/i.test(key.message);
}
