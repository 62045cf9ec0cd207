/** A SecBufferDesc with its buffers, in native memory. */
import type { Address, NativeMemory } from './native-memory.ts';
import { secBuffer, secBufferDesc } from './sspi-format.ts';

export interface SspiBuffer {
  readonly type: number;
  /** What is in it, or how many bytes it has room for. */
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
      const address = typeof content === 'number' ? memory.reserve(content) : memory.put(content);
      secBuffer.write(array, { length, type, address: Number(address) }, index * secBuffer.size);
    }
    this.#memory = memory;
    this.#array = memory.put(array);
    const descriptor = new Uint8Array(secBufferDesc.size);
    secBufferDesc.write(descriptor, { version: 0, count: buffers.length, buffers: Number(this.#array) });
    this.address = memory.put(descriptor);
  }

  /** What the library has left in one of them. */
  read(index: number): Uint8Array {
    const bytes = this.#memory.read(this.#array + BigInt(index * secBuffer.size), secBuffer.size);
    const { address, length } = secBuffer.read(bytes);
    return this.#memory.read(BigInt(address), length);
  }
}
