/**
 * Writers, pruning, the collector, verification and readers at once on one store that fails now and then, against a model.
 *
 * The model: the root of a disk names its content, so each point that is in the store must give what was read when its root was
 * made, whatever a lost answer left behind; a point whose commit returned is there until somebody asks to drop it; one whose
 * dropping returned is gone. Content is drawn from few cells, so that everybody refers to what others wrote and what was just
 * dropped.
 *
 * A step is an action that was under way: a backup, a pruning of one VM, a run of the collector, a verification, a restore. One
 * that was refused because another holds the lock is none.
 */
import assert from 'node:assert/strict';
import { hasCode, isFault } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import {
  StoppedError,
  createMemoryStore,
  faultyStore,
  stopAt,
  storeFaults,
  type ObjectStore,
  type StoreHooks,
} from '../objectstore/index.ts';
import { randomFrom } from '../objectstore/seeded-random.fixture.ts';
import { CELL_BYTES } from './format.ts';
import type { RestorePoint } from './point.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { contentOf, draftOf, ingest, partsFor } from './repository.fixture.ts';

/** Two cells and a short one: a slot with patches, and as little as possible to hash. */
const DISK_BYTES = 2 * CELL_BYTES + 4096;
const WRITERS = 4;
const CONTENTS = 8;
/** Points of a VM that pruning leaves, at most. */
const POINTS_KEPT = 3;
/** One process in so many dies at some call. */
const DEATH_EVERY = 4;
/** Requests of two actions, about: a death strikes within. */
const REQUESTS_TO_DEATH = 100;
const RESTART_EVERY = 8;

export interface StressTally {
  steps: number;
  backups: number;
  drops: number;
  collections: number;
  deletedPacks: number;
  verifications: number;
  restores: number;
  /** Steps that a fault ended. */
  failures: number;
  deaths: number;
  /**
   * Backups and collections that were refused because the index showed an object not, in some of a hundred plays: not understood.
   * Whether it is lost the comparison at the end tells, which allows nothing.
   */
  missing: number;
  /** Actions that gave way to another: no steps. */
  refusals: number;
  /** Requests to the store: at each, others may go first, and a fault may strike. */
  requests: number;
}

class Hiccup extends Error {}

/** What a request fails with: something nobody foresaw, and what stores say of themselves, for a while or until somebody acts. */
const FAILURES = [
  () => new Hiccup(),
  () => storeFaults.ioFailed({ location: 'here', path: 'it', reason: 'a hiccup' }),
  () => storeFaults.connectionFailed({ location: 'here', operation: 'it', reason: 'a hiccup' }),
  () => storeFaults.noSpace({ location: 'here', path: 'it' }),
  () => storeFaults.requestDenied({ location: 'here', operation: 'it', reason: 'a hiccup' }),
] as const;

type Act = (repository: Repository) => Promise<void>;

/** What was asked for, and what of it was confirmed. */
interface Committed {
  readonly vm: string;
  dropping: 'no' | 'asked' | 'done';
}

export class Stress {
  readonly tally: StressTally = {
    steps: 0,
    backups: 0,
    drops: 0,
    collections: 0,
    deletedPacks: 0,
    verifications: 0,
    restores: 0,
    failures: 0,
    deaths: 0,
    missing: 0,
    refusals: 0,
    requests: 0,
  };
  readonly #store = createMemoryStore();
  readonly #parts: RepositoryParts = partsFor(this.#store, false);
  readonly #random: () => number;
  /** By the root of the disk. */
  readonly #contents = new Map<string, Buffer>();
  readonly #points = new Map<string, Committed>();
  readonly #cells: Buffer[];
  #faults = 0;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    this.#cells = Array.from({ length: CONTENTS }, (_, index) => Buffer.alloc(CELL_BYTES, `cell ${index} `));
  }

  /** Everybody works until so many more steps were taken; then all is quiet, and looked at. */
  async play(steps: number, faultRate: number): Promise<void> {
    this.#faults = faultRate;
    const end = this.tally.steps + steps;
    await Promise.all(this.#actors().map((act) => this.#often(act, end)));
    this.#faults = 0;
    this.tally.requests = this.#store.calls().length;
    await this.#check();
  }

  #actors(): Act[] {
    const writers = Array.from(
      { length: WRITERS },
      (_, vm): Act =>
        (each) =>
          this.#write(each, `vm-${vm}`),
    );
    return [
      ...writers,
      (each) => this.#prune(each),
      (each) => this.#collect(each),
      (each) => this.#verify(each),
      (each) => this.#restore(each),
      (each) => this.#restoreHeld(each),
    ];
  }

  /** A process: it works on with what it knows of the repository until it fails or is started anew. */
  async #often(act: Act, end: number): Promise<void> {
    let repository: Repository | undefined;
    while (this.tally.steps < end) {
      if (this.#draw(RESTART_EVERY) === 0) repository = undefined;
      const outcome = await this.#once(async () => act((repository ??= await this.#open())));
      if (outcome === 'refused') this.tally.refusals += 1;
      else this.tally.steps += 1;
      if (outcome === 'failed') repository = undefined;
    }
  }

  async #once(work: () => Promise<void>): Promise<'done' | 'failed' | 'refused'> {
    try {
      await work();
      return 'done';
    } catch (error) {
      if (isRefusal(error)) return 'refused';
      if (hasCode(error, 'REPO_OBJECT_MISSING')) this.tally.missing += 1;
      else if (!isAllowed(error)) throw error;
      this.tally.failures += 1;
      if (error instanceof StoppedError) this.tally.deaths += 1;
      return 'failed';
    }
  }

  async #write(repository: Repository, vm: string): Promise<void> {
    await using _lease = await repository.lockVm(vm);
    const [newest] = await pointsOf(repository, vm);
    const disk = new MemoryDisk(DISK_BYTES);
    const base = newest && this.#draw(5) > 0 ? newest : undefined;
    if (base) await disk.write(0, this.#contents.get(base.disks[0]!.root.id!)!);
    const cells = base ? [this.#draw(3)] : [0, 1, 2];
    for (const cell of cells) await this.#writeCell(disk, cell);
    const extents = cells.map((cell) => ({ offset: cell * CELL_BYTES, length: cellBytes(cell) }));
    await using session = await repository.startSession({ workers: 0 });
    const { root } = await ingest(session, { reader: disk, extents, base: base?.disks[0]!.root });
    this.#contents.set(root.id!, await contentOf(disk));
    const { id } = await session.commit(await draftOf(session, [{ root, size: DISK_BYTES }], vm));
    this.#points.set(id, { vm, dropping: 'no' });
    this.tally.backups += 1;
  }

  #writeCell(disk: MemoryDisk, cell: number): Promise<void> {
    const content = this.#cells[this.#draw(CONTENTS)]!;
    return disk.write(cell * CELL_BYTES, content.subarray(0, cellBytes(cell)));
  }

  /** Any points but the newest of a VM, as pruning does it. */
  async #prune(repository: Repository): Promise<void> {
    const vm = `vm-${this.#draw(WRITERS)}`;
    await using _pruning = await repository.lockPruning();
    await using _lease = await repository.lockVm(vm);
    for (const point of (await pointsOf(repository, vm)).slice(this.#draw(POINTS_KEPT) + 1)) {
      const known = this.#points.get(point.id) ?? { vm, dropping: 'no' };
      this.#points.set(point.id, known);
      known.dropping = 'asked';
      await repository.dropPoint(point);
      known.dropping = 'done';
      this.tally.drops += 1;
    }
  }

  async #collect(repository: Repository): Promise<void> {
    const { deleted } = await repository.collect();
    this.tally.collections += 1;
    this.tally.deletedPacks += deleted.packs;
  }

  async #verify(repository: Repository): Promise<void> {
    const { problems } = await repository.verify({ workers: 0, budget: { percent: 10 } });
    assert.deepEqual(problems, [], 'a verification finds no damage where none is');
    this.tally.verifications += 1;
  }

  /** Unannounced: the point may be dropped and collected while it is read; else it must be whole. */
  async #restore(repository: Repository): Promise<void> {
    const point = await this.#anyPoint(repository);
    if (point) await this.#compareUnheld(repository, point);
  }

  async #compareUnheld(repository: Repository, point: RestorePoint): Promise<void> {
    try {
      await this.#compare(repository, point);
      this.tally.restores += 1;
    } catch (error) {
      if (!isFault(error) || error.kind !== 'corrupt') throw error;
      const still = await pointsOf(repository, point.vm.id);
      assert.ok(!still.some(({ id }) => id === point.id), `a point that is there is whole: ${error.message}`);
    }
  }

  /** Announced: nothing of it is deleted meanwhile, although it may be dropped. What the store refused is not announced. */
  async #restoreHeld(repository: Repository): Promise<void> {
    const point = await this.#anyPoint(repository);
    if (!point) return;
    await using reading = await repository.startReading(point);
    if (reading.unregistered) return await this.#compareUnheld(repository, point);
    await this.#compare(repository, point);
    this.tally.restores += 1;
  }

  async #anyPoint(repository: Repository): Promise<RestorePoint | undefined> {
    const points = await pointsOf(repository, `vm-${this.#draw(WRITERS)}`);
    return points[this.#draw(points.length)];
  }

  async #compare(repository: Repository, point: RestorePoint): Promise<void> {
    const { root, size } = point.disks[0]!;
    const content = await contentOf(repository.openDisk(root, size));
    assert.ok(content.equals(this.#contents.get(root.id!)!), `point ${point.id} gives what was read for it`);
  }

  /** All that was promised, now that nobody works. */
  async #check(): Promise<void> {
    const repository = await Repository.open(this.#parts);
    const there = new Set<string>();
    for await (const point of repository.points()) {
      there.add(point.id);
      await this.#compare(repository, point);
    }
    for (const [id, { dropping, vm }] of this.#points) {
      if (dropping === 'no') assert.ok(there.has(id), `point ${id} of ${vm} was committed, and is there`);
      if (dropping === 'done') assert.ok(!there.has(id), `point ${id} of ${vm} was dropped, and is gone`);
    }
    assert.deepEqual((await repository.verify({ workers: 0 })).problems, []);
  }

  /** Each with memory of its own, as on another machine. */
  #open(): Promise<Repository> {
    return Repository.open({ ...this.#parts, store: this.#unsteady() });
  }

  /** Fails before or after a call took effect, or from some call on; and lets others go first as chance has it. */
  #unsteady(): ObjectStore {
    const stumble = async (): Promise<void> => {
      if (this.#draw(4) === 0) await new Promise((resolve) => setImmediate(resolve));
      if (this.#random() < this.#faults) throw FAILURES[this.#draw(FAILURES.length)]!();
    };
    const unsteady = faultyStore(this.#store, { before: stumble, after: stumble });
    return this.#faults > 0 && this.#draw(DEATH_EVERY) === 0
      ? faultyStore(unsteady, this.#death())
      : unsteady;
  }

  #death(): StoreHooks {
    return stopAt(1 + this.#draw(REQUESTS_TO_DEATH), this.#draw(2) === 0 ? 'before' : 'after');
  }

  #draw(below: number): number {
    return Math.floor(this.#random() * below);
  }
}

function cellBytes(cell: number): number {
  return Math.min(CELL_BYTES, DISK_BYTES - cell * CELL_BYTES);
}

/** Another was first. */
function isRefusal(error: unknown): boolean {
  return hasCode(error, 'REPO_VM_BUSY', 'REPO_PRUNE_BUSY', 'REPO_COLLECTOR_BUSY');
}

/** What a run may fail with: what was injected, and what says that another was first in the middle of it. */
function isAllowed(error: unknown): boolean {
  if (error instanceof Hiccup || error instanceof StoppedError) return true;
  if (isFault(error) && error.kind === 'retry') return true;
  if (hasCode(error, 'STORE_NO_SPACE', 'STORE_REQUEST_DENIED')) return true;
  return hasCode(error, 'REPO_POINT_NOT_FOUND', 'STORE_UPLOAD_FAILED');
}

async function pointsOf(repository: Repository, vmId: string): Promise<RestorePoint[]> {
  return Array.fromAsync(repository.points({ vmId }));
}
