/**
 * Where every object is: all live segments together. Loaded is only what describes the segments, never their entries.
 *
 * Damage to a segment costs time, not data: everything in it also stands in the packs. So a damaged segment is set aside
 * when the index is opened; an object that is then not found is blamed on it.
 */
import { randomBytes } from 'node:crypto';
import { hasCode, mapOrdered, MiB, Mutex } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { hexOf } from './format.ts';
import { PageCache, PagedReader } from './paged-reader.ts';
import { Segment, type FoundEntry, type PackFilter } from './segment.ts';
import { encodeSegment, type ObjectPlace, type PackInfo } from './segment-writer.ts';

/** A segment may be merged away and its file collected while it is read: its successor answers. */
const LOOKS_MAX = 4;
/** Holds the Bloom filters of some 40 million objects; beyond that a question may cost a read. */
const CACHE_BYTES = 64 * MiB;
const SEGMENTS_AT_ONCE = 8;
/** Merging rewrites what it merges: small segments are cheap to rewrite, and there are the most of them. */
const COMPACT_ABOVE = 24;
const COMPACT_ENTRIES_MAX = 262_144;

export interface Location extends FoundEntry {
  readonly segment: Segment;
  /** It was found damaged there, and no other place is known. */
  readonly quarantined: boolean;
}

/** Places that are used only where there is no other; see quarantine.ts. */
export interface AvoidedPlaces {
  readonly isEmpty: boolean;
  has(place: ObjectPlace): boolean;
}

export class ObjectIndex {
  readonly #store: ObjectStore;
  readonly #repositoryId: Uint8Array;
  readonly #cache: PageCache;
  /** A list taken before another session's segment was added must not replace one that has it. */
  readonly #changing = new Mutex();
  readonly #avoided: AvoidedPlaces;
  /** Newest last. */
  #segments: Segment[] = [];
  #damaged: Error[] = [];

  constructor(store: ObjectStore, repositoryId: Uint8Array, avoided: AvoidedPlaces = NOTHING_AVOIDED) {
    this.#store = store;
    this.#avoided = avoided;
    this.#repositoryId = repositoryId;
    this.#cache = new PageCache(store, CACHE_BYTES);
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** Faults of the segments that could not be opened. */
  get damaged(): readonly Error[] {
    return this.#damaged;
  }

  /** Learns what other writers added or replaced since. */
  refresh(options: CallOptions = {}): Promise<void> {
    return this.#changing.run(() => whileVanishing(() => this.#refresh(options)));
  }

  async #refresh({ signal }: CallOptions): Promise<void> {
    const known = new Map(this.#segments.map((segment) => [segment.name, segment]));
    const damaged: Error[] = [];
    const segments: Segment[] = [];
    const opening = mapOrdered(
      this.#store.list('index/', { signal }),
      SEGMENTS_AT_ONCE,
      async ({ name, size }) => known.get(name) ?? this.#open(name, size, damaged),
    );
    for await (const segment of opening) if (segment) segments.push(segment);
    const superseded = new Set(segments.flatMap((segment) => segment.superseded));
    this.#segments = segments.filter((segment) => !superseded.has(segment.id));
    this.#damaged = damaged.filter((error) => !superseded.has(segmentIdOf(error)));
  }

  async #open(name: string, size: number, damaged: Error[]): Promise<Segment | undefined> {
    try {
      return await Segment.open(new PagedReader(this.#cache, name, size), this.#repositoryId);
    } catch (error) {
      if (!hasCode(error, 'REPO_INDEX_DAMAGED', 'STORE_TRUNCATED')) throw error;
      damaged.push(error);
      return undefined;
    }
  }

  /** An object may stand in several packs: the first place in one that is `wanted`. */
  find(id: Uint8Array, wanted: PackFilter = anyPack): Promise<Location | undefined> {
    return whileVanishing(
      () => this.#find(id, wanted),
      () => this.refresh(),
    );
  }

  /** Undefined also when a damaged segment hides it. */
  async findReadable(id: string): Promise<Location | undefined> {
    try {
      return await this.find(Buffer.from(id, 'hex'));
    } catch (error) {
      if (hasCode(error, 'REPO_INDEX_DAMAGED')) return undefined;
      throw error;
    }
  }

  async #find(id: Uint8Array, wanted: PackFilter): Promise<Location | undefined> {
    const avoided = this.#avoided;
    if (avoided.isEmpty) return this.#first(id, ({ packId }) => wanted(packId), false);
    const sound = await this.#first(id, (place) => wanted(place.packId) && !avoided.has(place), false);
    return sound ?? this.#first(id, ({ packId }) => wanted(packId), true);
  }

  async #first(
    id: Uint8Array,
    wanted: (place: ObjectPlace) => boolean,
    quarantined: boolean,
  ): Promise<Location | undefined> {
    for (const segment of this.#segments) {
      const found = await segment.find(id, wanted);
      if (found) return { ...found, segment, quarantined };
    }
    return undefined;
  }

  /** Writes one more segment and makes it known. */
  async add(
    content: {
      readonly packs: readonly PackInfo[];
      readonly places: readonly ObjectPlace[];
      readonly superseded?: readonly Uint8Array[];
    },
    options: CallOptions = {},
  ): Promise<void> {
    const segmentId = randomBytes(16);
    const superseded = content.superseded ?? [];
    const bytes = encodeSegment({ ...content, repositoryId: this.#repositoryId, segmentId, superseded });
    const name = `index/${segmentId.toString('hex')}`;
    await this.#store.putNew(name, bytes, options);
    const gone = new Set(superseded.map((id) => Buffer.from(id).toString('hex')));
    const added = await Segment.open(new PagedReader(this.#cache, name, bytes.length), this.#repositoryId);
    await this.#changing.run(async () => {
      const others = this.#segments.filter((segment) => !gone.has(segment.id) && segment.name !== name);
      this.#segments = [...others, added];
      this.#damaged = this.#damaged.filter((error) => !gone.has(segmentIdOf(error)));
    });
  }

  /**
   * Merges small segments when there are many, so that a question stays cheap after thousands of runs. Two writers may do
   * it at once: both results are right, and what both replaced is ignored by all. The replaced files stay for the collector.
   * Every place of an object is kept in a pack that is `wanted`: which of them will last, only the collector knows.
   */
  async compact(options: CallOptions & { readonly wanted?: PackFilter } = {}): Promise<void> {
    if (this.#segments.length <= COMPACT_ABOVE) return;
    const chosen = chooseSmall(this.#segments);
    if (chosen.length < 2) return;
    try {
      await this.#merge(chosen, options.wanted ?? anyPack, options);
    } catch (error) {
      if (!hasCode(error, 'STORE_NOT_FOUND')) throw error;
      await this.refresh(options); // somebody else merged them meanwhile
    }
  }

  /** Replaces every segment that names a pack that is not `wanted`. True when there was one. */
  async drop(wanted: PackFilter, options: CallOptions = {}): Promise<boolean> {
    const naming = this.#segments.filter(({ packs }) => packs.some(({ packId }) => !wanted(packId)));
    for (let rest = naming; rest.length > 0;) {
      const small = chooseSmall(rest);
      const next = small.length > 0 ? small : [rest[0]!];
      await this.#merge(next, wanted, options);
      rest = rest.filter((segment) => !next.includes(segment));
    }
    return naming.length > 0;
  }

  /**
   * Deletes the files of segments that others replaced, those first that replaced nothing which is still there: a segment
   * whose successor goes before it would count again. Returns how many.
   */
  async collect(options: CallOptions = {}): Promise<number> {
    const files = await this.#files(options);
    let deleted = 0;
    for (let last = -1; last !== deleted;) {
      last = deleted;
      const superseded = new Set([...files.values()].flat());
      for (const [id, replaced] of files) {
        if (!superseded.has(id) || replaced.some((each) => files.has(each))) continue;
        await this.#store.delete(`index/${id}`, options);
        files.delete(id);
        deleted += 1;
      }
    }
    return deleted;
  }

  /** Every segment file with the ids of those it replaces: of a damaged one, nobody is told. */
  async #files({ signal }: CallOptions): Promise<Map<string, readonly string[]>> {
    const known = new Map(this.#segments.map((segment) => [segment.name, segment]));
    const files = new Map<string, readonly string[]>();
    for await (const { name, size } of this.#store.list('index/', { signal })) {
      const segment = known.get(name) ?? (await this.#open(name, size, []));
      files.set(name.replace('index/', ''), segment?.superseded ?? []);
    }
    return files;
  }

  async #merge(chosen: readonly Segment[], wanted: PackFilter, options: CallOptions): Promise<void> {
    const places = new Map<string, ObjectPlace>();
    const packs = new Map<string, PackInfo>();
    for (const segment of chosen) {
      for (const pack of segment.packs) if (wanted(pack.packId)) packs.set(hexOf(pack.packId), pack);
      for await (const entry of segment.entries()) {
        options.signal?.throwIfAborted();
        if (wanted(entry.packId)) places.set(placeKey(entry), entry);
      }
    }
    const superseded = chosen.map((segment) => Buffer.from(segment.id, 'hex'));
    await this.add({ packs: [...packs.values()], places: [...places.values()], superseded }, options);
  }
}

/** Again, a few times, when a segment's file is gone: it was merged into another. */
async function whileVanishing<T>(look: () => Promise<T>, before?: () => Promise<void>): Promise<T> {
  for (let looks = 1; ; looks += 1) {
    try {
      return await look();
    } catch (error) {
      if (!hasCode(error, 'STORE_NOT_FOUND') || looks === LOOKS_MAX) throw error;
      await before?.();
    }
  }
}

const NOTHING_AVOIDED: AvoidedPlaces = { isEmpty: true, has: () => false };

function anyPack(): boolean {
  return true;
}

function placeKey({ id, packId }: ObjectPlace): string {
  return Buffer.from(id).toString('latin1') + Buffer.from(packId).toString('latin1');
}

function chooseSmall(segments: readonly Segment[]): Segment[] {
  const chosen: Segment[] = [];
  let total = 0;
  for (const segment of segments.toSorted((a, b) => a.entryCount - b.entryCount)) {
    total += segment.entryCount;
    if (total > COMPACT_ENTRIES_MAX) break;
    chosen.push(segment);
  }
  return chosen;
}

function segmentIdOf(error: Error): string {
  const { details } = error as { details?: { name?: unknown } };
  return String(details?.name).replace('index/', '');
}
