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
import { PageCache, PagedReader } from './paged-reader.ts';
import { Segment, type FoundEntry } from './segment.ts';
import { encodeSegment, type ObjectPlace, type PackInfo } from './segment-writer.ts';

/** Holds the Bloom filters of some 40 million objects; beyond that a question may cost a read. */
const CACHE_BYTES = 64 * MiB;
const SEGMENTS_AT_ONCE = 8;
/** Merging rewrites what it merges: small segments are cheap to rewrite, and there are the most of them. */
const COMPACT_ABOVE = 24;
const COMPACT_ENTRIES_MAX = 262_144;

export interface Location extends FoundEntry {
  readonly segment: Segment;
}

export class ObjectIndex {
  readonly #store: ObjectStore;
  readonly #repositoryId: Uint8Array;
  readonly #cache: PageCache;
  /** A list taken before another session's segment was added must not replace one that has it. */
  readonly #changing = new Mutex();
  /** Newest last. */
  #segments: Segment[] = [];
  #damaged: Error[] = [];

  constructor(store: ObjectStore, repositoryId: Uint8Array) {
    this.#store = store;
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
    return this.#changing.run(() => this.#refresh(options));
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

  async find(id: Uint8Array): Promise<Location | undefined> {
    for (const segment of this.#segments) {
      const found = await segment.find(id);
      if (found) return { ...found, segment };
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
   */
  async compact(options: CallOptions = {}): Promise<void> {
    if (this.#segments.length <= COMPACT_ABOVE) return;
    const chosen = chooseSmall(this.#segments);
    if (chosen.length < 2) return;
    const places = new Map<string, ObjectPlace>();
    const packs = new Map<string, PackInfo>();
    for (const segment of chosen) {
      for (const pack of segment.packs) packs.set(Buffer.from(pack.packId).toString('hex'), pack);
      for await (const entry of segment.entries())
        places.set(Buffer.from(entry.id).toString('latin1'), entry);
    }
    const superseded = chosen.map((segment) => Buffer.from(segment.id, 'hex'));
    await this.add({ packs: [...packs.values()], places: [...places.values()], superseded }, options);
  }
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
