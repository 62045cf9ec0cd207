/**
 * Writers, pruning, the collector and readers at once on one store that fails now and then, against a model.
 *
 * The model is one line: the root of a disk names its content. So whatever a lost answer left behind, each point that is in
 * the store must give what was read when its root was made. Content is drawn from few cells, so that everybody refers to what
 * others wrote and what was just dropped.
 */
import assert from 'node:assert/strict';
import { hasCode, isFault } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { createMemoryStore, faultyStore, type ObjectStore } from '../objectstore/index.ts';
import { CELL_BYTES } from './format.ts';
import type { RestorePoint } from './point.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { contentOf, draftOf, ingest, partsFor, sampleBytes } from './repository.fixture.ts';

const DISK_BYTES = 3 * CELL_BYTES;
const WRITERS = 4;
const CONTENTS = 10;
/** Points of a VM beyond which it is pruned rather than backed up. */
const POINTS_KEPT = 3;

export interface StressTally {
  steps: number;
  commits: number;
  drops: number;
  collections: number;
  deletedPacks: number;
  restores: number;
  failures: number;
  /** Requests to the store: at each, others may go first, and a fault may strike. */
  requests: number;
}

class Hiccup extends Error {}

export class Stress {
  readonly tally: StressTally = {
    steps: 0,
    commits: 0,
    drops: 0,
    collections: 0,
    deletedPacks: 0,
    restores: 0,
    failures: 0,
    requests: 0,
  };
  readonly #store = createMemoryStore();
  readonly #parts: RepositoryParts = partsFor(this.#store, false);
  readonly #random: () => number;
  readonly #contents = new Map<string, Buffer>();
  readonly #cells: Buffer[];
  #faults = 0;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    this.#cells = Array.from({ length: CONTENTS }, (_, index) => sampleBytes(CELL_BYTES, index));
  }

  /** Everybody works until each has taken `rounds` steps; then all is quiet, and looked at. */
  async round(rounds: number, faultRate: number): Promise<void> {
    this.#faults = faultRate;
    const writers = Array.from({ length: WRITERS }, (_, vm) => () => this.#write(`vm-${vm}`));
    const actors = [...writers, () => this.#prune(), () => this.#collect(), () => this.#restore()];
    await Promise.all(actors.map((act) => this.#often(act, rounds)));
    this.#faults = 0;
    this.tally.requests = this.#store.calls().length;
    await this.#check();
  }

  async #often(act: () => Promise<void>, times: number): Promise<void> {
    for (let time = 0; time < times; time += 1) {
      try {
        await act();
      } catch (error) {
        if (!isAllowed(error)) throw error;
        this.tally.failures += 1;
      }
      this.tally.steps += 1;
    }
  }

  async #write(vm: string): Promise<void> {
    const repository = await this.#open();
    await using _lease = await repository.lockVm(vm);
    const [newest] = await pointsOf(repository, vm);
    const disk = new MemoryDisk(DISK_BYTES);
    const base = newest && this.#draw(5) > 0 ? newest : undefined;
    if (base) await disk.write(0, this.#contents.get(base.disks[0]!.root.id!)!);
    const cells = base ? [this.#draw(3)] : [0, 1, 2];
    for (const cell of cells) await disk.write(cell * CELL_BYTES, this.#cells[this.#draw(CONTENTS)]!);
    const extents = cells.map((cell) => ({ offset: cell * CELL_BYTES, length: CELL_BYTES }));
    await using session = await repository.startSession({ workers: 0 });
    const { root } = await ingest(session, { reader: disk, extents, base: base?.disks[0]!.root });
    this.#contents.set(root.id!, await contentOf(disk));
    await session.commit(await draftOf(session, [{ root, size: DISK_BYTES }], vm));
    this.tally.commits += 1;
  }

  /** Any point but the newest of its VM, as pruning does it. */
  async #prune(): Promise<void> {
    const repository = await this.#open();
    await using _pruning = await repository.lockPruning();
    for (let vm = 0; vm < WRITERS; vm += 1) {
      await using _lease = await repository.lockVm(`vm-${vm}`);
      for (const point of (await pointsOf(repository, `vm-${vm}`)).slice(this.#draw(POINTS_KEPT) + 1)) {
        await repository.dropPoint(point);
        this.tally.drops += 1;
      }
    }
  }

  async #collect(): Promise<void> {
    const { deleted } = await (await this.#open()).collect();
    this.tally.collections += 1;
    this.tally.deletedPacks += deleted.packs;
  }

  async #restore(): Promise<void> {
    const repository = await this.#open();
    const points = await Array.fromAsync(repository.points());
    const point = points[this.#draw(points.length)];
    if (!point) return;
    try {
      await this.#compare(repository, point);
      this.tally.restores += 1;
    } catch (error) {
      // It may have been dropped, and collected, while it was read; else it must be whole.
      if (!isFault(error) || error.kind !== 'corrupt') throw error;
      const still = await pointsOf(repository, point.vm.id);
      assert.ok(!still.some(({ id }) => id === point.id), `a point that is there is whole: ${error.message}`);
    }
  }

  async #compare(repository: Repository, point: RestorePoint): Promise<void> {
    const { root, size } = point.disks[0]!;
    const content = await contentOf(repository.openDisk(root, size));
    assert.ok(content.equals(this.#contents.get(root.id!)!), `point ${point.id} gives what was read for it`);
  }

  async #check(): Promise<void> {
    const repository = await Repository.open(this.#parts);
    for await (const point of repository.points()) await this.#compare(repository, point);
    assert.deepEqual((await repository.verify({ workers: 0 })).problems, []);
  }

  /** Each with memory of its own, as on another machine. */
  #open(): Promise<Repository> {
    return Repository.open({ ...this.#parts, store: this.#unsteady() });
  }

  /** Fails before or after a call took effect, and lets others go first as chance has it. */
  #unsteady(): ObjectStore {
    const stumble = async (): Promise<void> => {
      if (this.#draw(4) === 0) await new Promise((resolve) => setImmediate(resolve));
      if (this.#random() < this.#faults) throw new Hiccup();
    };
    return faultyStore(this.#store, { before: stumble, after: stumble });
  }

  #draw(below: number): number {
    return Math.floor(this.#random() * below);
  }
}

/** What a run may fail with: what was injected, and what says that another was first. */
function isAllowed(error: unknown): boolean {
  if (error instanceof Hiccup || (isFault(error) && error.kind === 'retry')) return true;
  return hasCode(error, 'REPO_POINT_NOT_FOUND', 'STORE_NOT_FOUND', 'STORE_UPLOAD_FAILED');
}

async function pointsOf(repository: Repository, vmId: string): Promise<RestorePoint[]> {
  return Array.fromAsync(repository.points({ vmId }));
}

/** Mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
