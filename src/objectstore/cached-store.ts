/**
 * Keeps what is small and read again and again on a local disk: pages of the index and of maps, which every command needs from
 * the start. Objects never change, so what was read once is right for ever; it is still checked, because a damaged cache must not
 * look like a damaged repository.
 *
 *   FOLDER/<hash of name and range>      the bytes, and behind them their CRC-32C
 *
 * What was used longest ago goes first. Several processes may share a folder; each counts what it found there and what it added.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c, KiB } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectInfo, ObjectStore, ObjectUpload } from './port.ts';

export interface CacheOptions {
  /** Made when it is missing, with the folders above it. */
  readonly folder: string;
  readonly bytesMax: number;
}

/** Larger ranges are chunks of disks: read once, in a restore, and worth no place. */
const RANGE_BYTES_MAX = 64 * KiB;
/** Only these are written once and never given again; a lock may come back with other bytes. */
const IMMUTABLE = /^(?:packs|index)\//;
const CHECKSUM_BYTES = 4;

/** A cache that cannot be written or read is as good as none: the store below answers. */
export async function cachedStore(inner: ObjectStore, options: CacheOptions): Promise<ObjectStore> {
  const cache = new RangeCache(options);
  await cache.load();
  return new CachedStore(inner, cache);
}

class CachedStore implements ObjectStore {
  readonly #inner: ObjectStore;
  readonly #cache: RangeCache;
  readonly lockDays?: number;
  readonly retain?: NonNullable<ObjectStore['retain']>;

  constructor(inner: ObjectStore, cache: RangeCache) {
    this.#inner = inner;
    this.#cache = cache;
    if (inner.lockDays !== undefined) this.lockDays = inner.lockDays;
    if (inner.retain) this.retain = (name, until, options) => inner.retain!(name, until, options);
  }

  get location(): string {
    return this.#inner.location;
  }

  putNew(name: string, body: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#inner.putNew(name, body, options);
  }

  startNew(name: string, options?: CallOptions): Promise<ObjectUpload> {
    return this.#inner.startNew(name, options);
  }

  async getRange(name: string, offset: number, length: number, options?: CallOptions): Promise<Uint8Array> {
    if (length > RANGE_BYTES_MAX || !IMMUTABLE.test(name)) {
      return await this.#inner.getRange(name, offset, length, options);
    }
    options?.signal?.throwIfAborted();
    const key = keyOf(this.location, name, offset, length);
    const kept = await this.#cache.get(key, length);
    if (kept) return kept;
    const bytes = await this.#inner.getRange(name, offset, length, options);
    await this.#cache.put(key, bytes);
    return bytes;
  }

  stat(name: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    return this.#inner.stat(name, options);
  }

  list(prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo> {
    return this.#inner.list(prefix, options);
  }

  async delete(name: string, options?: CallOptions): Promise<void> {
    await this.#inner.delete(name, options);
  }

  async close(): Promise<void> {
    await this.#inner.close?.();
  }
}

function keyOf(...parts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

class RangeCache {
  readonly #folder: string;
  readonly #bytesMax: number;
  /** Sizes of the files, used longest ago first. */
  readonly #files = new Map<string, number>();
  #bytes = 0;

  constructor({ folder, bytesMax }: CacheOptions) {
    this.#folder = folder;
    this.#bytesMax = bytesMax;
  }

  async load(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 }).catch(() => {});
    const names = await readdir(this.#folder).catch((): string[] => []);
    const found = await Promise.all(
      names.map(async (name) => ({
        name,
        info: await stat(join(this.#folder, name)).catch(() => undefined),
      })),
    );
    const files = found.flatMap(({ name, info }) => (info?.isFile() ? [{ name, info }] : []));
    for (const { name, info } of files.sort((a, b) => a.info.mtimeMs - b.info.mtimeMs)) {
      this.#count(name, info.size);
    }
    await this.#evict();
  }

  async get(key: string, length: number): Promise<Uint8Array | undefined> {
    const path = join(this.#folder, key);
    const file = await readFile(path).catch(() => undefined);
    if (!file) return undefined;
    const bytes = file.subarray(0, length);
    const sound = file.length === length + CHECKSUM_BYTES && file.readUInt32LE(length) === crc32c(bytes);
    if (!sound) return await this.#drop(key);
    this.#count(key, file.length);
    const now = new Date();
    await utimes(path, now, now).catch(() => {});
    return bytes;
  }

  /** Under another name first: a process that is killed must not leave half a file that another one reads. */
  async put(key: string, bytes: Uint8Array): Promise<void> {
    const file = Buffer.alloc(bytes.length + CHECKSUM_BYTES);
    file.set(bytes);
    file.writeUInt32LE(crc32c(bytes), bytes.length);
    if (file.length > this.#bytesMax) return;
    const part = join(this.#folder, `${key}.${randomBytes(4).toString('hex')}`);
    try {
      await writeFile(part, file, { mode: 0o600 });
      await rename(part, join(this.#folder, key));
      this.#count(key, file.length);
      await this.#evict();
    } catch {
      await rm(part, { force: true }).catch(() => {});
    }
  }

  async #drop(key: string): Promise<undefined> {
    this.#bytes -= this.#files.get(key) ?? 0;
    this.#files.delete(key);
    await rm(join(this.#folder, key), { force: true }).catch(() => {});
  }

  /** Puts it last, as what was used just now. */
  #count(key: string, size: number): void {
    this.#bytes += size - (this.#files.get(key) ?? 0);
    this.#files.delete(key);
    this.#files.set(key, size);
  }

  async #evict(): Promise<void> {
    while (this.#bytes > this.#bytesMax) {
      const [oldest] = this.#files.keys();
      if (oldest === undefined) return;
      await this.#drop(oldest);
    }
  }
}
