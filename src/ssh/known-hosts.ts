/**
 * The file `known_hosts` of OpenSSH: which host has which key. sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
 *
 *   hv1,192.0.2.1 ssh-ed25519 AAAA…             names, with * and ? and a leading ! as exception
 *   [hv1]:2222 ssh-rsa AAAA…                    a port other than 22
 *   |1|salt|hash ecdsa-sha2-nistp256 AAAA…      a name that is hashed
 *   @revoked hv1 ssh-rsa AAAA…                  never to be trusted
 *
 * Lines of certificate authorities are left out: certificates of hosts are not spoken.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sshFaults } from './faults.ts';
import type { HostKey } from './host-key.ts';

export interface KnownKeys {
  readonly trusted: readonly KnownKey[];
  readonly revoked: readonly KnownKey[];
}

export interface KnownKey {
  readonly type: string;
  readonly bytes: Buffer;
}

/** What the file says of `host`; a file that does not exist says nothing. Throws `SSH_KNOWN_HOSTS_UNUSABLE`. */
export async function readKnownHosts(path: string, host: string, port: number): Promise<KnownKeys> {
  return knownKeys(await textOf(path), nameOf(host, port));
}

/** Adds the key of `host`, and makes file and folder when they are missing. Throws `SSH_KNOWN_HOSTS_UNUSABLE`. */
export async function addKnownHost(path: string, host: string, port: number, key: HostKey): Promise<void> {
  const text = await textOf(path);
  const line = `${nameOf(host, port)} ${key.type} ${Buffer.from(key.bytes).toString('base64')}\n`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await appendFile(path, (text === '' || text.endsWith('\n') ? '' : '\n') + line, { mode: 0o600 });
  } catch (error) {
    throw unusable(path, error);
  }
}

/** Exported for its test. `name`: the host, or `[host]:port` when the port is not 22. */
export function knownKeys(text: string, name: string): KnownKeys {
  const trusted: KnownKey[] = [];
  const revoked: KnownKey[] = [];
  for (const line of text.split(/\r?\n/)) {
    const words = line.trim().split(/\s+/);
    const mark = words[0]!.startsWith('@') ? words.shift() : undefined;
    const [names = '', type = '', key = ''] = words;
    if (names.startsWith('#') || key === '' || !isNamed(names, name)) continue;
    if (mark === undefined) trusted.push({ type, bytes: Buffer.from(key, 'base64') });
    if (mark === '@revoked') revoked.push({ type, bytes: Buffer.from(key, 'base64') });
  }
  return { trusted, revoked };
}

export function nameOf(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

function isNamed(names: string, name: string): boolean {
  if (names.startsWith('|1|')) return isHashOf(names, name);
  const patterns = names.toLowerCase().split(',');
  if (patterns.some((pattern) => pattern.startsWith('!') && fits(pattern.slice(1), name))) return false;
  return patterns.some((pattern) => fits(pattern, name));
}

function isHashOf(names: string, name: string): boolean {
  const [, , salt = '', hash = ''] = names.split('|');
  const expected = Buffer.from(hash, 'base64');
  const actual = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest();
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

/** Piece by piece from the left: a regular expression of many stars would need exponential time on a hostile line. */
function fits(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  let p = 0;
  while (at < name.length) {
    if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[at]) && pattern[p] !== '*') {
      p += 1;
      at += 1;
    } else if (pattern[p] === '*') {
      star = p;
      p += 1;
      resume = at;
    } else if (star >= 0) {
      p = star + 1;
      resume += 1;
      at = resume;
    } else return false;
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw unusable(path, error);
  }
}

function unusable(path: string, cause: unknown): Error {
  return sshFaults.knownHostsUnusable({ path, reason: (cause as Error).message }, { cause });
}
