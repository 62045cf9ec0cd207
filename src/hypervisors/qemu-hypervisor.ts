/**
 * `qemu:FOLDER`: machines of this machine, each run by a QEMU of its own, without anything that looks after them.
 *
 *   FOLDER/<8 digits of the uuid>/machine.json   definition and owner
 *                                 firmware.fd    what a UEFI firmware keeps
 *                                 serial.log     of its first serial port, unless another file is named
 *                                 screen.vnc     socket of its screen
 *                                 qemu.pid, qmp.sock
 */
import { freemem, totalmem } from 'node:os';
import { basename, resolve } from 'node:path';
import { MiB, warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import {
  accelerator,
  findUefi,
  machineFaults,
  machineFiles,
  prepareMachineFolder,
  QEMU,
  qemuArguments,
  type UefiFirmware,
} from '../machines/index.ts';
import { hypervisorFaults } from './faults.ts';
import { ForwardedPort } from './forwarded-port.ts';
import { folderOf, readDefinition, removeDefinition, writeDefinition } from './machine-record.ts';
import type { Hypervisor, MachineState, OwnedMachine } from './port.ts';
import { runProgram } from './program.ts';
import { QemuProcess } from './qemu-process.ts';

const VERSION_MS = 15_000;

export class QemuHypervisor implements Hypervisor {
  readonly address: string;
  readonly #root: string;

  constructor(root: string) {
    this.#root = resolve(root);
    this.address = `qemu:${this.#root}`;
  }

  describe(): string {
    return `QEMU of this machine, in ${this.#root}`;
  }

  async prepare(machine: OwnedMachine, options: CallOptions = {}): Promise<Warning[]> {
    const { owner, memoryMiB } = machine;
    await this.#ownOrAbsent(machine.uuid, owner.replica);
    await checkQemu(options);
    await this.#command(machine);
    const of = { memoryMiB, hypervisor: 'this machine' };
    const [totalMiB, freeMiB] = [totalmem(), freemem()].map((bytes) => Math.floor(bytes / MiB));
    if (memoryMiB > totalMiB!) throw hypervisorFaults.noMemory({ ...of, totalMiB });
    return memoryMiB > freeMiB! ? [warningOf(hypervisorFaults.littleMemory({ ...of, freeMiB }))] : [];
  }

  async define(machine: OwnedMachine, options: CallOptions = {}): Promise<void> {
    await this.#ownOrAbsent(machine.uuid, machine.owner.replica);
    if (isActive(await this.state(machine.uuid, options)))
      throw hypervisorFaults.machineRuns({ machine: machine.name, hypervisor: this.describe() });
    await writeDefinition(folderOf(this.#root, machine.uuid), machine);
  }

  async state(machineId: string, options: CallOptions = {}): Promise<MachineState> {
    const folder = folderOf(this.#root, machineId);
    return (await readDefinition(folder)) ? new QemuProcess(folder).state(options) : 'absent';
  }

  async start(machineId: string, options: CallOptions = {}): Promise<void> {
    const { process, machine } = await this.#existing(machineId);
    const state = await process.state(options);
    if (state === 'running') return;
    if (state === 'paused') return void (await process.ask((monitor) => monitor.execute('cont'), options));
    const { command, firmware } = await this.#command(machine);
    await process.end(options);
    await prepareMachineFolder(folderOf(this.#root, machineId), firmware);
    try {
      await process.start(command, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      const reason = (error as Error).message;
      throw hypervisorFaults.startFailed(
        { hypervisor: this.describe(), machine: machine.name, reason },
        { cause: error },
      );
    }
  }

  async shutDown(machineId: string, options: CallOptions = {}): Promise<void> {
    const found = await this.#own(machineId);
    await found?.process.ask((monitor) => monitor.execute('system_powerdown'), options);
  }

  async powerOff(machineId: string, options: CallOptions = {}): Promise<void> {
    await (await this.#own(machineId))?.process.end(options);
  }

  async undefine(machineId: string, options: CallOptions = {}): Promise<void> {
    const found = await this.#own(machineId);
    if (!found) return;
    await found.process.end(options);
    await removeDefinition(folderOf(this.#root, machineId));
  }

  async reaches(machineId: string, port: number, options: CallOptions = {}): Promise<boolean> {
    const { process } = await this.#existing(machineId);
    return new ForwardedPort(process, port).answers(options);
  }

  async close(): Promise<void> {}

  async #command(
    machine: OwnedMachine,
  ): Promise<{ readonly command: readonly string[]; readonly firmware: UefiFirmware | undefined }> {
    const firmware = machine.firmware === 'uefi' ? await findUefi(machine.secureBoot) : undefined;
    const folder = folderOf(this.#root, machine.uuid);
    const { serialLog } = machine;
    const screen = basename(machineFiles(folder).screen);
    const around = { accelerator: await accelerator(), folder, firmware, serialLog, screen };
    const command = qemuArguments(machine, around);
    return { command, firmware };
  }

  async #existing(machineId: string): Promise<{ process: QemuProcess; machine: OwnedMachine }> {
    const found = await this.#own(machineId);
    if (!found) throw hypervisorFaults.noMachine({ hypervisor: this.describe(), machine: machineId });
    return found;
  }

  /** Undefined when it is absent. Throws `HYPERVISOR_FOREIGN_MACHINE` for one whose uuid only begins alike. */
  async #own(machineId: string): Promise<{ process: QemuProcess; machine: OwnedMachine } | undefined> {
    const folder = folderOf(this.#root, machineId);
    const machine = await readDefinition(folder);
    if (!machine) return undefined;
    if (machine.uuid !== machineId) throw this.#foreign(machine);
    return { process: new QemuProcess(folder), machine };
  }

  async #ownOrAbsent(machineId: string, replica: string): Promise<void> {
    const found = await this.#own(machineId);
    if (found && found.machine.owner.replica !== replica) throw this.#foreign(found.machine);
  }

  #foreign({ name, uuid }: OwnedMachine): Error {
    return hypervisorFaults.foreignMachine({ machine: `${name} (${uuid})`, hypervisor: this.describe() });
  }
}

function isActive(state: MachineState): boolean {
  return state === 'running' || state === 'paused';
}

async function checkQemu({ signal }: CallOptions): Promise<void> {
  try {
    await runProgram(QEMU, ['--version'], { timeoutMs: VERSION_MS, signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw machineFaults.noQemu({ reason: (error as Error).message }, { cause: error });
  }
}
