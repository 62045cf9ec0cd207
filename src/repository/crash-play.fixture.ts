/** A repository in a folder that will lose its power, and what each of its points must give. */
import { createHash } from 'node:crypto';
import type { MemoryDisk, RangeReader } from '../disk/index.ts';
import { layered, openDirectoryStore, type ObjectStore } from '../objectstore/index.ts';
import { ROOT_PATH, VolatileFiles } from '../objectstore/volatile-files.fixture.ts';
import { CELL_BYTES, SLOT_BYTES } from './format.ts';
import type { RestorePoint } from './point.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { backUp, diskWith, partsFor } from './repository.fixture.ts';
import { randomFrom } from '../objectstore/seeded-random.fixture.ts';

/** Two slots, the second short: three cells in a chunk of their own, and two that are all of their slot. */
export const DISK_BYTES = SLOT_BYTES + 2 * CELL_BYTES;
const CELLS_OF_FULL = [0, 1, 2, 16, 17];
const USED_CELLS = CELLS_OF_FULL.length;
const FIRST_BYTES = 3 * CELL_BYTES;

export interface PlayOptions {
  readonly encrypted?: boolean;
  readonly hardLinks?: boolean;
  /** Calls of several askers mix, as this number has it. */
  readonly mixed?: number;
}

export class Play {
  readonly files: VolatileFiles;
  readonly store: ObjectStore;
  readonly parts: RepositoryParts;
  readonly contents = new Map<string, Buffer>();
  /** What increments may store to fold slots. */
  foldBytes = 0;
  foldedSlots = 0;
  /** Recovery keys by their slots. */
  readonly keys = new Map<string, string>();
  /** Of the operations on the files: from here on every cut counts. */
  from = 0;
  readonly #newest = new Map<string, { disk: MemoryDisk; point: RestorePoint }>();

  private constructor(files: VolatileFiles, store: ObjectStore, encrypted: boolean) {
    this.files = files;
    this.store = noting(store, files);
    this.parts = partsFor(this.store, encrypted);
  }

  static async start({ encrypted = false, hardLinks = true, mixed }: PlayOptions = {}): Promise<Play> {
    const random = randomFrom(mixed ?? 0);
    const turns = (): number => (mixed === undefined ? 0 : Math.floor(random() * 4));
    const files = new VolatileFiles({ hardLinks, turns });
    return new Play(files, await openDirectoryStore(ROOT_PATH, { files }), encrypted);
  }

  begin(): void {
    this.from = this.files.operations.length;
  }

  open(): Promise<Repository> {
    return Repository.open(this.parts);
  }

  async full(vm: string, seed: number): Promise<RestorePoint> {
    const disk = await diskOf(seed);
    const { point } = await backUp(await this.open(), { reader: disk, extents: disk.allocated() }, vm);
    return this.note(vm, disk, point);
  }

  /** Some cells of the disk, from `cell` on. */
  async increment(vm: string, cell: number, seed: number, cells = 1): Promise<RestorePoint> {
    const { disk, point: base } = this.#newest.get(vm)!;
    const extent = { offset: cell * CELL_BYTES, length: cells * CELL_BYTES };
    for (let each = 0; each < cells; each += 1)
      await disk.write((cell + each) * CELL_BYTES, cellOf(seed + each));
    const fold = { bytes: this.foldBytes };
    const part = { reader: disk, extents: [extent], base: base.disks[0]!.root, fold };
    const repository = await this.open();
    await using _lease = await repository.lockVm(vm);
    const { point, stats } = await backUp(repository, part, vm);
    this.foldedSlots += stats.foldedSlots;
    return await this.note(vm, disk, point);
  }

  /** As `hvlift fold` does it. */
  async fold(vm: string): Promise<RestorePoint> {
    const { disk, point } = this.#newest.get(vm)!;
    const repository = await this.open();
    await using _lease = await repository.lockVm(vm);
    await using session = await repository.startSession({ workers: 0 });
    const { root, size } = point.disks[0]!;
    const reader = repository.openDisk(root, size);
    const made = await session.foldDisk({ root, size, reader, bytesMax: Infinity });
    this.foldedSlots += made.stats.foldedSlots;
    const disks = [{ ...point.disks[0]!, root: made.root }];
    const folded = await session.commitFolded(point, { runId: 'fold', disks });
    for (const baseline of await repository.baselines(vm)) {
      await repository.recordBaseline({ ...baseline, pointId: folded.id });
      await repository.forgetBaseline(baseline);
    }
    return await this.note(vm, disk, folded);
  }

  async drop(...points: readonly RestorePoint[]): Promise<void> {
    const repository = await this.open();
    await using _pruning = await repository.lockPruning();
    for (const point of points) {
      await using _lease = await repository.lockVm(point.vm.id);
      await repository.dropPoint(point);
    }
  }

  /** How many packs were rewritten. */
  async collect(runs = 1): Promise<number> {
    const repository = await this.open();
    let rewritten = 0;
    for (let run = 0; run < runs; run += 1) rewritten += (await repository.collect()).rewritten.packs;
    return rewritten;
  }

  async note(vm: string, disk: MemoryDisk, point: RestorePoint): Promise<RestorePoint> {
    this.contents.set(point.id, await used(disk));
    this.#newest.set(vm, { disk, point });
    return point;
  }
}

export function diskOf(seed: number): Promise<MemoryDisk> {
  return diskWith(
    DISK_BYTES,
    CELLS_OF_FULL.map((cell, index) => [cell * CELL_BYTES, cellOf(seed * 10 + index)] as const),
  );
}

/** What the disk holds where these tests write: reading the zeros between costs more than all the rest. */
export async function used(disk: RangeReader): Promise<Buffer> {
  const bytes = Buffer.alloc(USED_CELLS * CELL_BYTES, 0xa5);
  await disk.read(0, bytes.subarray(0, FIRST_BYTES));
  await disk.read(SLOT_BYTES, bytes.subarray(FIRST_BYTES));
  return bytes;
}

/** Writes what {@link used} gave. */
export async function fill(disk: MemoryDisk, bytes: Buffer): Promise<void> {
  await disk.write(0, bytes.subarray(0, FIRST_BYTES));
  await disk.write(SLOT_BYTES, bytes.subarray(FIRST_BYTES));
}

/** Quick to compress and to tell from others; some hundred bytes stay, so that packs are mostly what they hold. */
export function cellOf(seed: number): Buffer {
  const bytes = Buffer.alloc(CELL_BYTES, `cell ${seed} `);
  for (let at = 0; at < 512; at += 64) createHash('sha512').update(`${seed} ${at}`).digest().copy(bytes, at);
  return bytes;
}

/** Says of each object what whoever asked for it was told. */
function noting(store: ObjectStore, files: VolatileFiles): ObjectStore {
  return layered(store, async (call, run) => {
    const { method, name: object } = call;
    const makes = method === 'putNew' || method === 'commit';
    const removes = method === 'delete';
    if (makes || removes) files.note({ now: 'doubtful', object });
    const result = await run();
    if (makes) files.note({ now: files.contentOf(object), object });
    if (removes) files.note({ now: 'gone', object });
    return result;
  });
}
