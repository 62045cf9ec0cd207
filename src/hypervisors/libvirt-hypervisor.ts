/**
 * `libvirt:URI`: domains of libvirt, here or elsewhere. A domain of ours has our mark among its metadata; every other one is left
 * as it is. The definition survives a restart of libvirtd and of its host; the machine is not started by either.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode, warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { accelerator, domainName, libvirtDomain, type Accelerator } from '../machines/index.ts';
import { hypervisorFaults } from './faults.ts';
import { checkFirmware, checkNetworks, memoryOf } from './libvirt-host.ts';
import { MARK_NAMESPACE, markOf, replicaOfMark } from './owner-mark.ts';
import type { Hypervisor, MachineState, OwnedMachine } from './port.ts';
import { Virsh } from './virsh.ts';

export class LibvirtHypervisor implements Hypervisor {
  readonly address: string;
  readonly #virsh: Virsh;

  constructor(uri: string) {
    this.address = `libvirt:${uri}`;
    this.#virsh = new Virsh(uri);
  }

  describe(): string {
    return `libvirt at ${this.#virsh.uri}`;
  }

  async prepare(machine: OwnedMachine, options: CallOptions = {}): Promise<Warning[]> {
    await this.#checkFree(machine, options);
    const type = await this.#accelerator(options);
    this.#domain(machine, type);
    await checkFirmware(this.#virsh, machine, type, options);
    await checkNetworks(this.#virsh, machine, options);
    return this.#checkMemory(machine, options);
  }

  async define(machine: OwnedMachine, options: CallOptions = {}): Promise<void> {
    await this.#checkFree(machine, options);
    if (!['absent', 'off', 'crashed'].includes(await this.state(machine.uuid, options)))
      throw hypervisorFaults.machineRuns({ machine: machine.name, hypervisor: this.describe() });
    // By a file: what virsh reads from a pipe must not be a socket, which the pipes of a child are here.
    const folder = await mkdtemp(join(tmpdir(), 'hvlift-domain-'));
    try {
      const path = join(folder, 'domain.xml');
      await writeFile(path, this.#domain(machine, await this.#accelerator(options)));
      await this.#virsh.run(['define', `--file=${path}`], options);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async state(machineId: string, options: CallOptions = {}): Promise<MachineState> {
    const text = await this.#unlessAbsent(() =>
      this.#virsh.run(['domstate', '--reason', `--domain=${machineId}`], options),
    );
    return text === undefined ? 'absent' : stateOf(text.trim());
  }

  async start(machineId: string, options: CallOptions = {}): Promise<void> {
    await this.#checkOwn(machineId, options);
    const state = await this.state(machineId, options);
    if (state === 'running') return;
    try {
      await this.#virsh.run([state === 'paused' ? 'resume' : 'start', `--domain=${machineId}`], options);
    } catch (error) {
      if (!hasCode(error, 'HYPERVISOR_COMMAND_FAILED')) throw error;
      const reason = String(error.details['reason']);
      throw hypervisorFaults.startFailed(
        { hypervisor: this.describe(), machine: machineId, reason },
        { cause: error },
      );
    }
  }

  async shutDown(machineId: string, options: CallOptions = {}): Promise<void> {
    await this.#ifRunning(machineId, ['shutdown', '--mode=acpi'], options);
  }

  async powerOff(machineId: string, options: CallOptions = {}): Promise<void> {
    await this.#ifRunning(machineId, ['destroy'], options);
  }

  async undefine(machineId: string, options: CallOptions = {}): Promise<void> {
    await this.powerOff(machineId, options);
    await this.#unlessAbsent(async () => {
      await this.#checkOwn(machineId, options);
      const with_ = ['--nvram', '--managed-save', '--snapshots-metadata', '--checkpoints-metadata'];
      await this.#virsh.run(['undefine', ...with_, `--domain=${machineId}`], options);
    });
  }

  async close(): Promise<void> {}

  #domain(machine: OwnedMachine, type: Accelerator): string {
    const { owner, serialLog } = machine;
    return libvirtDomain(machine, { accelerator: type, metadata: markOf(owner), serialLog });
  }

  /** KVM where libvirt offers it; of a connection to this machine only where it is usable, too. */
  async #accelerator(options: CallOptions): Promise<Accelerator> {
    const isHere = /^\w+(\+unix)?:\/\/\//.test(this.#virsh.uri);
    if (isHere && (await accelerator()) === 'tcg') return 'tcg';
    const capabilities = await this.#virsh.run(['capabilities'], options);
    const [x86 = ''] = /<arch name='x86_64'>.*?<\/arch>/s.exec(capabilities) ?? [];
    return /<domain type='kvm'/.test(x86) ? 'kvm' : 'tcg';
  }

  /** Neither its uuid nor its name is taken by somebody else. */
  async #checkFree({ uuid, name, owner }: OwnedMachine, options: CallOptions): Promise<void> {
    const known = await this.#virsh.run(['list', '--all', '--uuid', '--name'], options);
    for (const [, otherId = '', otherName = ''] of known.matchAll(/^\s*([0-9a-f-]{36})\s(.*?)\s*$/gm)) {
      if (otherId === uuid && (await this.#replicaOf(uuid, options)) === owner.replica) continue;
      if (otherId === uuid || otherName === domainName(name))
        throw this.#foreign(`${otherName} (${otherId})`);
    }
  }

  async #checkOwn(machineId: string, options: CallOptions): Promise<void> {
    if ((await this.#replicaOf(machineId, options)) === undefined) throw this.#foreign(machineId);
  }

  /** Undefined: it has no mark of ours. Throws `HYPERVISOR_NO_MACHINE`. */
  async #replicaOf(machineId: string, options: CallOptions): Promise<string | undefined> {
    try {
      return replicaOfMark(
        await this.#virsh.run(['metadata', `--uri=${MARK_NAMESPACE}`, `--domain=${machineId}`], options),
      );
    } catch (error) {
      if (!hasCode(error, 'HYPERVISOR_COMMAND_FAILED')) throw error;
      return undefined;
    }
  }

  async #ifRunning(
    machineId: string,
    command: readonly [string, ...string[]],
    options: CallOptions,
  ): Promise<void> {
    const state = await this.state(machineId, options);
    if (state !== 'running' && state !== 'paused') return;
    await this.#checkOwn(machineId, options);
    try {
      await this.#virsh.run([...command, `--domain=${machineId}`], options);
    } catch (error) {
      // It may have ended by itself meanwhile, which is what was asked for.
      if (!['absent', 'off', 'crashed'].includes(await this.state(machineId, options))) throw error;
    }
  }

  async #unlessAbsent<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!hasCode(error, 'HYPERVISOR_NO_MACHINE')) throw error;
      return undefined;
    }
  }

  async #checkMemory({ memoryMiB }: OwnedMachine, options: CallOptions): Promise<Warning[]> {
    const { totalMiB, freeMiB } = await memoryOf(this.#virsh, options);
    const of = { memoryMiB, hypervisor: this.describe() };
    if (memoryMiB > totalMiB) throw hypervisorFaults.noMemory({ ...of, totalMiB });
    return memoryMiB > freeMiB ? [warningOf(hypervisorFaults.littleMemory({ ...of, freeMiB }))] : [];
  }

  #foreign(machine: string): Error {
    return hypervisorFaults.foreignMachine({ machine, hypervisor: this.describe() });
  }
}

/** `virsh domstate --reason`: `shut off (crashed)`. What is not known counts as running, so that nothing else is started beside it. */
function stateOf(text: string): MachineState {
  const [, state = '', reason = ''] = /^([a-z ]+?)(?: \(([^)]*)\))?$/.exec(text) ?? [];
  if (state === 'shut off') return reason === 'crashed' ? 'crashed' : 'off';
  if (state === 'crashed') return 'crashed';
  return ['paused', 'pmsuspended'].includes(state) ? 'paused' : 'running';
}
