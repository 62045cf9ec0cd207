/**
 * QEMU as a child, for as long as its guest runs.
 *
 *   abort ──► power button of the guest (ACPI) ──60 s──► quit: as if its cable was pulled
 *
 * The monitor is a pair of sockets that only the two processes have, so nobody else can give it orders.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { CallOptions } from '../disk/index.ts';
import { machineFaults } from './faults.ts';
import { QEMU } from './qemu-command.ts';

/** Windows takes this long to stop its services; whoever will not wait presses again. */
const SHUTDOWN_MS = 60_000;
const QUIT_MS = 5_000;
/** Of what QEMU says: its reason to end is in its last lines. */
const SAID_CHARACTERS_MAX = 4096;
const MONITOR_FD = 3;

/**
 * Resolves when the guest has switched itself off, or was made to by the signal. Throws `MACHINE_NO_QEMU`,
 * `MACHINE_QEMU_FAILED`.
 */
export async function runQemu(command: readonly string[], { signal }: CallOptions = {}): Promise<void> {
  const monitor = ['-chardev', `socket,id=monitor,fd=${MONITOR_FD}`, '-mon', 'chardev=monitor,mode=control'];
  // A process group of its own: Ctrl-C in a terminal would end it before its guest was asked to.
  const child = spawn(QEMU, [...command, ...monitor], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const stopping = new AbortController();
  try {
    const said = lastWords(child);
    const ended = endOf(child);
    const stop = (): void => shutDown(child, stopping.signal);
    openMonitor(child);
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true, signal: stopping.signal });
    const status = await ended;
    if (status !== 'exit code 0') throw machineFaults.qemuFailed({ status, reason: said() });
  } finally {
    stopping.abort();
    process.off('exit', kill);
  }
}

function lastWords(child: ChildProcess): () => string {
  let text = '';
  child.stderr!.setEncoding('utf8').on('data', (part: string) => {
    text = (text + part).slice(-SAID_CHARACTERS_MAX);
  });
  return () => text.trim() || 'it said nothing';
}

async function endOf(child: ChildProcess): Promise<string> {
  try {
    const [code, killedBy] = (await once(child, 'close')) as [number | null, string | null];
    return code === null ? String(killedBy) : `exit code ${code}`;
  } catch (error) {
    throw machineFaults.noQemu({ reason: (error as Error).message }, { cause: error });
  }
}

function monitorOf(child: ChildProcess): Duplex | undefined {
  return (child.stdio[MONITOR_FD] as Duplex | null) ?? undefined;
}

function openMonitor(child: ChildProcess): void {
  // It breaks when QEMU ends, which is heard of in another way.
  monitorOf(child)
    ?.on('error', () => {})
    .resume();
  tell(child, 'qmp_capabilities');
}

function tell(child: ChildProcess, command: string): void {
  const monitor = monitorOf(child);
  if (monitor?.writable) monitor.write(`${JSON.stringify({ execute: command })}\n`);
}

function shutDown(child: ChildProcess, ended: AbortSignal): void {
  tell(child, 'system_powerdown');
  const timers = [
    setTimeout(() => tell(child, 'quit'), SHUTDOWN_MS),
    setTimeout(() => child.kill('SIGKILL'), SHUTDOWN_MS + QUIT_MS),
  ];
  ended.addEventListener('abort', () => timers.forEach(clearTimeout), { once: true });
}
