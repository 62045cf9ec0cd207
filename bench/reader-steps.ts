/**
 * Files of a server beside the server's own clients, and the inventory of a large host.
 *
 *   smbd   a file of random bytes in a share, encryption demanded   hvlift (SMB), smbclient
 *   sshd   the same file                                            hvlift (SFTP), sftp
 *
 * Both servers run on this machine and take their part of its processors, the same for both clients; both clients throw the
 * bytes away. They are processes of this plan, on ports of their own, and end with it.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { MiB } from '../src/base/index.ts';
import { requiresSamba, SMB_USER, startSamba } from '../test/interop/samba.fixture.ts';
import { requiresSshd, startSshd } from '../test/interop/sshd.fixture.ts';
import { taskStep, type Ratio, type Step } from './step.ts';

const TASKS = 'reader-task.ts';

export const READER_RATIOS: Ratio[] = [
  { ours: 'hvlift read by SMB', theirs: 'smbclient get' },
  { ours: 'hvlift read by SFTP', theirs: 'sftp get' },
];

/** Empty where the servers cannot run. They stop when `parts` is disposed of. */
export async function readerSteps(bytes: number, parts: AsyncDisposableStack): Promise<Step[]> {
  return [...(await smbSteps(bytes, parts)), ...(await sftpSteps(bytes, parts)), inventoryStep()];
}

async function smbSteps(bytes: number, parts: AsyncDisposableStack): Promise<Step[]> {
  if (requiresSamba('').skip !== undefined) return [];
  const samba = parts.use(await startSamba());
  writeRandom(join(samba.folderOf('C$'), 'disk.raw'), bytes);
  const request = { server: samba.target, share: 'C$', path: 'disk.raw' };
  const { user, password } = SMB_USER;
  const options = [
    '-p',
    String(samba.port),
    '-U',
    `${user}%${password}`,
    '--client-protection=encrypt',
    '-m',
    'SMB3_11',
  ];
  return [
    readStep('hvlift read by SMB', bytes, taskStep('smb', request, TASKS)),
    readStep('smbclient get', bytes, {
      command: ['smbclient', '//127.0.0.1/C$', ...options, '-c', 'get disk.raw /dev/null'],
    }),
  ];
}

async function sftpSteps(bytes: number, parts: AsyncDisposableStack): Promise<Step[]> {
  if (requiresSshd('').skip !== undefined) return [];
  const sshd = parts.use(await startSshd());
  writeRandom(sshd.pathOf('/C:/disk.raw'), bytes);
  const { host, port, user } = sshd.target;
  const trust = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'];
  const from = `${user}@${host}:/C:/disk.raw`;
  return [
    readStep(
      'hvlift read by SFTP',
      bytes,
      taskStep('sftp', { server: sshd.target, path: '/C:/disk.raw' }, TASKS),
    ),
    readStep('sftp get', bytes, {
      command: ['sftp', '-q', '-P', String(port), '-i', sshd.keyFile, ...trust, from, '/dev/null'],
    }),
  ];
}

/** The lab is a process of its own, as a host is another machine; its start is not counted. */
function inventoryStep(): Step {
  return readStep('hvlift inventory, 1000 VMs of 4 disks', 0, taskStep('inventory', { vms: 1000 }, TASKS));
}

function readStep(name: string, bytes: number, program: Pick<Step, 'command' | 'waits'>): Step {
  return { group: 'readers', name, bytes, ...program };
}

/** Bytes that nothing on the way could make fewer of. */
function writeRandom(path: string, bytes: number): void {
  const file = openSync(path, 'w');
  for (let at = 0; at < bytes; at += MiB) writeSync(file, randomBytes(MiB));
  closeSync(file);
  chmodSync(path, 0o644);
}
