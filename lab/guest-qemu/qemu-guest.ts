/**
 * A real guest of the lab: QEMU on the disks of a VM.
 *
 *   lab's disks ◄── NBD ◄── QEMU ──► serial.log
 *                            │ ▲
 *        power button, quit ─┘ └─ freeze, thaw: the agent in the guest
 *
 * It ends with the lab's process, however that ends.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants, copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { accelerator, findUefi, QEMU } from '../../src/machines/index.ts';
import type { GuestMachine, LiveGuest, StartGuest } from '../model/index.ts';
import { GuestAgent } from './agent.ts';
import { AGENT_PORT, guestCommand, type GuestSurroundings } from './guest-command.ts';
import { serveDisks } from './guest-disks.ts';
import { MessageLine, type MonitorEvent } from './message-line.ts';

/** Building a machine takes QEMU a second, on a busy computer some more. */
const START_MS_MAX = 30_000;
/** What the monitor is told takes no time; this long it may be busy. */
const ORDER_MS_MAX = 10_000;
const SAID_CHARACTERS_MAX = 4096;
const MONITOR_FD = 3;
const AGENT_FD = 4;

export interface GuestFiles {
  readonly folder: string;
  /** What it says on its first serial port. */
  readonly serialLog: string;
  /** What its firmware keeps. */
  readonly variables: string;
  readonly diskSocket: string;
}

/** A guest's own files. */
export function guestFiles(labFolder: string, vmId: string): GuestFiles {
  const folder = join(labFolder, 'guests', vmId);
  const at = (name: string): string => join(folder, name);
  return { folder, serialLog: at('serial.log'), variables: at('firmware.fd'), diskSocket: at('disks') };
}

/** Starts guests whose own files lie in the lab's folder. */
export function qemuGuests(labFolder: string): StartGuest {
  return async (machine) => {
    await using parts = new AsyncDisposableStack();
    const files = guestFiles(labFolder, machine.id);
    await mkdir(files.folder, { recursive: true });
    parts.use(await serveDisks(machine.disks, files.diskSocket));
    const command = guestCommand(machine, {
      accelerator: await accelerator(),
      diskSocket: files.diskSocket,
      serialLog: files.serialLog,
      firmware: await firmwareOf(machine, files.variables),
      monitor: MONITOR_FD,
      agent: AGENT_FD,
    });
    const guest = await QemuGuest.start(command);
    const served = parts.move();
    guest.off = guest.off.then(() => served.disposeAsync());
    return guest;
  };
}

/** The guest enters itself in what the firmware keeps, so that stays from start to start. */
async function firmwareOf(
  { generation }: GuestMachine,
  variables: string,
): Promise<GuestSurroundings['firmware']> {
  if (generation === 1) return undefined;
  const uefi = await findUefi(false);
  await copyFile(uefi.variablesPath, variables, constants.COPYFILE_EXCL).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    },
  );
  return { uefi, variables };
}

class QemuGuest implements LiveGuest {
  off: Promise<void>;
  readonly #child: ChildProcess;
  readonly #monitor: MessageLine;
  readonly #agent: GuestAgent;
  #said = '';

  private constructor(command: readonly string[]) {
    // A process group of its own: Ctrl-C in a terminal is for the lab, which then ends it.
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', QEMU, ...command], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      console.error(text);
      this.#said = (this.#said + text).slice(-SAID_CHARACTERS_MAX);
    });
    this.off = once(this.#child, 'close').then(
      () => {},
      (error: Error) => void (this.#said = error.message),
    );
    this.#monitor = new MessageLine(this.#pipe(MONITOR_FD), (event) => this.#happened(event));
    this.#agent = new GuestAgent(this.#pipe(AGENT_FD));
  }

  /** Throws when QEMU does not make the machine. */
  static async start(command: readonly string[]): Promise<QemuGuest> {
    const guest = new QemuGuest(command);
    try {
      await guest.#monitor.order('qmp_capabilities', START_MS_MAX);
      return guest;
    } catch (error) {
      guest.#child.kill('SIGKILL');
      await guest.off;
      throw new Error(`QEMU did not start: ${guest.#said.trim() || (error as Error).message}`, {
        cause: error,
      });
    }
  }

  get answers(): boolean {
    return this.#agent.isThere;
  }

  freeze(limitMs: number): Promise<void> {
    return this.#agent.freeze(limitMs);
  }

  thaw(limitMs: number): Promise<void> {
    return this.#agent.thaw(limitMs);
  }

  pressPowerButton(): void {
    this.#tell('system_powerdown');
  }

  reset(): void {
    this.#tell('system_reset');
  }

  pause(): void {
    this.#tell('stop');
  }

  resume(): void {
    this.#tell('cont');
  }

  async turnOff(): Promise<void> {
    this.#tell('quit');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), ORDER_MS_MAX);
    await this.off;
    clearTimeout(late);
  }

  /** When it is not heard, QEMU has ended, which is what is waited for. */
  #tell(order: string): void {
    this.#monitor.order(order, ORDER_MS_MAX).catch(() => {});
  }

  #happened({ event, data }: MonitorEvent): void {
    if (event === 'VSERPORT_CHANGE' && data?.['id'] === AGENT_PORT)
      this.#agent.isThere = data['open'] === true;
  }

  #pipe(fd: number): Duplex {
    return this.#child.stdio[fd] as Duplex;
  }
}
