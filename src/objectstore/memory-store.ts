/** A store in memory: the reference model of tests. It records what is asked of it and can fail or hang on demand. */
import { assert, Mutex } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { storeFaults } from './faults.ts';
import { checkName, checkPrefix } from './object-name.ts';
import type { ObjectInfo, ObjectStore, ObjectUpload } from './port.ts';
import type { StoreCall, StoreMethod } from './store-layer.ts';

export interface MemoryStore extends ObjectStore {
  /** What was asked so far, in order; of one method when it is named. */
  calls(method?: StoreMethod): StoreCall[];
  /** The call with this number (the first is 1) throws `error` and has no effect. */
  failCall(number: number, error: Error): void;
  /** The call with this number never ends, unless its signal is aborted. */
  hangCall(number: number): void;
  /** As if the machine stopped: uploads that were not committed are gone; what is committed stays. */
  crash(): void;
  /** Changes a stored object behind everybody's back, as a failing medium does. */
  damage(name: string, change: (bytes: Uint8Array) => Uint8Array): void;
}

export function createMemoryStore(): MemoryStore {
  return new MemoryObjects();
}

class MemoryObjects implements MemoryStore {
  readonly location = 'memory';
  readonly #objects = new Map<string, Uint8Array>();
  readonly #calls: StoreCall[] = [];
  readonly #faults = new Map<number, Error | 'hang'>();
  #lives = 0;

  async putNew(name: string, body: Uint8Array, { signal }: CallOptions = {}): Promise<void> {
    await this.#enter('putNew', name, body.length, signal);
    this.#store(name, new Uint8Array(body));
  }

  async startNew(name: string, { signal }: CallOptions = {}): Promise<ObjectUpload> {
    await this.#enter('startNew', name, 0, signal);
    const life = this.#lives;
    return new MemoryUpload({
      name,
      enter: async (method, bytes) => {
        await this.#enter(method, name, bytes, signal);
        if (life !== this.#lives) throw storeFaults.uploadFailed({ name });
      },
      store: (body) => this.#store(name, body),
    });
  }

  async getRange(
    name: string,
    offset: number,
    length: number,
    { signal }: CallOptions = {},
  ): Promise<Uint8Array> {
    await this.#enter('getRange', name, length, signal);
    const bytes = this.#objects.get(name);
    const end = offset + length;
    if (!bytes) throw storeFaults.notFound({ name, location: this.location });
    if (end > bytes.length) {
      throw storeFaults.truncated({ name, location: this.location, end, size: bytes.length });
    }
    return bytes.slice(offset, end);
  }

  async stat(name: string, { signal }: CallOptions = {}): Promise<ObjectInfo | undefined> {
    await this.#enter('stat', name, 0, signal);
    const bytes = this.#objects.get(name);
    return bytes && { name, size: bytes.length };
  }

  async *list(prefix: string, { signal }: CallOptions = {}): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    await this.#answer('list', prefix, 0, signal);
    for (const name of [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort()) {
      const bytes = this.#objects.get(name);
      if (bytes) yield { name, size: bytes.length };
    }
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#enter('delete', name, 0, signal);
    this.#objects.delete(name);
  }

  calls(method?: StoreMethod): StoreCall[] {
    return this.#calls.filter((call) => method === undefined || call.method === method);
  }

  failCall(number: number, error: Error): void {
    this.#faults.set(number, error);
  }

  hangCall(number: number): void {
    this.#faults.set(number, 'hang');
  }

  crash(): void {
    this.#lives += 1;
  }

  damage(name: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const bytes = this.#objects.get(name);
    assert(bytes, `there is an object ${name} to damage`);
    this.#objects.set(name, new Uint8Array(change(bytes.slice())));
  }

  async #enter(method: StoreMethod, name: string, bytes: number, signal?: AbortSignal): Promise<void> {
    checkName(name);
    await this.#answer(method, name, bytes, signal);
  }

  async #answer(method: StoreMethod, name: string, bytes: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const number = this.#calls.length + 1;
    this.#calls.push({ number, method, name, bytes });
    const fault = this.#faults.get(number);
    if (fault === 'hang') await untilAborted(signal);
    else if (fault) throw fault;
  }

  #store(name: string, body: Uint8Array): void {
    const existing = this.#objects.get(name);
    if (existing && Buffer.compare(existing, body) !== 0) {
      throw storeFaults.nameTaken({ name, location: this.location });
    }
    this.#objects.set(name, body);
  }
}

interface UploadSink {
  readonly name: string;
  readonly enter: (method: StoreMethod, bytes: number) => Promise<void>;
  readonly store: (body: Uint8Array) => void;
}

class MemoryUpload implements ObjectUpload {
  readonly #sink: UploadSink;
  readonly #mutex = new Mutex();
  #pieces: Uint8Array[] = [];
  #state: 'open' | 'failed' | 'done' = 'open';
  size = 0;

  constructor(sink: UploadSink) {
    this.#sink = sink;
  }

  append(body: Uint8Array): Promise<void> {
    return this.#step('append', body.length, () => {
      const piece = new Uint8Array(body); // not slice(): on a Buffer that shares memory
      this.#pieces.push(piece);
      this.size += piece.length;
    });
  }

  commit(): Promise<void> {
    return this.#step('commit', 0, () => {
      this.#sink.store(new Uint8Array(Buffer.concat(this.#pieces)));
      this.#state = 'done';
    });
  }

  async abort(): Promise<void> {
    if (this.#state === 'done') return;
    this.#state = 'done';
    this.#pieces = [];
    await this.#sink.enter('abort', 0).catch(() => {}); // nothing is left to drop, whatever the store answers
  }

  #step(method: StoreMethod, bytes: number, work: () => void): Promise<void> {
    return this.#mutex.run(async () => {
      assert(this.#state !== 'done', 'an upload is not used after it ended');
      if (this.#state === 'failed') throw storeFaults.uploadFailed({ name: this.#sink.name });
      this.#state = 'failed';
      await this.#sink.enter(method, bytes);
      this.#state = 'open';
      work();
    });
  }
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
