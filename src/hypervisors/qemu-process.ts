/**
 * A QEMU that runs by itself: it outlives whoever started it, and is found again by its folder.
 *
 *   qemu.pid       written and locked by QEMU, removed by it when it ends in order: a second one cannot start beside it
 *   qmp.sock       where it takes orders
 *
 * The number in qemu.pid alone proves nothing, because numbers of processes are given again: it counts when that process has
 * our folder in its command line.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { QEMU } from '../machines/index.ts';
import { hypervisorFaults } from './faults.ts';
import { withMonitor, type Monitor } from './monitor.ts';
import type { MachineState } from './port.ts';
import { runProgram } from './program.ts';

const MONITOR = 'qmp.sock';
const START_MS = 60_000;
/** QEMU flushes its disks before it ends. */
const QUIT_MS = 10_000;
const LOOK_MS = 50;

export class QemuProcess {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get #pidFile(): string {
    return join(this.#folder, 'qemu.pid');
  }

  async state(options: CallOptions = {}): Promise<Exclude<MachineState, 'absent'>> {
    const asked = await this.ask((monitor) => monitor.execute('query-status'), options);
    if (asked) return stateOf(String((asked.result as { status?: string }).status));
    // No monitor, and yet a process: it is about to listen, or about to end, or somebody removed the socket.
    const { pid, alive } = await this.#process();
    if (alive) return 'running';
    return pid === undefined ? 'off' : 'crashed';
  }

  /** Throws what QEMU says when it does not start. */
  async start(command: readonly string[], { signal }: CallOptions = {}): Promise<void> {
    const { code, complaint, timedOut } = await runProgram(
      QEMU,
      [
        ...command,
        '-daemonize',
        '-pidfile',
        this.#pidFile,
        '-chardev',
        `socket,id=monitor,path=${MONITOR},server=on,wait=off`,
        '-mon',
        'chardev=monitor,mode=control',
      ],
      // Sockets are named from here: a folder of a user may be deeper than the 107 bytes their names have.
      { timeoutMs: START_MS, signal, folder: this.#folder },
    );
    if (timedOut) throw new Error(`it was not ready after ${START_MS / 1000} s`);
    if (code !== 0) throw new Error(complaint || `exit code ${code}`);
  }

  /** Undefined when it does not run. Throws `HYPERVISOR_UNRESPONSIVE`. */
  async ask<T>(
    use: (monitor: Monitor) => Promise<T>,
    options: CallOptions = {},
  ): Promise<{ readonly result: T } | undefined> {
    try {
      return await withMonitor(this.#folder, MONITOR, use, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(await this.#process()).alive) return undefined;
      throw hypervisorFaults.unresponsive(
        { hypervisor: `QEMU in ${this.#folder}`, command: 'its monitor', seconds: 15 },
        { cause: error },
      );
    }
  }

  /** It is gone when this returns. */
  async end(options: CallOptions = {}): Promise<void> {
    // What it answers does not matter: that it ends is looked at below, and it is made to.
    await this.ask((monitor) => monitor.execute('quit'), options).catch(() => {});
    if (!(await this.#endsWithin(QUIT_MS, options))) {
      const { pid } = await this.#process();
      if (pid !== undefined) killed(pid);
      await this.#endsWithin(QUIT_MS, options);
    }
    await rm(this.#pidFile, { force: true });
  }

  async #endsWithin(milliseconds: number, { signal }: CallOptions): Promise<boolean> {
    for (let waited = 0; waited <= milliseconds; waited += LOOK_MS) {
      if (!(await this.#process()).alive) return true;
      await sleep(LOOK_MS, signal);
    }
    return false;
  }

  async #process(): Promise<{ readonly pid?: number; readonly alive: boolean }> {
    const pid = Number(await readFile(this.#pidFile, 'utf8').catch(() => ''));
    if (!Number.isInteger(pid) || pid <= 0) return { alive: false };
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return { pid, alive: words.split('\0').includes(this.#pidFile) };
  }
}

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}

/** https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html, RunState */
function stateOf(status: string): Exclude<MachineState, 'absent'> {
  if (['guest-panicked', 'internal-error', 'shutdown'].includes(status)) return 'crashed';
  return ['paused', 'io-error', 'prelaunch', 'suspended', 'watchdog'].includes(status) ? 'paused' : 'running';
}
