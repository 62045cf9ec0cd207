/** `virsh`, one command a call: the way to libvirt that needs no library, and goes over SSH as well. */
import { MiB } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { hypervisorFaults } from './faults.ts';
import { runProgram } from './program.ts';

const PROGRAM = 'virsh';
/** The first question after libvirtd started makes it try every QEMU there is, some seconds each. */
const ANSWER_MS = 90_000;
const OUTPUT_BYTES_MAX = 8 * MiB;

export class Virsh {
  readonly uri: string;

  constructor(uri: string) {
    this.uri = uri;
  }

  /**
   * What it prints. Throws `HYPERVISOR_NO_VIRSH`, `HYPERVISOR_UNREACHABLE`, `HYPERVISOR_UNRESPONSIVE`, `HYPERVISOR_NO_MACHINE`,
   * else `HYPERVISOR_COMMAND_FAILED`.
   */
  async run(command: readonly [string, ...string[]], options: CallOptions = {}): Promise<string> {
    const { code, output, complaint, timedOut } = await this.#spawned(command, options);
    if (code === 0) return output;
    const hypervisor = this.uri;
    if (timedOut)
      throw hypervisorFaults.unresponsive({ hypervisor, command: command[0], seconds: ANSWER_MS / 1000 });
    const reason =
      complaint.replaceAll(/^error: /gm, '').replaceAll(/\s*\n\s*/g, '; ') || `exit code ${code}`;
    if (/failed to connect to the hypervisor|Disconnected from |client socket is closed/i.test(complaint))
      throw hypervisorFaults.unreachable({ hypervisor, reason });
    if (/failed to get domain|Domain not found/i.test(complaint))
      throw hypervisorFaults.noMachine({ hypervisor, machine: command.at(-1) });
    throw hypervisorFaults.commandFailed({ hypervisor, command: command[0], reason });
  }

  async #spawned(
    command: readonly string[],
    { signal }: CallOptions,
  ): Promise<Awaited<ReturnType<typeof runProgram>>> {
    try {
      return await runProgram(PROGRAM, ['--quiet', '--connect', this.uri, ...command], {
        timeoutMs: ANSWER_MS,
        outputBytesMax: OUTPUT_BYTES_MAX,
        signal,
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw hypervisorFaults.noVirsh({ reason: (error as Error).message }, { cause: error });
    }
  }
}
