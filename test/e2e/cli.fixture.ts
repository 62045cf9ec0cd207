/**
 * The program as its user runs it: `bin/hvlift.js` as a process with a home folder of its own, against `hvlift lab` as
 * another process. Nothing is shared with them but files, sockets and signals.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { connectLab, type LabAddress, type LabClient } from '../../lab/control/index.ts';

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bin', 'hvlift.js');
/** A run that takes longer hangs. */
const RUN_MS_MAX = 180_000;

export const PASSPHRASE = 'correct horse battery staple';

export interface CliRun {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout parsed. */
  json(): any; // oxlint-disable-line typescript/no-explicit-any
}

export interface RunningCli {
  readonly process: ChildProcess;
  readonly ended: Promise<CliRun>;
  /** Resolves once stderr holds the text; rejects when the run ends without it. */
  said(text: string): Promise<void>;
}

/** A home folder with a configured lab host and a repository `main`, and the program run in it. */
export class CliHome {
  readonly folder: string;
  readonly lab: LabProcess;
  /** What no output may hold. */
  readonly secrets: string[];

  private constructor(folder: string, lab: LabProcess, secrets: string[]) {
    this.folder = folder;
    this.lab = lab;
    this.secrets = secrets;
  }

  /** `host add lab` and `init` have been run, with the passphrase in a file unless the repository is `plain`. */
  static async open(lab: LabProcess, kind: 'encrypted' | 'plain' = 'encrypted'): Promise<CliHome> {
    const folder = await mkdtemp(join(tmpdir(), 'hvlift-home-'));
    const { url, user, passwordFile, mappings } = lab.address;
    const home = new CliHome(folder, lab, [PASSPHRASE, (await readFile(passwordFile, 'utf8')).trim()]);
    await writeFile(home.path('passphrase'), PASSPHRASE, { mode: 0o600 });
    const account = ['--user', user, '--password-file', passwordFile];
    const maps = mappings.flatMap(({ from, to }) => ['--map', `${from}=${to}`]);
    await home.ok('host', 'add', 'lab', '--url', url, ...account, ...maps);
    const protection = ['--passphrase-file', 'passphrase', '--save-recovery-key', 'key'];
    const options = kind === 'plain' ? ['--no-encryption'] : protection;
    await home.ok('init', '--repo', './repo', '--name', 'main', ...options);
    return home;
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  run(...argv: readonly string[]): Promise<CliRun> {
    return this.start(argv).ended;
  }

  /** A run that must end with 0. */
  async ok(...argv: readonly string[]): Promise<CliRun> {
    const run = await this.run(...argv);
    assert.equal(run.code, 0, `hvlift ${argv.join(' ')}: ${run.stderr}`);
    return run;
  }

  /** The ids of all restore points, newest first for each VM. */
  async points(...argv: readonly string[]): Promise<{ id: string; vm: { name: string } }[]> {
    return (await this.ok('points', '--json', ...argv)).json().points;
  }

  start(argv: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCli {
    return startProgram(argv, this.folder, { HVLIFT_HOST: 'lab', ...env }, this.secrets);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/**
 * Starts the program in a folder that is its home. Of the environment of the tests it gets only what every program needs; the
 * cache of compiled code outlives the home.
 */
export function startProgram(
  argv: readonly string[],
  folder: string,
  env: Readonly<Record<string, string>> = {},
  secrets: readonly string[] = [],
): RunningCli {
  const cache = join(tmpdir(), 'hvlift-test-cache');
  const child = spawn(process.execPath, [PROGRAM, ...argv], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, XDG_CACHE_HOME: cache, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_MS_MAX,
    killSignal: 'SIGKILL',
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (output[name] += text));
  }
  const ended = endOf(child, output, secrets);
  return { process: child, ended, said: (text) => said(child, output, text) };
}

async function endOf(
  child: ChildProcess,
  output: { stdout: string; stderr: string },
  secrets: readonly string[],
): Promise<CliRun> {
  const [code] = (await once(child, 'close')) as [number | null];
  const everything = output.stdout + output.stderr;
  for (const secret of secrets) assert.ok(!everything.includes(secret), 'a secret was printed');
  return { code, ...output, json: () => JSON.parse(output.stdout) };
}

function said(child: ChildProcess, output: { readonly stderr: string }, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (output.stderr.includes(text)) resolve();
    };
    child.stderr!.on('data', look);
    child.once('close', () => reject(new Error(`it ended without saying "${text}":\n${output.stderr}`)));
    look();
  });
}

/** `hvlift lab start` in a folder of its own. */
export class LabProcess {
  readonly address: LabAddress;
  readonly client: LabClient;
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(folder: string, child: ChildProcess, address: LabAddress, client: LabClient) {
    this.#folder = folder;
    this.#process = child;
    this.address = address;
    this.client = client;
  }

  static async start(...argv: readonly string[]): Promise<LabProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'hvlift-lab-'));
    const args = [PROGRAM, 'lab', 'start', '--instant', '--stop-with-stdin', '--folder', folder, ...argv];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: child.stdout })) {
      const address = JSON.parse(line) as LabAddress;
      letGo(child);
      return new LabProcess(folder, child, address, await connectLab(address));
    }
    throw new Error(`the lab in ${folder} did not start`);
  }

  /** The file of this machine that holds a file of the host. */
  fileOf(hostPath: string): string {
    const { from, to } = this.address.mappings.find((each) => hostPath.startsWith(each.from))!;
    return join(to, ...hostPath.slice(from.length).split('\\'));
  }

  /** What a backup leaves behind: checkpoints and reference points of a VM. */
  async traces(vm: string): Promise<{ checkpoints: number; referencePoints: number }> {
    await this.client.settle();
    const { checkpoints, referencePoints } = await this.client.vm(vm);
    return { checkpoints: checkpoints.length, referencePoints: referencePoints.length };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null) {
      this.#process.ref(); // or the test process could end before the folder is gone
      this.#process.kill('SIGTERM');
      await once(this.#process, 'exit');
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The lab keeps no test process alive: it stops when that one ends, however it ends. */
function letGo(child: ChildProcess): void {
  child.unref();
  for (const pipe of [child.stdin, child.stdout]) (pipe as Socket).unref();
}

/** An empty folder `name` in the home with a file system of `bytes` of its own; only root can have that. */
export async function mountSmall(
  home: CliHome,
  name: string,
  options: string,
): Promise<AsyncDisposable & { readonly path: string; remount(options: string): Promise<void> }> {
  const path = home.path(name);
  await mkdir(path);
  const mount = (args: readonly string[]): Promise<void> => command('mount', [...args, 'tmpfs', path]);
  await mount(['-t', 'tmpfs', '-o', options]);
  return {
    path,
    remount: (changed) => mount(['-o', `remount,${changed}`]),
    [Symbol.asyncDispose]: () => command('umount', [path]),
  };
}

async function command(name: string, argv: readonly string[]): Promise<void> {
  const [code] = (await once(spawn(name, argv, { stdio: 'inherit' }), 'exit')) as [number | null];
  assert.equal(code, 0, `${name} ${argv.join(' ')}`);
}

/** For tests that mount: `{ skip }` where that is not possible. */
export function requiresRoot(unproved: string): { skip?: string } {
  return process.getuid?.() === 0 && process.platform === 'linux'
    ? {}
    : { skip: `root on Linux is missing; not proved: ${unproved}` };
}

export interface Expected {
  readonly exit: number;
  readonly code: string;
}

/** Failed as the reference says: the exit code, the code, what was lost, what to do; on stderr and with --json alike. */
export function assertFailed(run: CliRun, { exit, code }: Expected): void {
  const shown = run.stderr || run.stdout;
  assert.equal(run.code, exit, shown);
  assert.match(run.stderr, new RegExp(`^error ${code}: \\S`, 'm'), shown);
  assert.match(run.stderr, /^do: \S/m, shown);
  if (code !== 'CLI_USAGE') assert.match(run.stderr, /^lost: \S/m, shown);
  if (run.stdout.startsWith('{')) assert.ok(codesIn(run.json()).includes(code), run.stdout);
}

function codesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = (value as { error?: { code?: string } }).error?.code;
  return [...(own === undefined ? [] : [own]), ...Object.values(value).flatMap(codesIn)];
}
