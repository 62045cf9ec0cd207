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
  /** Puts the files right before each run; not measured. */
  prepare(): Promise<void>;
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

export function taskCommand(name: string, request: object): [string, ...string[]] {
  const script = fileURLToPath(new URL('./task.ts', import.meta.url));
  return [process.execPath, '-C', 'source', script, name, JSON.stringify(request)];
}

export async function task(name: string, request: object): Promise<void> {
  await runMeasured(taskCommand(name, request));
}

/**
 * Empty, and nothing of the run before still on its way to the disk. Then `bytes` are written and removed: their pages are
 * what the step writes into. Otherwise the first step after one that wrote less pays for fresh memory, which in a virtual
 * machine costs four times the copying.
 */
export async function emptyFolder(folder: string, bytes: number): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const file = openSync(join(folder, 'pages'), 'w');
  const piece = Buffer.alloc(MiB, 1);
  for (let at = 0; at < bytes; at += piece.length) writeSync(file, piece);
  closeSync(file);
  rmSync(join(folder, 'pages'));
  spawnSync('sync');
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
