/**
 * Merging AVHDX files back, some time after the checkpoint they belonged to is gone.
 *
 * Nothing says what is to be merged but the state itself: a frozen file directly under the leaf that no checkpoint refers
 * to. So a merge that a crash interrupted is simply found again. A frozen file further down waits until what is above it
 * has gone, as a chain is shortened from its leaf.
 */
import type { LabClock } from './clock.ts';
import type { CheckpointState, HostState } from './host-state.ts';
import type { Machine } from './machine.ts';
import type { LabOptions } from './options.ts';
import type { VirtualDisk } from './virtual-disk.ts';
import { samePath } from './volumes.ts';

export interface MergeDependencies {
  readonly clock: LabClock;
  readonly options: () => LabOptions;
  readonly state: HostState;
  readonly save: () => Promise<void>;
}

export class Merging {
  readonly #deps: MergeDependencies;
  readonly #running = new Map<string, Promise<void>>();
  readonly #stuck = new Set<string>();
  readonly #closed = new AbortController();
  /** Why the last merge of a VM failed, by VM. Its AVHDX stays, as on a real host. */
  readonly failures = new Map<string, Error>();

  constructor(deps: MergeDependencies) {
    this.#deps = deps;
  }

  /** OperationalStatus[1] is 32772. */
  isMerging(machine: Machine): boolean {
    return this.#running.has(machine.state.id);
  }

  isPending(machine: Machine): boolean {
    return machine.disks().some((disk) => this.#mergeable(disk));
  }

  /** Merges what can be merged, later. */
  kick(machine: Machine): void {
    const { id } = machine.state;
    if (this.#running.has(id) || this.#stuck.has(id) || !this.isPending(machine)) return;
    const task = this.#run(machine)
      .catch((error: unknown) => {
        this.failures.set(id, error as Error);
      })
      .finally(() => this.#running.delete(id));
    this.#running.set(id, task);
  }

  /** While held, merges of this VM do not happen. */
  hold(machine: Machine, held: boolean): void {
    if (held) this.#stuck.add(machine.state.id);
    else this.#stuck.delete(machine.state.id);
    this.kick(machine);
  }

  /** No merge is under way. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.settle();
  }

  async #run(machine: Machine): Promise<void> {
    await this.#deps.clock.sleep(this.#deps.options().mergeDelayMs, this.#closed.signal);
    await machine.lock.run(async () => {
      for (const disk of machine.disks()) {
        while (!this.#isHeld(machine) && this.#mergeable(disk)) await this.#mergeOne(disk);
      }
    });
    this.failures.delete(machine.state.id);
  }

  async #mergeOne(disk: VirtualDisk): Promise<void> {
    const merged = await disk.merge();
    // First remembered, then deleted: the file is either in the chain or an orphan that the next start removes.
    await this.#deps.save();
    await disk.deleteFile(merged);
  }

  #isHeld(machine: Machine): boolean {
    return this.#stuck.has(machine.state.id) || this.#closed.signal.aborted;
  }

  #mergeable(disk: VirtualDisk): boolean {
    const parent = disk.state.files.at(-2);
    if (parent?.frozenAt === undefined) return false;
    return !this.#deps.state.vms.some((vm) =>
      vm.checkpoints.some((checkpoint) => shows(checkpoint, parent.path)),
    );
  }
}

function shows(checkpoint: CheckpointState, path: string): boolean {
  return checkpoint.disks.some((disk) => samePath(disk.path, path));
}
