/**
 * NBD beside qemu-nbd: a restore point served beside equal qcow2 images, a raw file beside the same file, and copying into an
 * export beside nbdcopy.
 *
 *   served     repository │ qcow2, zstd │ qcow2 │ raw file, theirs │ raw file, ours   ◄── fio (engine nbd): the same reader
 *   target     raw file behind qemu-nbd                                             ◄── hvlift's copy, nbdcopy
 *
 * Every server is started anew before each run: what it has kept is from that run. All files are in the page cache.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, ftruncateSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MiB } from '../src/base/index.ts';
import { makeSourceDisk } from './source-disk.ts';
import {
  canRun,
  emptyFolder,
  task,
  taskCommand,
  taskStep,
  warmPages,
  type Ratio,
  type Step,
} from './step.ts';

const TASKS = 'nbd-task.ts';

/** What one restarted server gives; each has a socket of its own. */
interface Server {
  readonly name: string;
  readonly command: readonly string[];
}

/** Reads of a queue of 16, in the same order each time. */
interface Reading {
  readonly name: string;
  readonly options: readonly string[];
  readonly bytes: number;
}

const READINGS = ['random 64 KiB', 'random 64 KiB in 64 MiB', 'sequential'] as const;
const POINT = 'hvlift serve';
/** With memory for all that is read; the other with the least there is by default. */
const LARGE = 'hvlift serve, large cache';
const ZSTD = 'qemu-nbd qcow2 zstd';

export const NBD_RATIOS: Ratio[] = [
  ...READINGS.flatMap((reading) => [
    { ours: `${POINT}, ${reading}`, theirs: `${ZSTD}, ${reading}` },
    { ours: `${POINT}, ${reading}`, theirs: `qemu-nbd qcow2, ${reading}` },
    { ours: `${LARGE}, ${reading}`, theirs: `${ZSTD}, ${reading}` },
    { ours: `hvlift raw file, ${reading}`, theirs: `qemu-nbd raw file, ${reading}` },
  ]),
  { ours: 'hvlift copy to NBD', theirs: 'nbdcopy' },
];

/** Empty where QEMU's server is not installed. The servers end when `parts` is disposed of. */
export async function nbdSteps(
  groups: readonly ('nbd' | 'serve')[],
  folder: string,
  bytes: number,
  parts: AsyncDisposableStack,
): Promise<Step[]> {
  if (!canRun({ command: ['qemu-nbd'] })) return [];
  const disk = join(folder, 'nbd.vhdx');
  await makeSourceDisk(disk, bytes, bytes);
  makeImage(disk, ['-O', 'raw'], join(folder, 'nbd.raw'));
  const servers = new Servers(folder);
  parts.use(servers);
  return [
    ...(groups.includes('serve') ? await pointSteps(folder, disk, bytes, servers) : []),
    ...(groups.includes('nbd')
      ? [...fileSteps(folder, bytes, servers), ...copySteps(folder, bytes, servers)]
      : []),
  ];
}

async function pointSteps(folder: string, disk: string, bytes: number, servers: Servers): Promise<Step[]> {
  const repository = join(folder, 'nbd-repository');
  await task('create', { repository });
  await task('backup', { repository, disk });
  const images = { zstd: join(folder, 'nbd-zstd.qcow2'), plain: join(folder, 'nbd.qcow2') };
  makeImage(disk, ['-O', 'qcow2', '-c', '-o', 'compression_type=zstd'], images.zstd);
  makeImage(disk, ['-O', 'qcow2'], images.plain);
  const request = { repository, socket: servers.socket };
  const all: Server[] = [
    { name: POINT, command: taskCommand('serve', { ...request, cacheBytes: 128 * MiB }, TASKS) },
    { name: LARGE, command: taskCommand('serve', { ...request, cacheBytes: bytes + 64 * MiB }, TASKS) },
    { name: ZSTD, command: qemuNbd(servers.socket, 'qcow2', ['-r', images.zstd]) },
    { name: 'qemu-nbd qcow2', command: qemuNbd(servers.socket, 'qcow2', ['-r', images.plain]) },
  ];
  return readSteps('serve', all, bytes, servers);
}

function fileSteps(folder: string, bytes: number, servers: Servers): Step[] {
  const path = join(folder, 'nbd.raw');
  const all: Server[] = [
    { name: 'hvlift raw file', command: taskCommand('file', { path, socket: servers.socket }, TASKS) },
    { name: 'qemu-nbd raw file', command: qemuNbd(servers.socket, 'raw', ['-r', path]) },
  ];
  return readSteps('nbd', all, bytes, servers);
}

function readSteps(group: Step['group'], all: readonly Server[], bytes: number, servers: Servers): Step[] {
  return readingsOf(bytes).flatMap((reading) =>
    all.map((server) => ({
      group,
      name: `${server.name}, ${reading.name}`,
      bytes: reading.bytes,
      command: ['fio', ...reading.options, `--uri=nbd+unix:///?socket=${servers.socket}`],
      secondsOf: fioSeconds,
      prepare: () => servers.restart(server.command),
    })),
  );
}

function readingsOf(bytes: number): Reading[] {
  const common = ['--name=read', '--ioengine=nbd', '--iodepth=16', '--output-format=json'];
  const random = [...common, '--rw=randread', '--bs=64k', '--randseed=7', '--norandommap'];
  return [
    { name: READINGS[0], bytes, options: [...random, `--size=${bytes}`, `--io_size=${bytes}`] },
    { name: READINGS[1], bytes, options: [...random, `--size=${64 * MiB}`, `--io_size=${bytes}`] },
    { name: READINGS[2], bytes, options: [...common, '--rw=read', '--bs=256k', `--size=${bytes}`] },
  ];
}

/** Above its report it greets. */
function fioSeconds(output: string): number {
  const report = JSON.parse(output.slice(output.indexOf('{'))) as FioReport;
  return report.jobs[0].read.runtime / 1000;
}

/** Milliseconds. */
interface FioReport {
  readonly jobs: readonly [{ readonly read: { readonly runtime: number } }];
}

/** Into an export of zeros, not durable on either side: the disk of this machine is not what is compared. */
function copySteps(folder: string, bytes: number, servers: Servers): Step[] {
  const [path, outputs] = [join(folder, 'nbd.raw'), join(folder, 'nbd-outputs')];
  const target = join(outputs, 'target.raw');
  const prepare = async (): Promise<void> => {
    await servers.stop();
    await emptyFolder(outputs);
    const file = openSync(target, 'w');
    ftruncateSync(file, bytes);
    closeSync(file);
    await servers.restart(qemuNbd(servers.socket, 'raw', [target]));
  };
  const uri = `nbd+unix:///?socket=${servers.socket}`;
  const beforeWork = (): Promise<void> => warmPages(outputs, bytes);
  const common = { group: 'nbd', bytes, prepare, beforeWork } as const;
  return [
    { ...common, name: 'hvlift copy to NBD', ...taskStep('copy', { path, socket: servers.socket }, TASKS) },
    { ...common, name: 'nbdcopy', command: ['nbdcopy', '--destination-is-zero', path, uri] },
  ];
}

function makeImage(disk: string, options: readonly string[], path: string): void {
  const made = spawnSync('qemu-img', ['convert', '-f', 'vhdx', ...options, disk, path], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`${path} was not made: ${made.stderr}`);
}

function qemuNbd(socket: string, format: string, options: readonly string[]): string[] {
  return ['qemu-nbd', '--persistent', '--shared=8', `--format=${format}`, `--socket=${socket}`, ...options];
}

/** One server at a time, on one socket. */
class Servers implements AsyncDisposable {
  readonly socket: string;
  #running: ChildProcess | undefined;

  constructor(folder: string) {
    this.socket = join(folder, 'nbd.sock');
  }

  async restart([program, ...args]: readonly string[]): Promise<void> {
    await this.stop();
    const server = spawn(program!, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    this.#running = server;
    while (!existsSync(this.socket)) {
      if (server.exitCode !== null) throw new Error(`${program} ended with ${server.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(): Promise<void> {
    const server = this.#running;
    this.#running = undefined;
    if (server && server.exitCode === null && server.signalCode === null) {
      server.kill();
      await once(server, 'exit');
    }
    rmSync(this.socket, { force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
