/**
 * What one write session stores: each content once, in packs, with an index segment for them.
 *
 * Storing is in two steps, because between them lies the work of compressing: *claim* says whether an object has to be
 * stored at all, *append* stores it. A claim that is not kept, since its disk failed, must not count as stored for anyone
 * else: so a claim under way only counts for the disk that made it, and is withdrawn with that disk.
 */
import { Mutex } from '../base/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import type { ObjectKind } from './format.ts';
import { newSalt, type ObjectCodec } from './object.ts';
import type { ObjectIndex } from './object-index.ts';
import type { PackFilter } from './segment.ts';
import { PackWriter, type PackedObject } from './pack-writer.ts';
import type { ObjectPlace, PackInfo } from './segment-writer.ts';

/**
 * 128 GiB of new slots. Reached, the index so far is written, so that memory stays flat on a disk of any size; about 40 MiB
 * on the heap.
 */
const KNOWN_MAX = 131_072;

export interface SessionParts {
  readonly store: ObjectStore;
  readonly repositoryId: Uint8Array;
  readonly index: ObjectIndex;
  readonly codec: ObjectCodec;
  /** Which packs the session may refer to: see epochs.ts. */
  readonly usable: PackFilter;
  /** What the index may go on naming, when segments are merged; absent: they are not. */
  readonly lasting?: PackFilter;
  readonly signal?: AbortSignal | undefined;
}

export class SessionObjects {
  readonly salt: Uint8Array = newSalt();
  readonly #parts: SessionParts;
  readonly #data: PackWriter;
  readonly #meta: PackWriter;
  readonly #flushing = new Mutex();
  /** Objects of this session that the index does not have yet. */
  readonly #stored = new Set<string>();
  /** Objects that are about to be stored, and by whom. */
  readonly #claimed = new Map<string, Set<object>>();
  #sealed: { packs: PackInfo[]; places: ObjectPlace[] } = { packs: [], places: [] };

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#data = this.#writer('data');
    this.#meta = this.#writer('meta');
  }

  /** True: the caller has to store it. `owner` is whoever fails as a whole. */
  async claim(id: Uint8Array, owner: object): Promise<boolean> {
    const key = keyOf(id);
    if (this.#isKnown(key, owner)) return false;
    const found = await this.#parts.index.find(id, this.#parts.usable);
    if (found && !found.quarantined) return false;
    if (this.#isKnown(key, owner)) return false; // claimed while the index was asked
    const owners = this.#claimed.get(key);
    if (owners) owners.add(owner);
    else this.#claimed.set(key, new Set([owner]));
    return true;
  }

  /** Withdraws the claims that `owner` did not keep. */
  disown(owner: object): void {
    for (const [key, owners] of this.#claimed) {
      if (owners.delete(owner) && owners.size === 0) this.#claimed.delete(key);
    }
  }

  async append(object: PackedObject): Promise<void> {
    await (object.kind === 'data' ? this.#data : this.#meta).append(object);
    const key = keyOf(object.id);
    this.#stored.add(key);
    this.#claimed.delete(key);
    if (this.#stored.size >= KNOWN_MAX) await this.flush(KNOWN_MAX);
  }

  /** Claims, seals and appends in one go: for pages and blobs. `storedBytes` is 0 when it was there already. */
  async store(kind: ObjectKind, raw: Uint8Array): Promise<{ id: string; storedBytes: number }> {
    const id = this.#parts.codec.idOf(kind, raw);
    const owner = {};
    try {
      if (!(await this.claim(id, owner))) return { id: keyOf(id), storedBytes: 0 };
      const bytes = this.#parts.codec.seal({ kind, raw, id, salt: this.salt });
      await this.append({ kind, id, rawLength: raw.length, bytes });
      return { id: keyOf(id), storedBytes: bytes.length };
    } finally {
      this.disown(owner);
    }
  }

  /** Makes everything stored so far durable and known to the index; with `above` only when that much is waiting. */
  flush(above = 0): Promise<void> {
    return this.#flushing.run(async () => {
      if (this.#stored.size < above) return;
      await this.#data.seal();
      await this.#meta.seal();
      await this.#writeIndex();
      // A first backup of many TiB makes hundreds of segments, and is what asks them most.
      const { index, lasting, signal } = this.#parts;
      if (lasting) await index.compact({ wanted: lasting, signal });
    });
  }

  /** Drops open packs. What is durable already is indexed, so that the next run need not store it again. */
  async abort(): Promise<void> {
    await Promise.allSettled([this.#data.abort(), this.#meta.abort()]);
    await this.#flushing.run(() => this.#writeIndex()).catch(() => {}); // only a convenience for the next run
  }

  async #writeIndex(): Promise<void> {
    const taken = this.#sealed;
    if (taken.packs.length === 0) return;
    this.#sealed = { packs: [], places: [] };
    try {
      await this.#parts.index.add(taken, { signal: this.#parts.signal });
    } catch (error) {
      this.#sealed = {
        packs: taken.packs.concat(this.#sealed.packs),
        places: taken.places.concat(this.#sealed.places),
      };
      throw error;
    }
    for (const place of taken.places) this.#stored.delete(keyOf(place.id));
  }

  #isKnown(key: string, owner: object): boolean {
    return this.#stored.has(key) || (this.#claimed.get(key)?.has(owner) ?? false);
  }

  #writer(type: 'data' | 'meta'): PackWriter {
    const { store, repositoryId, signal } = this.#parts;
    return new PackWriter(store, {
      type,
      repositoryId,
      signal,
      onSealed: (pack, places) => {
        this.#sealed.packs.push(pack);
        for (const place of places) this.#sealed.places.push(place);
      },
    });
  }
}

function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('hex');
}
