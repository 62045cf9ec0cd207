/**
 * OpenSSH's sshd as a process of the test: its own configuration, host keys, port and tree of files, gone when the test is.
 *
 * It needs root, because sshd becomes the user who logged on. The user is Debian's `backup`, which every Debian has and
 * nobody else is. What it sees as `/` is a folder of the test, so that `/C:/VMs` is a path as it is on Windows; that folder
 * cannot be below /tmp, for sshd wants every folder above it to be root's alone.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SftpOptions } from '../../src/sftp/index.ts';
import { requires } from '../requires.ts';
import { freePort, listening } from './local-server.fixture.ts';

const SSH_USER = 'backup';
export type HostKeyType = 'ed25519' | 'ecdsa' | 'rsa';

/** `{ skip }` where sshd cannot run; also says so where the test is not root. */
export function requiresSshd(unproved: string): { skip?: string } {
  if (process.getuid?.() !== 0) return { skip: `sshd needs root; not proved: ${unproved}` };
  return requires(['sshd', 'ssh-keygen', 'ssh-agent', 'ssh-add'], unproved);
}

export interface SshdOptions {
  /** More lines of sshd_config, above ours: the first one of a name counts. */
  readonly config?: readonly string[];
  /** Default: ed25519 alone. The first is the one `target` pins. */
  readonly hostKeys?: readonly HostKeyType[];
}

export interface Sshd extends AsyncDisposable {
  readonly port: number;
  /** Folder for the files of a test: keys, known hosts. */
  readonly folder: string;
  /** The private key that is let in. */
  readonly keyFile: string;
  /** What is needed to connect. */
  readonly target: Pick<SftpOptions, 'host' | 'port' | 'user' | 'hostKey' | 'logOn'>;
  /** Where `path`, as the user of SFTP sees it, really lies. */
  pathOf(path: string): string;
  fingerprint(type: HostKeyType): string;
  /** A line of known_hosts without its host. */
  publicKey(type: HostKeyType): string;
  /** How many connections there are just now. */
  connections(): number;
  /** Replaces a host key; the next start shows the new one. */
  newHostKey(type: HostKeyType): Promise<void>;
  /** Ends sshd and every connection at once, as a power cut would. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const folder = await mkdtemp('/var/lib/hvlift-sshd-');
  await chmod(folder, 0o755);
  await mkdir(join(folder, 'root', 'C:'), { recursive: true });
  // Where sshd keeps nothing and yet insists on it.
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const { hostKeys = ['ed25519'] } = options;
  const hostKeyFile = (type: HostKeyType): string => join(folder, `host_${type}`);
  for (const type of hostKeys) makeKey(hostKeyFile(type), type);
  const keyFile = join(folder, 'user_ed25519');
  makeKey(keyFile, 'ed25519');
  await writeFile(join(folder, 'authorized_keys'), await readFile(`${keyFile}.pub`), { mode: 0o644 });
  const port = await freePort();
  const config = join(folder, 'sshd_config');
  await writeFile(config, configuration(folder, port, options.config ?? [], hostKeys.map(hostKeyFile)));
  const publicKey = (type: HostKeyType): string =>
    readFileSync(`${hostKeyFile(type)}.pub`, 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ');
  const fingerprint = (type: HostKeyType): string => {
    const blob = Buffer.from(publicKey(type).split(' ')[1]!, 'base64');
    return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
  };
  let process: ChildProcess | undefined;
  const sshd: Sshd = {
    port,
    folder,
    keyFile,
    target: {
      host: '127.0.0.1',
      port,
      user: SSH_USER,
      hostKey: { fingerprint: fingerprint(hostKeys[0]!) },
      logOn: { key: { path: keyFile } },
    },
    pathOf: (path) => join(folder, 'root', path),
    fingerprint,
    publicKey,
    // One process holds each connection as root, another serves it as the user.
    connections: () => (process ? childrenOf(process.pid!).length : 0),
    async newHostKey(type) {
      await rm(hostKeyFile(type));
      makeKey(hostKeyFile(type), type);
    },
    async start() {
      process = spawn('/usr/sbin/sshd', ['-D', '-f', config], { stdio: 'ignore' });
      await listening('sshd', port, process);
    },
    async kill() {
      if (process) await killTree(process);
      process = undefined;
    },
    async [Symbol.asyncDispose]() {
      await sshd.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await sshd.start();
  return sshd;
}

function configuration(
  folder: string,
  port: number,
  more: readonly string[],
  hostKeys: readonly string[],
): string {
  return [
    ...more,
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    ...hostKeys.map((file) => `HostKey ${file}`),
    `AuthorizedKeysFile ${folder}/authorized_keys`,
    'StrictModes no',
    'UsePAM no',
    'PidFile none',
    'PasswordAuthentication no',
    'MaxStartups 100',
    'LogLevel QUIET',
    'Subsystem sftp internal-sftp',
    `ChrootDirectory ${folder}/root`,
    '',
  ].join('\n');
}

/** `passphrase`: the key is encrypted with it. */
export function makeKey(path: string, type: HostKeyType, passphrase = ''): void {
  const made = spawnSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-f', path], {
    encoding: 'utf8',
  });
  if (made.status !== 0) throw new Error(`ssh-keygen: ${made.stderr}`);
}

/** The listener first, so that nothing new begins; its children are not in its process group. */
async function killTree(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  process.kill(child.pid!, 'SIGSTOP');
  for (const pid of [child.pid!, ...descendants(child.pid!)]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself meanwhile.
    }
  }
  if (child.exitCode === null && child.signalCode === null) await ended;
}

function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)]);
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.trim().split(/\s+/).filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
