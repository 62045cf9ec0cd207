/** One measured program: a task of ours or a peer, with what has to be there before. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MiB } from '../src/base/index.ts';
import { runMeasured } from './measured-child.ts';

export interface Step {
  readonly group: 'limit' | 'backup' | 'restore' | 'increment' | 'convert' | 'readers' | 'nbd' | 'serve';
  readonly name: string;
  /** What the speed is counted in: data of the disk, or changed bytes. */
  readonly bytes: number;
  readonly command: readonly string[];
  /** The time of the work alone, out of what the program prints. Default: as our own tasks tell it, or of the process. */
  secondsOf?(output: string): number;
  /** Puts the files before each run; not measured. */
  prepare?(): Promise<void>;
  /** Done after that, right before the work begins; not measured. */
  readonly beforeWork?: () => Promise<void>;
  /** Whether the program says when its work could begin, and waits for an answer. */
  readonly waits?: boolean;
}

export interface Ratio {
  readonly ours: string;
  readonly theirs: string;
}

/** Whether its program is installed. */
export function canRun({ command }: Pick<Step, 'command'>): boolean {
  return spawnSync(command[0]!, ['--version']).error === undefined;
}

export function convert(options: readonly string[], format: string, from: string, to: string): string[] {
  return ['qemu-img', 'convert', '-f', 'vhdx', '-O', format, ...options, from, to];
}

export function taskCommand(name: string, request: object, script = 'task.ts'): [string, ...string[]] {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return [process.execPath, '-C', 'source', path, name, JSON.stringify(request)];
}

/** A task of ours as (part of) a step. */
export function taskStep(...task: Parameters<typeof taskCommand>): Pick<Step, 'command' | 'waits'> {
  return { command: taskCommand(...task), waits: true };
}

export async function task(name: string, request: object): Promise<void> {
  await runMeasured(taskCommand(name, request));
}

/** Empty, and nothing of the run before still on its way to the disk. */
export async function emptyFolder(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  spawnSync('sync');
}

/**
 * Writes `bytes` into `folder` and removes them: their pages are what the step then fills. A virtual machine may give free
 * memory back to its host within the second (free page reporting of the balloon), and who fills it again pays four times
 * the copying for it: the program that takes half a second to start, and the first one after one that filled less.
 */
export async function warmPages(folder: string, bytes: number): Promise<void> {
  const file = openSync(join(folder, 'pages'), 'w');
  const piece = Buffer.alloc(MiB, 1);
  for (let at = 0; at < bytes; at += piece.length) writeSync(file, piece);
  closeSync(file);
  rmSync(join(folder, 'pages'));
}

/** Runs `command`, which makes an image at `path`, and has QEMU compare it with the VHDX `source`. */
export function checkSame(
  [program, ...args]: readonly [string, ...string[]],
  source: string,
  format: string,
  path: string,
): void {
  const made = spawnSync(program, args, { encoding: 'utf8' });
  const compared = spawnSync('qemu-img', ['compare', '-f', 'vhdx', '-F', format, source, path], {
    encoding: 'utf8',
  });
  if (made.status === 0 && compared.status === 0) return;
  throw new Error(`${path} is not the source: ${made.stderr}${compared.stdout}${compared.stderr}`);
}
