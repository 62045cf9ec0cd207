/**
 * Samba's smbd as a process of the test: its own configuration, folders, user and port, gone when the test is.
 *
 * It needs root, because smbd becomes the user who logged on. The user is Debian's `backup`, which every Debian has and
 * nobody else is; its SMB password is known to this smbd alone.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requires } from '../requires.ts';
import { freePort, listening } from './local-server.fixture.ts';

export const SMB_USER = { user: 'backup', password: 'Pä$$ w0rd' };

/** `{ skip }` where smbd cannot run; also says so where the test is not root. */
export function requiresSamba(unproved: string): { skip?: string } {
  if (process.getuid?.() !== 0) return { skip: `smbd needs root; not proved: ${unproved}` };
  return requires(['smbd', 'smbpasswd', 'smbclient'], unproved);
}

export interface SambaOptions {
  /** More lines of [global]; a later line wins. */
  readonly global?: readonly string[];
  /** Share name → more lines of its section. Each has a folder of its own. */
  readonly shares?: Readonly<Record<string, readonly string[]>>;
}

export interface Samba extends AsyncDisposable {
  readonly port: number;
  /** What is needed to connect. */
  readonly target: { host: string; port: number; credentials: typeof SMB_USER };
  /** The folder behind a share. */
  folderOf(share: string): string;
  /** Ends smbd and every connection at once, as a power cut would. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

export async function startSamba(options: SambaOptions = {}): Promise<Samba> {
  const { shares = { C$: [] } } = options;
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-samba-'));
  await chmod(folder, 0o755);
  const folderOf = (share: string): string => join(folder, 'shares', share);
  for (const share of Object.keys(shares)) await mkdir(folderOf(share), { recursive: true });
  const port = await freePort();
  const config = join(folder, 'smb.conf');
  await writeFile(config, configuration(folder, port, { ...options, shares }, folderOf));
  for (const name of STATE_FOLDERS) await mkdir(join(folder, name), { mode: 0o755 });
  addUser(config);
  let process: ChildProcess | undefined;
  const samba: Samba = {
    port,
    target: { host: '127.0.0.1', port, credentials: SMB_USER },
    folderOf,
    async start() {
      process = spawn('smbd', ['-F', '--no-process-group', '-s', config], {
        detached: true,
        stdio: 'ignore',
      });
      await listening('smbd', port, process);
    },
    async kill() {
      if (process) await killGroup(process);
      process = undefined;
    },
    async [Symbol.asyncDispose]() {
      await samba.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await samba.start();
  return samba;
}

const STATE_FOLDERS = ['private', 'lock', 'state', 'cache', 'pid', 'rpc'] as const;

function configuration(
  folder: string,
  port: number,
  { global = [], shares = {} }: SambaOptions,
  folderOf: (share: string) => string,
): string {
  const lines = [
    '[global]',
    'workgroup = HVLIFT',
    'netbios name = HVHOST',
    'server role = standalone server',
    `smb ports = ${port}`,
    'interfaces = lo',
    'bind interfaces only = yes',
    'disable netbios = yes',
    'disable spoolss = yes',
    'load printers = no',
    'server min protocol = SMB3_11',
    'server signing = mandatory',
    'server smb encrypt = required',
    'log level = 0',
    `log file = ${folder}/log.smbd`,
    `private dir = ${folder}/private`,
    `lock directory = ${folder}/lock`,
    `state directory = ${folder}/state`,
    `cache directory = ${folder}/cache`,
    `pid directory = ${folder}/pid`,
    `ncalrpc dir = ${folder}/rpc`,
    ...global,
  ];
  for (const [share, more] of Object.entries(shares)) {
    lines.push(`[${share}]`, `path = ${folderOf(share)}`, 'read only = yes', ...more);
  }
  return `${lines.join('\n')}\n`;
}

function addUser(config: string): void {
  const { user, password } = SMB_USER;
  const input = `${password}\n${password}\n`;
  const added = spawnSync('smbpasswd', ['-c', config, '-s', '-a', user], { input, encoding: 'utf8' });
  if (added.status !== 0) throw new Error(`smbpasswd: ${added.stderr}`);
}

async function killGroup(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  process.kill(-child.pid!, 'SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await ended;
}
