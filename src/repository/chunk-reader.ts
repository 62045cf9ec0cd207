/**
 * Chunks as they are read at random: verified, kept for a while, and decoded where the main thread is not held up.
 *
 *   get ─► kept? ─► under way? ─► thread: read the pack, decrypt, decompress, hash ─► moved here, not copied ─► kept
 *
 * A chunk is sealed whole and its identity is of its whole content, so whoever wants 64 KiB of it pays for a megabyte: about
 * 1.5 ms of one processor. What makes that bearable is that it is paid once: readers of one chunk share its decoding, and what
 * was decoded stays until others push it out. Several disks of one point share a reader and its memory.
 */
import { free, MiB } from '../base/index.ts';
import type { RepositoryPool } from './jobs.ts';
import type { Location } from './object-index.ts';
import { damagedObject, type ObjectReader } from './object-reader.ts';
import { readObject } from './restore.ts';
import { SegmentedLru } from './segmented-lru.ts';

export interface ChunkReaderOptions {
  /** Memory for decoded chunks. Default: 128 MiB. */
  readonly cacheBytes?: number;
  /** Threads at most; 0: none. Default: one a processor. */
  readonly workers?: number;
}

/** A guest that boots reads around in a few hundred MiB, and again and again in a part of them. */
const CACHE_BYTES = 128 * MiB;
/** Hides the latency of a store that is not local; with chunks of a megabyte each, also the memory of what is not yet kept. */
const FETCHES_AT_ONCE = 16;

export class ChunkReader implements AsyncDisposable {
  readonly #objects: ObjectReader;
  readonly #pool: RepositoryPool | undefined;
  readonly #kept: SegmentedLru<Buffer>;
  readonly #running = new Map<string, Promise<Buffer>>();
  readonly #waiting: (() => void)[] = [];
  #fetches = 0;
  #gone: Buffer[] = [];

  /** Without a pool, chunks are decoded by the calling thread. */
  constructor(parts: { objects: ObjectReader; pool?: RepositoryPool; cacheBytes?: number | undefined }) {
    this.#objects = parts.objects;
    this.#pool = parts.pool;
    this.#pool?.start();
    this.#kept = new SegmentedLru(parts.cacheBytes ?? CACHE_BYTES, (chunk) => this.#letGo(chunk));
  }

  /** Bytes of decoded chunks that are kept. */
  get keptBytes(): number {
    return this.#kept.weight;
  }

  /** The chunk if it is there; as {@link get}, to be used at once. */
  kept(id: string): Buffer | undefined {
    return this.#kept.get(id);
  }

  /**
   * The verified content. It is to be used at once, before anything else is awaited: its memory is given back when others have
   * pushed it out. Shared by all who ask for it, so no reader's signal stops it. Throws `REPO_OBJECT_DAMAGED`,
   * `REPO_OBJECT_MISSING`.
   */
  get(id: string): Promise<Buffer> {
    const kept = this.#kept.get(id);
    return kept ? Promise.resolve(kept) : (this.#running.get(id) ?? this.#start(id));
  }

  /** What was asked for ends first. Idempotent. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running.values());
    await this.#pool?.close();
    this.#kept.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #start(id: string): Promise<Buffer> {
    const running = this.#fetch(id).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
    return running;
  }

  async #fetch(id: string): Promise<Buffer> {
    if (this.#fetches >= FETCHES_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#fetches += 1;
    try {
      const chunk = await this.#decoded(id);
      this.#kept.set(id, chunk, chunk.length);
      return chunk;
    } finally {
      const next = this.#waiting.shift(); // takes the place over
      if (next) next();
      else this.#fetches -= 1;
    }
  }

  async #decoded(id: string): Promise<Buffer> {
    if (!this.#pool) return this.#objects.read('data', id);
    return this.#decodedByThread(this.#pool, await this.#objects.locate('data', id));
  }

  async #decodedByThread(pool: RepositoryPool, place: Location): Promise<Buffer> {
    const { raw, problem } = await pool.run('open', await readObject(this.#objects, place, [], {}));
    if (raw) return Buffer.from(raw.buffer, raw.byteOffset, raw.length);
    const moved = await this.#objects.moved(place);
    if (!moved) throw damagedObject('data', place, problem!);
    return this.#decodedByThread(pool, moved);
  }

  /**
   * Without threads a chunk may be part of what the store returned, which is not ours. With them: not at once, since a reader that
   * was just given the chunk has it copied by the time timers and messages are looked at.
   */
  #letGo(chunk: Buffer): void {
    if (!this.#pool) return;
    if (this.#gone.push(chunk) > 1) return;
    setImmediate(() => {
      for (const each of this.#gone) free(each);
      this.#gone = [];
    });
  }
}
