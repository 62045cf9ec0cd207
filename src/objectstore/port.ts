/**
 * Where a repository keeps its objects: names to bytes, written once, never changed.
 *
 * Names are `area/name` or `area/shard/name`: lower-case letters, digits, `-`, `_`, `.`, joined by `/`, at most 200
 * characters. Everything not of kind `refused` may be retried by the caller.
 */
import type { CallOptions } from '../disk/index.ts';

export interface ObjectInfo {
  readonly name: string;
  readonly size: number;
}

export interface ObjectStore {
  /** For messages: the folder or the bucket. Never a secret. */
  readonly location: string;

  /**
   * Stores `body` under `name` unless the name exists. Atomic and durable: a reader sees all of it or nothing, and once
   * this resolves the object survives a crash of the machine. Again with the same bytes: success. With others: `STORE_NAME_TAKEN`.
   */
  putNew(name: string, body: Uint8Array, options?: CallOptions): Promise<void>;

  /**
   * Like {@link putNew} for an object that is written piece by piece (a pack). Nothing is visible before `commit`.
   * Where the store is local, pieces go straight to a temporary file; where it is not, they are held until `commit`.
   */
  startNew(name: string, options?: CallOptions): Promise<ObjectUpload>;

  /** Bytes `[offset, offset + length)`. `STORE_NOT_FOUND`; `STORE_TRUNCATED` when the object ends earlier. */
  getRange(name: string, offset: number, length: number, options?: CallOptions): Promise<Uint8Array>;

  /** Size, or undefined when there is no such object. */
  stat(name: string, options?: CallOptions): Promise<ObjectInfo | undefined>;

  /** Every object whose name starts with `prefix`, in ascending order of names. */
  list(prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo>;

  /** Removes an object, durably where the store is local; removing what is not there is success. */
  delete(name: string, options?: CallOptions): Promise<void>;

  /** What is needed for long is locked for so many days from when it is stored. Absent: nothing is locked. */
  readonly lockDays?: number;

  /**
   * Nobody can remove the object's bytes before `until`, or longer, as a driver sees fit; a later date that is set already stays. Absent where a store cannot
   * do that. `STORE_NOT_FOUND`, `STORE_LOCK_UNSUPPORTED`.
   */
  retain?(name: string, until: Date, options?: CallOptions): Promise<void>;

  /** Lets go of connections; where there are none it is absent. */
  close?(): Promise<void>;

  /** A path on this machine that holds the object's bytes, when there is one: workers then read it directly. */
  localPath?(name: string): string;
}

export interface ObjectUpload {
  /** Bytes accepted so far. */
  readonly size: number;
  /** Appends; `body` may be reused once the promise resolves. */
  append(body: Uint8Array): Promise<void>;
  /** Makes the object visible and durable. `STORE_NAME_TAKEN` as in `putNew`. */
  commit(): Promise<void>;
  /** Drops what was written. Idempotent, and harmless after `commit`. */
  abort(): Promise<void>;
}
