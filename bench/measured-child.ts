/**
 * Runs a program to its end and says what it took: time, processor time, peak memory. The same way for ours and theirs.
 *
 * A task of ours takes most of a second until its work begins: its modules, the key from the passphrase. What a step
 * wants done right before the work is done then, not before the program starts.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';

export interface Usage {
  /** From start to exit, without what was done before the work. */
  readonly wallSeconds: number;
  /** User and system time of all its threads. */
  readonly cpuSeconds: number;
  /** Peak resident memory; 0 where the system does not tell. */
  readonly peakBytes: number;
  readonly output: string;
}

/** The line a task of ours prints when its work could begin; any answer lets it begin. */
export const READY = 'ready';

// Peak memory and processor time only grow, so at most the last 10 ms are missed.
const SAMPLE_MS = 10;
/** Clock ticks a second in /proc, on every Linux. */
const TICKS = 100;

/** `beforeWork`: done when a program of ours says that it is ready. */
export async function runMeasured(
  command: readonly string[],
  beforeWork?: () => Promise<void>,
): Promise<Usage> {
  const [program, ...args] = command as [string, ...string[]];
  const started = performance.now();
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {}); // it ended without asking
  if (!beforeWork) child.stdin.end();
  let sample = { cpuSeconds: 0, peakBytes: 0 };
  const timer = setInterval(() => {
    sample = sampleOf(child.pid) ?? sample;
  }, SAMPLE_MS);
  try {
    const [output, errors, [status], waited] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit') as Promise<[number | null]>,
      beforeWork ? answer(child, beforeWork) : 0,
    ]);
    if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${errors}`);
    return { wallSeconds: (performance.now() - started - waited) / 1000, ...sample, output };
  } finally {
    clearInterval(timer);
  }
}

/** Milliseconds that the program had to wait. */
async function answer(
  { stdout, stdin }: { readonly stdout: Readable; readonly stdin: Writable },
  beforeWork: () => Promise<void>,
): Promise<number> {
  const [first] = (await Promise.race([once(stdout, 'data'), once(stdout, 'end')])) as [Buffer | undefined];
  if (!first?.toString().startsWith(READY)) return 0;
  const started = performance.now();
  await beforeWork();
  stdin.end('\n');
  return performance.now() - started;
}

/** From /proc/PID: undefined once the process is gone, or without /proc. */
function sampleOf(pid: number | undefined): { cpuSeconds: number; peakBytes: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const peak = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
    if (peak === undefined) return undefined; // a process at its end has no memory any more
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS, peakBytes: Number(peak) * 1024 };
  } catch {
    return undefined;
  }
}
