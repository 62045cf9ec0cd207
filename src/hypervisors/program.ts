/** A program of this machine, run to its end: without a shell, with bounds for its time and for what it says. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { KiB } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';

export interface ProgramOptions extends CallOptions {
  readonly timeoutMs: number;
  /** Of what it prints, from the beginning; of what it complains, from the end. Default: 256 KiB. */
  readonly outputBytesMax?: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** Where it starts; default: where we are. */
  readonly folder?: string;
}

export interface ProgramResult {
  /** Absent when it was killed. */
  readonly code: number | undefined;
  readonly output: string;
  readonly complaint: string;
  readonly timedOut: boolean;
}

/**
 * In a process group of its own, which is killed whole when the time is over or the signal aborts: `virsh` over SSH has an `ssh`
 * below it. Speaks English, because answers are read. Rejects when the program cannot be started.
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  { timeoutMs, signal, outputBytesMax = 256 * KiB, environment = {}, folder }: ProgramOptions,
): Promise<ProgramResult> {
  signal?.throwIfAborted();
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...(folder === undefined ? {} : { cwd: folder }),
    env: { ...process.env, ...environment, LC_ALL: 'C', LANGUAGE: '' },
  });
  const output = beginning(child.stdout, outputBytesMax);
  const complaint = end(child.stderr, outputBytesMax);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, timeoutMs);
  const abort = (): void => killGroup(child);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    signal?.throwIfAborted();
    return { code: code ?? undefined, output: output(), complaint: complaint().trim(), timedOut };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** What it started may have left the group, and have its pipes still: nobody waits for that. */
function killGroup({ pid, stdout, stderr }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
  stdout?.destroy();
  stderr?.destroy();
}

function beginning(stream: Readable, bytesMax: number): () => string {
  const parts: Buffer[] = [];
  let length = 0;
  stream.on('data', (part: Buffer) => {
    const kept = part.subarray(0, Math.max(0, bytesMax - length));
    length += kept.length;
    if (kept.length > 0) parts.push(kept);
  });
  return () => Buffer.concat(parts).toString();
}

function end(stream: Readable, bytesMax: number): () => string {
  let text = '';
  stream.setEncoding('utf8').on('data', (part: string) => {
    text = (text + part).slice(-bytesMax);
  });
  return () => text;
}
