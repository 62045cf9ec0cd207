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
  | 'delete';

export interface StoreCall {
  /** The first call of a store is 1. */
  readonly number: number;
  readonly method: StoreMethod;
  /** Name of the object; the prefix for `list`. */
  readonly name: string;
  /** Bytes handed over or asked for; 0 where none are. */
  readonly bytes: number;
}

/** Runs one call of the store below, or does not. */
export type Around = <T>(call: StoreCall, run: () => Promise<T>) => Promise<T>;

/** A store whose every call, those of its uploads included, goes through `around`. */
export function layered(inner: ObjectStore, around: Around): ObjectStore {
  return new StoreLayer(inner, around);
}

class StoreLayer implements ObjectStore {
  readonly localPath?: (name: string) => string;
  readonly #inner: ObjectStore;
  readonly #around: Around;
  #calls = 0;

  constructor(inner: ObjectStore, around: Around) {
    this.#inner = inner;
    this.#around = around;
    if (inner.localPath) this.localPath = (name) => inner.localPath!(name);
  }

  get location(): string {
    return this.#inner.location;
  }

  putNew(name: string, body: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#run('putNew', name, body.length, () => this.#inner.putNew(name, body, options));
  }

  async startNew(name: string, options?: CallOptions): Promise<ObjectUpload> {
    const upload = await this.#run('startNew', name, 0, () => this.#inner.startNew(name, options));
    return {
      get size() {
        return upload.size;
      },
      append: (body) => this.#run('append', name, body.length, () => upload.append(body)),
      commit: () => this.#run('commit', name, 0, () => upload.commit()),
      abort: () => this.#run('abort', name, 0, () => upload.abort()),
    };
  }

  getRange(name: string, offset: number, length: number, options?: CallOptions): Promise<Uint8Array> {
    return this.#run('getRange', name, length, () => this.#inner.getRange(name, offset, length, options));
  }

  stat(name: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    return this.#run('stat', name, 0, () => this.#inner.stat(name, options));
  }

  async *list(prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo> {
    yield* await this.#run('list', prefix, 0, async () => this.#inner.list(prefix, options));
  }

  delete(name: string, options?: CallOptions): Promise<void> {
    return this.#run('delete', name, 0, () => this.#inner.delete(name, options));
  }

  #run<T>(method: StoreMethod, name: string, bytes: number, run: () => Promise<T>): Promise<T> {
    this.#calls += 1;
    return this.#around({ number: this.#calls, method, name, bytes }, run);
  }
}
