/**
 * Objects read back for nothing but to see whether they are whole: in batches, by the workers, each place once. What is damaged
 * is collected and never thrown; memory does not grow with the repository: one bit an object.
 */
import { hasCode, isFault, silentProgress, type Fault, type Progress } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { Fates } from './fate.ts';
import { hexOf, kindOf, packName, trailerEntry, type ObjectKind } from './format.ts';
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
  readonly place?: Pick<ObjectPlace, 'packId' | 'offset'> | undefined;
}

/** What is to be read. */
interface Asked {
  readonly kind: ObjectKind;
  readonly place: ObjectPlace;
  /** A restore point that is being verified needs it: then no collector may have deleted it. */
  readonly isNeeded: boolean;
}

export interface CheckedReadsParts {
  readonly objects: ObjectReader;
  readonly pool: RepositoryPool;
  readonly quarantine: Quarantine;
  readonly isDoomed: (packId: Uint8Array) => Promise<boolean>;
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
  /** Of each pack, by hexadecimal id, what was read for restore points, with its entries in the trailer. */
  readonly packBytes = new Map<string, number>();
  readonly fates: Fates;
  readonly #parts: CheckedReadsParts;
  readonly #options: CallOptions;
  readonly #progress: Progress;
  readonly #seen = new SeenObjects();
  readonly #running = new Set<Promise<void>>();
  #batch: Asked[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(parts: CheckedReadsParts, options: CheckedReadsOptions) {
    this.#parts = parts;
    this.#options = options;
    this.fates = new Fates(parts, options);
    this.#progress = options.progress ?? silentProgress;
  }

  /** A chunk that a map names. */
  async chunk(id: string): Promise<void> {
    if (this.damaged.has(id)) return;
    const place = await this.attempt(id, () => this.#parts.objects.locate('data', id));
    if (place && this.isNew(place)) await this.#ask({ kind: 'data', place, isNeeded: true });
  }

  /** What stands at a place, whatever names it. */
  async place(kind: ObjectKind, place: ObjectPlace): Promise<void> {
    await this.#ask({ kind, place, isNeeded: false });
  }

  async #ask(asked: Asked): Promise<void> {
    this.#batch.push(asked);
    if (this.#batch.length < BATCH_OBJECTS) return;
    while (this.#running.size >= BATCHES_AT_ONCE) await Promise.race(this.#running);
    if (this.#failure) throw this.#failure.error;
    this.#options.signal?.throwIfAborted();
    this.#dispatch();
  }

  /** The same where its kind stands in its header alone. */
  async unlisted(place: ObjectPlace): Promise<void> {
    const { store } = this.#parts.objects;
    let kind: ObjectKind | undefined;
    try {
      const header = await store.getRange(packName(place.packId), place.offset, HEADER_BYTES, this.#options);
      kind = kindOf(readHeader(header).kind);
    } catch (error) {
      const problem = error instanceof ObjectProblem ? error.message : damageOf(error).message;
      const asked = { kind: 'data', place, isNeeded: false } as const;
      return this.#unreadable(asked, damagedObject('data', place, problem), (moved) => this.unlisted(moved));
    }
    if (kind !== undefined) await this.place(kind, place);
  }

  /** True the first time. */
  isNew(place: Location): boolean {
    if (!this.#seen.add(place)) return false;
    const pack = hexOf(place.packId);
    const bytes = HEADER_BYTES + place.storedLength + trailerEntry.size;
    this.packBytes.set(pack, (this.packBytes.get(pack) ?? 0) + bytes);
    return true;
  }

  wasRead(place: Location): boolean {
    return this.#seen.has(place);
  }

  /** Runs a read of this thread for a restore point; damage is noted under `id`. */
  async attempt<T>(id: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      const fault = damageOf(error);
      this.note(id, fault, placeOf(fault));
      return undefined;
    }
  }

  note(id: string, fault: Fault, place: Damage['place']): void {
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

  async #check(batch: readonly Asked[]): Promise<void> {
    const readable: Asked[] = [];
    const objects = [];
    for (const each of batch) {
      try {
        const object = await readObject(this.#parts.objects, each.place, [], this.#options);
        objects.push({ ...object, kind: each.kind });
        readable.push(each);
      } catch (error) {
        await this.#unreadable(each, damageOf(error));
      }
    }
    const reply = await this.#parts.pool.run('read', { objects });
    const problems = new Map(reply.problems.map(({ index, problem }) => [index, problem]));
    for (const [index, asked] of readable.entries()) await this.#judge(asked, problems.get(index));
    this.count(batch.length, reply.rawBytes, reply.storedBytes);
  }

  async #judge(asked: Asked, problem: string | undefined): Promise<void> {
    const { kind, place } = asked;
    if (problem !== undefined) await this.#unreadable(asked, damagedObject(kind, place, problem));
    else if (this.#parts.quarantine.has(place)) this.sound.push(place);
  }

  /** What a collector moved is read where it is now; what it deleted is missed by nobody, unless a point needs it. */
  async #unreadable(
    asked: Asked,
    fault: Fault,
    readAt = async (place: ObjectPlace): Promise<void> => void this.#batch.push({ ...asked, place }),
  ): Promise<void> {
    const { place, isNeeded } = asked;
    const fate = await this.fates.of(place);
    if (fate === 'damaged' || (fate === 'collected' && isNeeded)) this.note(hexOf(place.id), fault, place);
    else if (fate !== 'collected') await readAt(fate);
  }
}

/** Where a damaged object was read. */
function placeOf(fault: Fault): Damage['place'] {
  const { name, offset } = fault.details;
  if (!hasCode(fault, 'REPO_OBJECT_DAMAGED')) return undefined;
  return { packId: Buffer.from(String(name).slice(-32), 'hex'), offset: Number(offset) };
}

/** Damage is reported; everything else (no network, cancelled, a bug) ends the verification: it says nothing about the data. */
export function damageOf(error: unknown): Fault {
  if (isFault(error) && error.kind === 'corrupt') return error;
  throw error;
}
