/** Objects by id: found in the index, read from their pack, verified. */
import { hasCode, MiB, type Fault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { repositoryFaults } from './faults.ts';
import { isMapPage, packName, type ObjectKind } from './format.ts';
import { HEADER_BYTES, ObjectProblem, type ObjectCodec } from './object.ts';
import type { Location, ObjectIndex } from './object-index.ts';
import { PageCache, PagedReader } from './paged-reader.ts';
import type { ObjectPlace } from './segment-writer.ts';

/**
 * Pages of a map stand in their pack in the order in which a walk asks for them, a few hundred bytes each where changes
 * are sparse: one read of 64 KiB answers for all of them.
 */
const MAP_CACHE_BYTES = 4 * MiB;

export class ObjectReader {
  readonly store: ObjectStore;
  readonly index: ObjectIndex;
  readonly codec: ObjectCodec;
  readonly #mapPacks: PageCache;
  /** Packs whose file was missing, each with what brought the index up to date for it. */
  readonly #gone = new Map<string, Promise<void>>();

  constructor(store: ObjectStore, index: ObjectIndex, codec: ObjectCodec) {
    this.store = store;
    this.index = index;
    this.codec = codec;
    this.#mapPacks = new PageCache(store, MAP_CACHE_BYTES);
  }

  /** Throws `REPO_OBJECT_MISSING`, or `REPO_INDEX_DAMAGED` when a damaged segment may be what hides it. */
  async locate(kind: ObjectKind, id: string): Promise<Location> {
    const bytes = Buffer.from(id, 'hex');
    let found = await this.index.find(bytes);
    if (!found) {
      await this.index.refresh(); // another process may have added it since
      found = await this.index.find(bytes);
    }
    if (found) return found;
    throw this.index.damaged[0] ?? repositoryFaults.objectMissing({ kind, id });
  }

  /** The verified raw bytes. Throws `REPO_OBJECT_DAMAGED`. */
  async read(kind: ObjectKind, id: string, options: CallOptions = {}): Promise<Buffer> {
    const located = await this.locate(kind, id);
    const { bytes, place } = isMapPage(kind)
      ? await this.#storedPage(kind, located, options)
      : await this.#found(kind, located, options);
    try {
      return this.codec.open(bytes, { kind, id: place.id });
    } catch (error) {
      if (error instanceof ObjectProblem) throw damagedObject(kind, place, error.message);
      throw error;
    }
  }

  /** Header and stored bytes, unverified. */
  async stored(kind: ObjectKind, place: ObjectPlace, options: CallOptions = {}): Promise<Uint8Array> {
    return (await this.#found(kind, place, options)).bytes;
  }

  /**
   * Where the object is now, if its pack is gone: the collector copies what is alive out of packs that are mostly dead before
   * it deletes them. Undefined when the pack is there, or nothing else has the object.
   */
  async moved(place: ObjectPlace, options: CallOptions = {}): Promise<Location | undefined> {
    return (await this.isGone(place.packId, options)) ? this.elsewhere(place) : undefined;
  }

  /** Is there no such pack? If so, the index knows since then what became of its objects. */
  async isGone(packId: Uint8Array, options: CallOptions = {}): Promise<boolean> {
    const name = packName(packId);
    if (!this.#gone.has(name) && (await this.store.stat(name, options))) return false;
    await (this.#gone.get(name) ?? this.#learnOf(name));
    return true;
  }

  /** The object in a pack that was not seen to be gone. */
  elsewhere({ id }: ObjectPlace): Promise<Location | undefined> {
    return this.index.find(id, (packId) => !this.#gone.has(packName(packId)));
  }

  /** A failure is not kept: the next who asks tries again. */
  #learnOf(name: string): Promise<void> {
    const learned = this.index.refresh().catch((error: unknown) => {
      this.#gone.delete(name);
      throw error;
    });
    this.#gone.set(name, learned);
    return learned;
  }

  /** Where it stands now, and its bytes. */
  async #found(kind: ObjectKind, place: ObjectPlace, options: CallOptions): Promise<Found> {
    const name = packName(place.packId);
    try {
      const length = HEADER_BYTES + place.storedLength;
      return { place, bytes: await this.store.getRange(name, place.offset, length, options) };
    } catch (error) {
      const moved = hasCode(error, 'STORE_NOT_FOUND') && (await this.moved(place, options));
      if (moved) return this.#found(kind, moved, options);
      if (hasCode(error, 'STORE_NOT_FOUND')) throw damagedObject(kind, place, 'its pack is missing', error);
      if (hasCode(error, 'STORE_TRUNCATED')) throw damagedObject(kind, place, 'its pack is cut short', error);
      throw error;
    }
  }

  /** A pack that ends too early may hold this page all the same. */
  async #storedPage(kind: ObjectKind, place: Location, options: CallOptions): Promise<Found> {
    options.signal?.throwIfAborted();
    const pack = new PagedReader(this.#mapPacks, packName(place.packId), place.packSize);
    try {
      return { place, bytes: await pack.bytes(place.offset, HEADER_BYTES + place.storedLength) };
    } catch (error) {
      if (!hasCode(error, 'STORE_NOT_FOUND', 'STORE_TRUNCATED')) throw error;
      return this.#found(kind, place, options);
    }
  }
}

interface Found {
  readonly place: ObjectPlace;
  readonly bytes: Uint8Array;
}

export function damagedObject(kind: ObjectKind, place: ObjectPlace, problem: string, cause?: unknown): Fault {
  const details = { kind, id: hex(place.id), name: packName(place.packId), offset: place.offset, problem };
  return repositoryFaults.objectDamaged(details, { cause });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
