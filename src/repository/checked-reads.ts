/**
 * Objects read back for nothing but to see whether they are whole: in batches, by the workers, each place once. What is damaged
 * is collected and never thrown; memory does not grow with the repository: one bit an object.
 */
import { isFault, silentProgress, type Fault, type Progress } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { hexOf, kindOf, packName, type ObjectKind } from './format.ts';
import type { RepositoryPool } from './jobs.ts';
import { HEADER_BYTES, ObjectProblem, readHeader } from './object.ts';
import type { Location } from './object-index.ts';
import { damagedObject, type ObjectReader } from './object-reader.ts';
import type { Quarantine } from './quarantine.ts';
import { readObject } from './restore.ts';
import { SeenObjects } from './seen-objects.ts';
import type { ObjectPlace } from './segment-writer.ts';

export interface Damage {
  readonly fault: Fault;
  /** Absent when no pack has it. */
  readonly place?: ObjectPlace | undefined;
}

export interface CheckedReadsParts {
  readonly objects: ObjectReader;
  readonly pool: RepositoryPool;
  readonly quarantine: Quarantine;
}

export type CheckedReadsOptions = CallOptions & { readonly progress?: Progress | undefined };

const BATCH_OBJECTS = 8;
const BATCHES_AT_ONCE = 8;
/** Damaged objects told apart; a repository with more is lost as a whole, and its report is long enough. */
export const PROBLEMS_MAX = 10_000;

export class CheckedReads {
  readonly damaged = new Map<string, Damage>();
  /** Quarantined places that are whole. */
  readonly sound: ObjectPlace[] = [];
  readonly totals = { objects: 0, rawBytes: 0, storedBytes: 0 };
  readonly #parts: CheckedReadsParts;
  readonly #options: CallOptions;
  readonly #progress: Progress;
  readonly #seen = new SeenObjects();
  readonly #running = new Set<Promise<void>>();
  #batch: { readonly kind: ObjectKind; readonly place: ObjectPlace }[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(parts: CheckedReadsParts, options: CheckedReadsOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#progress = options.progress ?? silentProgress;
  }

  /** A chunk that a map names. */
  async chunk(id: string): Promise<void> {
    if (this.damaged.has(id)) return;
    const place = await this.attempt(id, () => this.#parts.objects.locate('data', id));
    if (place && this.#seen.add(place)) await this.place('data', place);
  }

  /** What stands at a place, whatever names it. */
  async place(kind: ObjectKind, place: ObjectPlace): Promise<void> {
    this.#batch.push({ kind, place });
    if (this.#batch.length < BATCH_OBJECTS) return;
    while (this.#running.size >= BATCHES_AT_ONCE) await Promise.race(this.#running);
    if (this.#failure) throw this.#failure.error;
    this.#options.signal?.throwIfAborted();
    this.#dispatch();
  }

  /** Its kind as its header says it; a header that cannot be read is noted as damage. */
  async kindAt(place: ObjectPlace): Promise<ObjectKind | undefined> {
    const { store } = this.#parts.objects;
    try {
      const header = await store.getRange(packName(place.packId), place.offset, HEADER_BYTES, this.#options);
      return kindOf(readHeader(header).kind);
    } catch (error) {
      const problem = error instanceof ObjectProblem ? error.message : damageOf(error).message;
      this.note(hexOf(place.id), damagedObject('data', place, problem) as Fault, place);
      return undefined;
    }
  }

  /** True the first time. */
  isNew(place: Location): boolean {
    return this.#seen.add(place);
  }

  wasRead(place: Location): boolean {
    return this.#seen.has(place);
  }

  /** Runs a read of this thread; damage is noted under `id`. */
  async attempt<T>(id: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      this.note(id, damageOf(error), await this.#parts.objects.index.findReadable(id));
      return undefined;
    }
  }

  note(id: string, fault: Fault, place: ObjectPlace | undefined): void {
    if (this.damaged.size < PROBLEMS_MAX) this.damaged.set(id, { fault, place });
  }

  count(objects: number, rawBytes: number, storedBytes: number): void {
    this.totals.objects += objects;
    this.totals.rawBytes += rawBytes;
    this.totals.storedBytes += storedBytes;
    this.#progress.advance(rawBytes);
  }

  /** Waits for what is under way. */
  async settle(): Promise<void> {
    while (this.#batch.length > 0 || this.#running.size > 0) {
      this.#dispatch();
      await Promise.all(this.#running);
      if (this.#failure) throw this.#failure.error;
    }
  }

  #dispatch(): void {
    if (this.#batch.length === 0) return;
    const running: Promise<void> = this.#check(this.#batch)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(running));
    this.#batch = [];
    this.#running.add(running);
  }

  async #check(batch: readonly { readonly kind: ObjectKind; readonly place: ObjectPlace }[]): Promise<void> {
    const readable: (typeof batch)[number][] = [];
    const objects = [];
    for (const each of batch) {
      try {
        objects.push({
          ...(await readObject(this.#parts.objects, each.place, [], this.#options)),
          kind: each.kind,
        });
        readable.push(each);
      } catch (error) {
        const fault = damageOf(error);
        if (!(await this.#wasCollected(each.place))) this.note(hexOf(each.place.id), fault, each.place);
      }
    }
    const reply = await this.#parts.pool.run('read', { objects });
    const problems = new Map(reply.problems.map(({ index, problem }) => [index, problem]));
    for (const [index, { kind, place }] of readable.entries())
      await this.#judge(kind, place, problems.get(index));
    this.count(batch.length, reply.rawBytes, reply.storedBytes);
  }

  async #judge(kind: ObjectKind, place: ObjectPlace, problem: string | undefined): Promise<void> {
    if (problem === undefined) {
      if (this.#parts.quarantine.has(place)) this.sound.push(place);
      return;
    }
    const { objects } = this.#parts;
    const moved = await objects.moved(place, this.#options);
    if (moved) this.#batch.push({ kind, place: moved });
    else if (!(await this.#wasCollected(place)))
      this.note(hexOf(place.id), damagedObject(kind, place, problem) as Fault, place);
  }

  /** Nothing needed it any more, and its pack was deleted after it was listed. */
  async #wasCollected({ id, packId }: ObjectPlace): Promise<boolean> {
    const { store, index } = this.#parts.objects;
    return !(await index.findReadable(hexOf(id))) && !(await store.stat(packName(packId), this.#options));
  }
}

/** Damage is reported; everything else (no network, cancelled, a bug) ends the verification: it says nothing about the data. */
export function damageOf(error: unknown): Fault {
  if (isFault(error) && error.kind === 'corrupt') return error;
  throw error;
}
