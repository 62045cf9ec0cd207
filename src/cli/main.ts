/** The process around the program: streams, signals, the exit code. Started by bin/hvlift.js. */
import { homedir } from 'node:os';
import { sleep } from '../base/index.ts';
import { errorLines, reportOf } from './error-report.ts';
import { EXIT } from './exit-code.ts';
import { Interrupts } from './interrupts.ts';
import type { OutputStream } from './io.ts';
import { main } from './run.ts';
import { SecretLog } from './secret.ts';

export async function start(argv: readonly string[]): Promise<never> {
  const { stdin, stdout, stderr, env, platform } = process;
  const interrupts = new Interrupts(() => process.exit(EXIT.cancelled));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupts.press());
  process.on('uncaughtException', endUnexpectedly);
  const io = {
    stdin,
    stdout,
    stderr,
    env,
    interrupts,
    platform,
    homeFolder: homedir(),
    workingFolder: process.cwd(),
    now: () => performance.now(),
  };
  const code = await main(argv, io, async () => (await import('./flows-engine.ts')).openEngine(io));
  const written = Promise.all([flushed(stdout), flushed(stderr)]);
  // Who stopped the run does not wait for a reader that stands still.
  await (code === EXIT.cancelled ? Promise.race([written, sleep(FLUSH_AFTER_CANCEL_MS)]) : written);
  // Not left to the event loop: a socket someone forgot must not keep a finished backup from reporting.
  process.exit(code);
}

/** An exception outside the run's own promises. What the run left on the host, the next one finds and removes. */
function endUnexpectedly(error: unknown): void {
  const report = reportOf(error, new SecretLog(), process.env['HVLIFT_DEBUG'] === '1');
  process.stderr.write(`${errorLines(report).join('\n')}\n`, () => process.exit(EXIT.unexpected));
}

const FLUSH_AFTER_CANCEL_MS = 1000;

/** Pipes are written in the background on Windows. */
function flushed(stream: OutputStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}
