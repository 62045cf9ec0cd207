/**
 * Memory outside of JavaScript, for C functions that are handed structures with pointers in them. It does not move, so a call
 * may run on another thread; it is overwritten before it is given back, because passwords lie in it.
 */
import type { alloc, free, view } from 'koffi';

/** As much of koffi as memory needs. */
export interface MemoryFunctions {
  readonly alloc: typeof alloc;
  readonly free: typeof free;
  readonly view: typeof view;
}

/** An address; 0n is NULL. */
export type Address = bigint;

export class NativeMemory implements Disposable {
  readonly #functions: MemoryFunctions;
  readonly #blocks: { readonly address: Address; readonly size: number }[] = [];

  constructor(functions: MemoryFunctions) {
    this.#functions = functions;
  }

  /** `size` bytes of zero. */
  reserve(size: number): Address {
    const address = this.#functions.alloc('uint8_t', Math.max(size, 1)) as Address;
    this.#blocks.push({ address, size });
    this.#at(address, size).fill(0);
    return address;
  }

  put(content: Uint8Array): Address {
    const address = this.reserve(content.length);
    this.#at(address, content.length).set(content);
    return address;
  }

  /** UTF-16 with a zero at its end. */
  putText(text: string): Address {
    return this.put(Buffer.from(`${text}\0`, 'utf16le'));
  }

  /** A copy. The address may be one that a library gave. */
  read(address: Address, size: number): Uint8Array {
    return size === 0 ? new Uint8Array(0) : this.#at(address, size).slice();
  }

  [Symbol.dispose](): void {
    for (const { address, size } of this.#blocks.splice(0)) {
      this.#at(address, size).fill(0);
      this.#functions.free(address);
    }
  }

  #at(address: Address, size: number): Uint8Array {
    return new Uint8Array(this.#functions.view(address, Math.max(size, 1)), 0, size);
  }
}
