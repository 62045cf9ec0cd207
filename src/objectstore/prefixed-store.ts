/** A part of a store as a store of its own: every name begins with a prefix that its user does not see. */
import type { CallOptions } from '../disk/index.ts';
import { checkName, checkPrefix } from './object-name.ts';
import type { ObjectInfo, ObjectStore, ObjectUpload } from './port.ts';

/** `prefix` ends with `/`. Closing it is closing the store below. */
export function prefixedStore(inner: ObjectStore, prefix: string): ObjectStore {
  return new PrefixedStore(inner, prefix);
}

class PrefixedStore implements ObjectStore {
  readonly #inner: ObjectStore;
  readonly #prefix: string;

  constructor(inner: ObjectStore, prefix: string) {
    this.#inner = inner;
    this.#prefix = prefix;
  }

  get location(): string {
    return this.#inner.location;
  }

  async putNew(name: string, body: Uint8Array, options?: CallOptions): Promise<void> {
    await this.#inner.putNew(this.#full(name), body, options);
  }

  async startNew(name: string, options?: CallOptions): Promise<ObjectUpload> {
    return await this.#inner.startNew(this.#full(name), options);
  }

  async getRange(name: string, offset: number, length: number, options?: CallOptions): Promise<Uint8Array> {
    return await this.#inner.getRange(this.#full(name), offset, length, options);
  }

  async stat(name: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    const found = await this.#inner.stat(this.#full(name), options);
    return found && { name, size: found.size };
  }

  async *list(prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    for await (const { name, size } of this.#inner.list(this.#prefix + prefix, options)) {
      yield { name: name.slice(this.#prefix.length), size };
    }
  }

  async delete(name: string, options?: CallOptions): Promise<void> {
    await this.#inner.delete(this.#full(name), options);
  }

  async close(): Promise<void> {
    await this.#inner.close?.();
  }

  /** Checked by itself: the length of the prefix must not decide what is a name. */
  #full(name: string): string {
    checkName(name);
    return this.#prefix + name;
  }
}
