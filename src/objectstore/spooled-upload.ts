/**
 * An upload held in memory until it is committed, and then stored whole: for stores over a network, where a pack that is
 * written in one request is either there or not, and the request can be made again.
 *
 * A pack ends at 32 MiB and a session has at most three of a kind under way, so this is bounded by the caller.
 */
import { assert, isFault, MiB, Mutex } from '../base/index.ts';
import { storeFaults } from './faults.ts';
import type { ObjectUpload } from './port.ts';

const FIRST_BYTES = MiB;
/** No object of a repository comes near; one that does is a mistake of ours that must not take the machine's memory. */
const BYTES_MAX = 512 * MiB;

export interface SpoolSink {
  readonly name: string;
  readonly signal: AbortSignal | undefined;
  /** May be called again after it threw a fault of kind `retry`. */
  readonly put: (body: Uint8Array) => Promise<void>;
}

export class SpooledUpload implements ObjectUpload {
  readonly #sink: SpoolSink;
  readonly #mutex = new Mutex();
  #bytes = Buffer.alloc(0);
  #size = 0;
  #state: 'open' | 'failed' | 'done' = 'open';

  constructor(sink: SpoolSink) {
    this.#sink = sink;
  }

  get size(): number {
    return this.#size;
  }

  append(body: Uint8Array): Promise<void> {
    return this.#step(async () => {
      this.#state = 'failed'; // unless all of it is taken
      this.#sink.signal?.throwIfAborted();
      this.#makeRoom(this.#size + body.length);
      this.#bytes.set(body, this.#size);
      this.#size += body.length;
      this.#state = 'open';
    });
  }

  commit(): Promise<void> {
    return this.#step(async () => {
      try {
        await this.#sink.put(this.#bytes.subarray(0, this.#size));
        this.#end('done');
      } catch (error) {
        if (!isFault(error) || error.kind !== 'retry') this.#end('failed');
        throw error;
      }
    });
  }

  abort(): Promise<void> {
    return this.#mutex.run(async () => this.#end('done'));
  }

  /** One step at a time, in the order of asking. */
  #step(work: () => Promise<void>): Promise<void> {
    return this.#mutex.run(async () => {
      assert(this.#state !== 'done', 'an upload is not used after it ended');
      if (this.#state === 'failed') throw storeFaults.uploadFailed({ name: this.#sink.name });
      await work();
    });
  }

  /** Pages nobody wrote to take no memory, so a pack of 33 MiB does not cost 64. */
  #makeRoom(size: number): void {
    if (size <= this.#bytes.length) return;
    assert(size <= BYTES_MAX, 'an object that is uploaded is at most 512 MiB');
    let capacity = Math.max(FIRST_BYTES, this.#bytes.length);
    while (capacity < size) capacity *= 2;
    const larger = Buffer.allocUnsafeSlow(capacity);
    this.#bytes.copy(larger, 0, 0, this.#size);
    this.#bytes = larger;
  }

  #end(state: 'failed' | 'done'): void {
    this.#state = state;
    this.#bytes = Buffer.alloc(0);
  }
}
