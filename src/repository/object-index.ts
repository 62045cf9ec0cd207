/**
 * Where every object is: all live segments together. Loaded is only what describes the segments, never their entries.
 *
 * Damage to a segment costs time, not data: everything in it also stands in the packs. So a damaged segment is set aside
 * when that is found out; an object that is then not found is blamed on it.
 */
import { randomBytes } from 'node:crypto';
import { hasCode, mapOrdered, MiB, Mutex } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { repositoryFaults } from './faults.ts';
import { hexOf } from './format.ts';
import { segmentEntry } from './format.ts';
import { Lease } from './lease.ts';
import { PageCache, PagedReader } from './paged-reader.ts';
import { Segment, type FoundEntry, type PackFilter } from './segment.ts';
import { mergedEntries } from './segment-merge.ts';
import {
  encodeSegment,
  sortedEntries,
  type ObjectPlace,
  type PackInfo,
  type SegmentContent,
  type SortedEntries,
} from './segment-writer.ts';

/** A segment may be merged away and its file collected while it is read: its successor answers. */
const LOOKS_MAX = 8;
/** Each pair that differs means that somebody wrote or merged in between. */
const LISTINGS_MAX = 32;
/** Holds the Bloom filters of some 30 million objects; beyond that a question may cost a read. */
const CACHE_BYTES = 48 * MiB;
const SEGMENTS_AT_ONCE = 8;
/** A question is put to each segment, and one that has to be read for it costs 20 µs in a folder, a round trip elsewhere. */
const COMPACT_ABOVE = 24;
/** A segment of a folder has 3.2 GiB at most. Elsewhere, where an object is in memory until it is stored, 104 MiB. */
const MERGED_ENTRIES_MAX = { local: 2 ** 26, remote: 2 ** 21 } as const;
/** About 13 MiB and a second. Two writers may merge the same segments at once; what is larger is merged by one alone. */
const SMALL_ENTRIES = 262_144;

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
  /** Large ones first: there is what is looked for, most likely. */
  #segments: Segment[] = [];
  #damaged: Error[] = [];

  constructor(store: ObjectStore, repositoryId: Uint8Array, avoided: AvoidedPlaces = NOTHING_AVOIDED) {
    this.#store = store;
    this.#avoided = avoided;
    this.#repositoryId = repositoryId;
    this.#cache = new PageCache(store, CACHE_BYTES);
  }

  get #entriesMax(): number {
    return MERGED_ENTRIES_MAX[this.#cache.isLocal ? 'local' : 'remote'];
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** Faults of the segments that could not be opened, or were found damaged when they were asked. */
  get damaged(): readonly Error[] {
    return this.#damaged;
  }

  /**
   * Learns what other writers added or replaced since. It looks until two listings in a row agree: a listing may show neither a
   * segment that was replaced and deleted while it went on nor the one in its place. That it agrees with one of an earlier time
   * says nothing: what it does not show may have been added since. Throws `REPO_INDEX_UNSETTLED`.
   */
  refresh(options: CallOptions = {}): Promise<void> {
    return this.#changing.run(async () => {
      const known = new Map(this.#segments.map((segment) => [segment.name, segment]));
      let last: string | undefined;
      for (let looks = 1; ; looks += 1) {
        const listing = await whileVanishing(() => this.#refresh(known, options));
        if (listing === last) return;
        if (looks === LISTINGS_MAX) throw repositoryFaults.indexUnsettled({ looks });
        last = listing;
      }
    });
  }

  /** Adds to `known` what it opens: who has to look once more opens only what is new since. The names it saw. */
  async #refresh(known: Map<string, Segment>, { signal }: CallOptions): Promise<string> {
    const damaged: Error[] = [];
    const segments: Segment[] = [];
    const names: string[] = [];
    const opening = mapOrdered(
      this.#store.list('index/', { signal }),
      SEGMENTS_AT_ONCE,
      async ({ name, size }) => {
        names.push(name);
        return known.get(name) ?? this.#open(name, size, damaged);
      },
    );
    for await (const segment of opening) {
      if (!segment) continue;
      known.set(segment.name, segment);
      segments.push(segment);
    }
    const superseded = new Set(segments.flatMap((segment) => segment.superseded));
    this.#segments = largeFirst(segments.filter((segment) => !superseded.has(segment.id)));
    this.#damaged = damaged.filter((error) => !superseded.has(segmentIdOf(error)));
    return names.toSorted().join();
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

  /** Each pack it names, once; those of a segment whose table is damaged are not told. */
  packs(): Promise<PackInfo[]> {
    return whileVanishing(
      () => this.#packs(),
      () => this.refresh(),
    );
  }

  async #packs(): Promise<PackInfo[]> {
    const packs = new Map<string, PackInfo>();
    for (const segment of this.#segments) {
      try {
        for (const pack of await segment.packs()) packs.set(hexOf(pack.packId), pack);
      } catch (error) {
        if (!hasCode(error, 'REPO_INDEX_DAMAGED', 'STORE_TRUNCATED')) throw error; // for who looks at the index itself
      }
    }
    return [...packs.values()];
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
      const found = await this.#ask(segment, id, wanted);
      if (found) return { ...found, segment, quarantined };
    }
    return undefined;
  }

  /** A segment that turns out to be damaged is set aside like one that could not be opened. */
  async #ask(
    segment: Segment,
    id: Uint8Array,
    wanted: (place: ObjectPlace) => boolean,
  ): Promise<FoundEntry | undefined> {
    try {
      return await segment.find(id, wanted);
    } catch (error) {
      if (!hasCode(error, 'REPO_INDEX_DAMAGED')) throw error;
      this.#segments = this.#segments.filter((each) => each !== segment);
      this.#damaged = [...this.#damaged, error as Error];
      return undefined;
    }
  }

  /** Writes one more segment and makes it known. */
  add(
    content: {
      readonly packs: readonly PackInfo[];
      readonly places: readonly ObjectPlace[];
      readonly superseded?: readonly Uint8Array[];
    },
    options: CallOptions = {},
  ): Promise<void> {
    return this.#write(sortedEntries(content.packs, content.places), content.superseded ?? [], options);
  }

  async #write(
    entries: SortedEntries,
    superseded: readonly Uint8Array[],
    options: CallOptions,
  ): Promise<void> {
    const segmentId = randomBytes(16);
    const name = `index/${segmentId.toString('hex')}`;
    const content = { ...entries, repositoryId: this.#repositoryId, segmentId, superseded };
    const size = await putSegment(this.#store, name, content, options);
    const gone = new Set(superseded.map((id) => Buffer.from(id).toString('hex')));
    const added = await Segment.open(new PagedReader(this.#cache, name, size), this.#repositoryId);
    await this.#changing.run(async () => {
      const others = this.#segments.filter((segment) => !gone.has(segment.id) && segment.name !== name);
      this.#segments = largeFirst([...others, added]);
      this.#damaged = this.#damaged.filter((error) => !gone.has(segmentIdOf(error)));
    });
  }

  /**
   * Merges segments when there are many, so that a question stays cheap after thousands of runs. Two writers may do
   * it at once: both results are right, and what both replaced is ignored by all. The replaced files stay for the collector.
   * Every place of an object is kept in a pack that is `wanted`: which of them will last, only the collector knows.
   */
  async compact(options: CallOptions & { readonly wanted?: PackFilter } = {}): Promise<void> {
    const mergeable = this.#segments.filter(({ entryCount }) => entryCount <= this.#entriesMax / 2);
    if (mergeable.length <= COMPACT_ABOVE) return;
    try {
      const chosen = chooseForMerge(await whole(mergeable, options), this.#entriesMax);
      if (chosen.length >= 2) await this.#mergeAlone(chosen, options.wanted ?? anyPack, options);
    } catch (error) {
      if (!hasCode(error, 'STORE_NOT_FOUND')) throw error;
      await this.refresh(options); // somebody else merged them meanwhile
    }
  }

  async #mergeAlone(chosen: readonly Segment[], wanted: PackFilter, options: CallOptions): Promise<void> {
    if (entriesOf(chosen) <= SMALL_ENTRIES) return this.#merge(chosen, wanted, options);
    try {
      await using _lease = await Lease.acquire(this.#store, 'locks/index', options);
      await this.#merge(chosen, wanted, options);
    } catch (error) {
      if (!hasCode(error, 'REPO_VM_BUSY')) throw error; // another writer does it
    }
  }

  /** Bytes of the segments that {@link drop} would replace. */
  async bytesOfDrop(wanted: PackFilter): Promise<number> {
    return entriesOf(await this.#naming(wanted)) * segmentEntry.size;
  }

  /** Replaces every segment that names a pack that is not `wanted`. True when there was one. */
  async drop(wanted: PackFilter, options: CallOptions = {}): Promise<boolean> {
    const naming = await this.#naming(wanted);
    for (let rest = naming; rest.length > 0;) {
      const small = chooseForMerge(rest, this.#entriesMax);
      const next = small.length > 0 ? small : [rest[0]!];
      for (const segment of next) await segment.check(options);
      await this.#merge(next, wanted, options);
      rest = rest.filter((segment) => !next.includes(segment));
    }
    return naming.length > 0;
  }

  /** Segments that name a pack which is not wanted. */
  async #naming(wanted: PackFilter): Promise<Segment[]> {
    const naming: Segment[] = [];
    for (const segment of this.#segments)
      if ((await segment.packs()).some(({ packId }) => !wanted(packId))) naming.push(segment);
    return naming;
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
    const superseded = chosen.map((segment) => Buffer.from(segment.id, 'hex'));
    await this.#write(await mergedEntries(chosen, wanted, options), superseded, options);
  }
}

/** Again, a few times, when a segment's file is gone: it was merged into another. Throws `REPO_INDEX_UNSETTLED`. */
async function whileVanishing<T>(look: () => Promise<T>, before?: () => Promise<void>): Promise<T> {
  for (let looks = 1; ; looks += 1) {
    try {
      return await look();
    } catch (error) {
      if (!hasCode(error, 'STORE_NOT_FOUND')) throw error;
      if (looks === LOOKS_MAX) throw repositoryFaults.indexUnsettled({ looks }, { cause: error });
      await before?.();
    }
  }
}

const NOTHING_AVOIDED: AvoidedPlaces = { isEmpty: true, has: () => false };

function anyPack(): boolean {
  return true;
}

/** Those whose checksum is right: what is damaged must not get a new one. Sessions go on with it, and a verification finds it. */
async function whole(segments: readonly Segment[], options: CallOptions): Promise<Segment[]> {
  const found: Segment[] = [];
  for (const segment of segments) {
    try {
      await segment.check(options);
      found.push(segment);
    } catch (error) {
      if (!hasCode(error, 'REPO_INDEX_DAMAGED', 'STORE_TRUNCATED')) throw error;
    }
  }
  return found;
}

/** Small ones stay in their order, which is a random one: of an object that stands in several packs none is always taken. */
function largeFirst(segments: readonly Segment[]): Segment[] {
  const rank = ({ entryCount }: Segment): number => Math.max(entryCount, SMALL_ENTRIES);
  return segments.toSorted((a, b) => rank(b) - rank(a));
}

function entriesOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { entryCount }) => sum + entryCount, 0);
}

/**
 * From the smallest on, those that are not much larger than all before them together: what is left grows threefold from one to
 * the next, so there are few, and each entry is written again some ten times on the way to a hundred million.
 */
function chooseForMerge(segments: readonly Segment[], entriesMax: number): Segment[] {
  const ascending = segments.toSorted((a, b) => a.entryCount - b.entryCount);
  let chosen: Segment[] = [];
  let total = 0;
  for (const [index, { entryCount }] of ascending.entries()) {
    if (total + entryCount > entriesMax) break;
    if (index === 0 || entryCount <= 2 * total) chosen = ascending.slice(0, index + 1);
    total += entryCount;
  }
  return chosen;
}

/** In one call when it is small. Returns the size. */
async function putSegment(
  store: ObjectStore,
  name: string,
  content: SegmentContent,
  options: CallOptions,
): Promise<number> {
  const pieces = encodeSegment(content);
  if (content.entriesMax > SMALL_ENTRIES) return putPieces(store, name, pieces, options);
  const bytes = Buffer.concat(await Array.fromAsync(pieces));
  await store.putNew(name, bytes, options);
  return bytes.length;
}

async function putPieces(
  store: ObjectStore,
  name: string,
  pieces: AsyncIterable<Uint8Array>,
  options: CallOptions,
): Promise<number> {
  const upload = await store.startNew(name, options);
  try {
    for await (const piece of pieces) await upload.append(piece);
    const { size } = upload;
    await upload.commit();
    return size;
  } catch (error) {
    await upload.abort();
    throw error;
  }
}

function segmentIdOf(error: Error): string {
  const { details } = error as { details?: { name?: unknown } };
  return String(details?.name).replace('index/', '');
}
