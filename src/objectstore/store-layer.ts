/** Layers over any store: same shape in, same shape out. {@link layered} makes one of a function that wraps each call. */
import type { CallOptions } from '../disk/index.ts';
import type { ObjectInfo, ObjectStore, ObjectUpload } from './port.ts';

export type StoreMethod =
  | 'putNew'
  | 'startNew'
  | 'append'
  | 'commit'
  | 'abort'
  | 'getRange'
  | 'stat'
  | 'list'
  | 'delete'
  | 'retain';

export interface StoreCall {
  /** The first call of a store is 1. */
  readonly number: number;
  readonly method: StoreMethod;
  /** Name of the object; the prefix for `list`. */
  readonly name: string;
  /** Bytes handed over or asked for; 0 where none are. */
  readonly bytes: number;
  readonly signal?: AbortSignal | undefined;
}

/** Runs one call of the store below, or does not. */
export type Around = <T>(call: StoreCall, run: () => Promise<T>) => Promise<T>;

/** What takes the place of `list`: a list fails while it is read, not when it is asked for. */
export type Listing = (prefix: string, options: CallOptions) => AsyncIterable<ObjectInfo>;

/** A store whose every call, those of its uploads included, goes through `around`; `list` may have a way of its own. */
export function layered(inner: ObjectStore, around: Around, listing?: Listing): ObjectStore {
  return new StoreLayer(inner, around, listing);
}

class StoreLayer implements ObjectStore {
  readonly lockDays?: number;
  readonly localPath?: (name: string) => string;
  readonly retain?: (name: string, until: Date, options?: CallOptions) => Promise<void>;
  readonly #inner: ObjectStore;
  readonly #around: Around;
  readonly #listing: Listing;
  #calls = 0;

  constructor(inner: ObjectStore, around: Around, listing?: Listing) {
    this.#inner = inner;
    this.#around = around;
    this.#listing = listing ?? ((prefix, options) => inner.list(prefix, options));
    if (inner.lockDays !== undefined) this.lockDays = inner.lockDays;
    if (inner.localPath) this.localPath = (name) => inner.localPath!(name);
    if (inner.retain) {
      this.retain = (name, until, options) =>
        this.#run('retain', name, 0, options, () => inner.retain!(name, until, options));
    }
  }

  get location(): string {
    return this.#inner.location;
  }

  putNew(name: string, body: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#run('putNew', name, body.length, options, () => this.#inner.putNew(name, body, options));
  }

  async startNew(name: string, options?: CallOptions): Promise<ObjectUpload> {
    const upload = await this.#run('startNew', name, 0, options, () => this.#inner.startNew(name, options));
    return {
      get size() {
        return upload.size;
      },
      append: (body) => this.#run('append', name, body.length, options, () => upload.append(body)),
      commit: () => this.#run('commit', name, 0, options, () => upload.commit()),
      abort: () => this.#run('abort', name, 0, undefined, () => upload.abort()),
    };
  }

  getRange(name: string, offset: number, length: number, options?: CallOptions): Promise<Uint8Array> {
    return this.#run('getRange', name, length, options, () =>
      this.#inner.getRange(name, offset, length, options),
    );
  }

  stat(name: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    return this.#run('stat', name, 0, options, () => this.#inner.stat(name, options));
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncIterable<ObjectInfo> {
    yield* await this.#run('list', prefix, 0, options, async () => this.#listing(prefix, options));
  }

  delete(name: string, options?: CallOptions): Promise<void> {
    return this.#run('delete', name, 0, options, () => this.#inner.delete(name, options));
  }

  async close(): Promise<void> {
    await this.#inner.close?.();
  }

  #run<T>(
    method: StoreMethod,
    name: string,
    bytes: number,
    options: CallOptions | undefined,
    run: () => Promise<T>,
  ): Promise<T> {
    this.#calls += 1;
    return this.#around({ number: this.#calls, method, name, bytes, signal: options?.signal }, run);
  }
}
