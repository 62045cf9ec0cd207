/**
 * A VM, a target and a replica between them, killed at any step, for every kind of target: what another process then finds is
 * compared with what the VM held.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { KiB, silentProgress } from '../base/index.ts';
import type { Target, TargetDisk, TargetHistory } from '../targets/index.ts';
import { Replica, type ReplicaState } from './replicate-state.ts';
import { settleTarget, specOf } from './replicate-target.ts';
import { Fate, MemoryVm } from './replicate-world.fixture.ts';
import { replicateVm, type ReplicateRecord, type ReplicateRequest } from './replicate.ts';

export interface WorldParts<T extends Target> {
  readonly stateFolder: string;
  readonly sizes: readonly number[];
  readonly target: (fate: Fate) => T;
  readonly fate?: Fate;
  /** Power is lost where the target is. */
  readonly lose?: (target: T, cut: number) => Promise<void>;
}

export class ReplicaWorld<T extends Target> {
  readonly fate: Fate;
  readonly vm: MemoryVm;
  readonly target: T;
  readonly stateFolder: string;
  readonly #parts: WorldParts<T>;
  #writes = 0;

  constructor(parts: WorldParts<T>) {
    this.#parts = parts;
    this.fate = parts.fate ?? new Fate();
    this.vm = new MemoryVm(this.fate, parts.sizes);
    this.target = parts.target(this.fate);
    this.stateFolder = parts.stateFolder;
  }

  /** Of every disk: data at an odd place, data over whole blocks, and zeros over what was data before. */
  async write(): Promise<void> {
    this.#writes += 1;
    const n = this.#writes;
    for (const [index, { disk }] of this.vm.disks.entries()) {
      const { size } = disk;
      const at = (n * 190_000 + 512 * n) % (size - 200_000);
      await this.vm.write(index, at, Buffer.alloc(70_000, n));
      await this.vm.write(index, (n * 128 * KiB) % (size - 128 * KiB), Buffer.alloc(64 * KiB, 100 + n));
      // Whole blocks wherever they come: what is zeros in part is data.
      const zeros = ((n + 3) * 128 * KiB) % (size - (size % (128 * KiB)));
      await this.vm.write(index, zeros, Buffer.alloc(64 * KiB));
      await this.vm.write(index, size - 512, Buffer.alloc(512, n));
    }
  }

  cycle(request: Partial<ReplicateRequest> = {}): Promise<ReplicateRecord> {
    const { vm, target, stateFolder } = this;
    return this.steps(() =>
      replicateVm(
        { source: vm, resolveVm: async () => vm.vm },
        { vm: 'web01', target, stateFolder, ...request },
      ),
    );
  }

  /** Every change of the state is a step, and dying right after it is another. */
  async steps<R>(work: () => Promise<R>): Promise<R> {
    const { fate } = this;
    const save = Replica.prototype.save; // oxlint-disable-line typescript/unbound-method
    Replica.prototype.save = function (changes) {
      return fate.around('save', () => save.call(this, changes));
    };
    try {
      return await work();
    } finally {
      Replica.prototype.save = save;
    }
  }

  /** Dies at a step, and what it says then nobody hears. The step; undefined when there are fewer. */
  async killedAt(dieAt: number, work: () => Promise<unknown>): Promise<string | undefined> {
    this.fate.startOver(dieAt);
    await work().catch(() => {});
    const step = this.fate.steps[dieAt];
    this.fate.startOver();
    await this.#parts.lose?.(this.target, dieAt);
    return step;
  }

  /** What another process finds: the state as it is on disk, and the target settled. */
  async settled(): Promise<ReplicaState> {
    await using replica = await this.#held();
    await settleTarget(replica, this.target, { advance: (bytes) => silentProgress.advance(bytes) });
    const { state } = replica;
    return state;
  }

  /** Every disk of the generation is to the byte what the VM held then. */
  async assertIs(state: ReplicaState): Promise<void> {
    const { number, runId, disks } = state.generation!;
    const truth = this.vm.truth.get(runId)!;
    assert.equal(disks.length, truth.size);
    for (const each of disks) {
      const was = truth.get(each.diskId)!;
      const is = await this.target.openDisk(specOf({ state }, each));
      const hashes = [await hashOf(is), await hashOf(was)];
      await is.close();
      assert.equal(hashes[0], hashes[1], `disk ${each.diskId} of generation ${number}`);
    }
  }

  async #held(): Promise<Replica> {
    return Replica.hold(this.stateFolder, { vm: this.vm.vm, target: this.target.address });
  }
}

async function hashOf(disk: {
  readonly size: number;
  read(offset: number, into: Uint8Array): Promise<void>;
}): Promise<string> {
  const bytes = Buffer.alloc(disk.size, 0xee);
  await disk.read(0, bytes);
  return createHash('sha256').update(bytes).digest('hex');
}

/** Half of what was not flushed arrives, another half each time. */
export function someOf(seed: number): () => boolean {
  let state = seed * 2_654_435_761 + 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state > 0x7fff_ffff;
  };
}

/** Any target, whose changes are steps. Closing is none: a process that dies closes its files too. */
export function fated(target: Target, fate: Fate): Target {
  return over(target, {
    openDisk: async (...args: Parameters<Target['openDisk']>) => {
      fate.step('open');
      return fatedDisk(await target.openDisk(...args), fate);
    },
    ...(target.historyOf
      ? { historyOf: (owner: string) => fatedHistory(target.historyOf!(owner), fate) }
      : {}),
  });
}

function fatedDisk(disk: TargetDisk, fate: Fate): TargetDisk {
  const change =
    <A extends unknown[]>(name: string, work: (...args: A) => Promise<void>) =>
    (...args: A): Promise<void> => {
      fate.step(name);
      return work(...args);
    };
  return over(disk, {
    write: change('write', disk.write.bind(disk)),
    zero: change('zero', disk.zero.bind(disk)),
    settleSize: change('settle the size', disk.settleSize.bind(disk)),
    flush: change('flush', disk.flush.bind(disk)),
  });
}

function fatedHistory(history: TargetHistory, fate: Fate): TargetHistory {
  return over(history, {
    keep: (...args: Parameters<TargetHistory['keep']>) => fate.around('keep', () => history.keep(...args)),
    drop: (number: number) => fate.around('drop', () => history.drop(number)),
    bringBack: (...args: Parameters<TargetHistory['bringBack']>) =>
      fate.around('bring back', () => history.bringBack(...args)),
  });
}

function over<T extends object>(inner: T, changes: Partial<T>): T {
  return new Proxy(inner, {
    get(_inner, name) {
      const changed: unknown = Reflect.get(changes, name);
      if (changed !== undefined) return changed;
      const value: unknown = Reflect.get(inner, name, inner);
      return typeof value === 'function' ? (value.bind(inner) as unknown) : value;
    },
  });
}
