/**
 * Every state a store can be found in after a power loss: what had been done up to some moment, and perhaps not the last
 * deletions, which some file systems hold back.
 *
 *   one undisturbed play ──► list of mutations ──► the first n of them, for every n ──► a store to look at
 *
 * A store takes or leaves an object as a whole, so a cut within one is the state before it or after it.
 */
import { createMemoryStore, layered, type MemoryStore, type ObjectStore } from '../objectstore/index.ts';

interface Mutation {
  readonly name: string;
  /** Undefined: it was deleted. */
  readonly bytes: Uint8Array | undefined;
}

/** Deletions that may be undone at once: a file system writes them out within seconds. */
const HELD_BACK_MAX = 3;

export interface StoreState {
  readonly label: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export class MutationLog {
  readonly store: ObjectStore;
  readonly #inner: MemoryStore;
  readonly #mutations: Mutation[] = [];
  #start = 0;

  constructor() {
    const inner = createMemoryStore();
    this.#inner = inner;
    this.store = layered(inner, async (call, run) => {
      const existed = call.method === 'delete' && (await inner.stat(call.name)) !== undefined;
      const result = await run();
      if (existed) this.#mutations.push({ name: call.name, bytes: undefined });
      if (call.method === 'putNew' || call.method === 'commit') await this.#noteNew(call.name);
      return result;
    });
  }

  /** From here on every state counts. */
  begin(): void {
    this.#start = this.#mutations.length;
  }

  get mutations(): number {
    return this.#mutations.length - this.#start;
  }

  *states(): Generator<StoreState> {
    const files = new Map<string, Uint8Array>();
    this.#mutations.slice(0, this.#start).forEach((mutation) => apply(files, mutation));
    yield { label: 'before all', files: new Map(files) };
    for (const [index, mutation] of this.#mutations.slice(this.#start).entries()) {
      apply(files, mutation);
      const label = `after ${index + 1}: ${mutation.bytes ? 'made' : 'deleted'} ${mutation.name}`;
      yield { label, files: new Map(files) };
    }
  }

  /** The same, each with one of the last few deletions in some areas held back. */
  *heldBack(areas: RegExp): Generator<StoreState> {
    const files = new Map<string, Uint8Array>();
    const gone = new Map<string, Uint8Array>();
    for (const [index, mutation] of this.#mutations.entries()) {
      const before = files.get(mutation.name);
      apply(files, mutation);
      if (!mutation.bytes && before && areas.test(mutation.name)) gone.set(mutation.name, before);
      if (index < this.#start) continue;
      for (const [name, bytes] of [...gone].slice(-HELD_BACK_MAX))
        yield {
          label: `after ${index - this.#start + 1}, ${name} still there`,
          files: new Map(files).set(name, bytes),
        };
    }
  }

  async #noteNew(name: string): Promise<void> {
    const { size } = (await this.#inner.stat(name))!;
    this.#mutations.push({ name, bytes: await this.#inner.getRange(name, 0, size) });
  }
}

export async function storeOf({ files }: StoreState): Promise<MemoryStore> {
  const store = createMemoryStore();
  for (const [name, bytes] of files) await store.putNew(name, bytes);
  return store;
}

function apply(files: Map<string, Uint8Array>, { name, bytes }: Mutation): void {
  if (bytes) files.set(name, bytes);
  else files.delete(name);
}
