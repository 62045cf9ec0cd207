/** A SecBufferDesc with its buffers, in native memory. */
import type { Address, NativeMemory } from './native-memory.ts';
import { secBuffer, secBufferDesc } from './sspi-format.ts';

export interface SspiBuffer {
  readonly type: number;
  /** What is in it, or how many bytes it has; 0 for one that the library allocates. */
  readonly content: Uint8Array | number;
}

export class SspiBuffers {
  readonly address: Address;
  readonly #memory: NativeMemory;
  readonly #array: Address;

  constructor(memory: NativeMemory, buffers: readonly SspiBuffer[]) {
    const array = new Uint8Array(secBuffer.size * buffers.length);
    for (const [index, { type, content }] of buffers.entries()) {
      const length = typeof content === 'number' ? content : content.length;
      const address = typeof content === 'number' ? reserved(memory, content) : memory.put(content);
      secBuffer.write(array, { length, type, address: Number(address) }, index * secBuffer.size);
    }
    this.#memory = memory;
    this.#array = memory.put(array);
    const descriptor = new Uint8Array(secBufferDesc.size);
    secBufferDesc.write(descriptor, { version: 0, count: buffers.length, buffers: Number(this.#array) });
    this.address = memory.put(descriptor);
  }

  /** Where the library has put something, and how much. */
  place(index: number): { readonly address: Address; readonly length: number } {
    const bytes = this.#memory.read(this.#array + BigInt(index * secBuffer.size), secBuffer.size);
    const { address, length } = secBuffer.read(bytes);
    return { address: BigInt(address), length };
  }

  read(index: number): Uint8Array {
    const { address, length } = this.place(index);
    return this.#memory.read(address, length);
  }
}

function reserved(memory: NativeMemory, size: number): Address {
  return size === 0 ? 0n : memory.reserve(size);
}
