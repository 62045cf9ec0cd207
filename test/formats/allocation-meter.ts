/**
 * Counts the bytes of memory that code asks for, by its own numbers: what the system really gives depends on the machine.
 * While it is on, every `new Uint8Array(n)`, `new Uint32Array(n)` and `Buffer.alloc(n)` of its thread is counted.
 */
const ALLOCATORS = ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const;

export class AllocationMeter {
  bytes = 0;
  readonly #arrays = { Uint8Array, Uint32Array };
  readonly #buffers = ALLOCATORS.map((name) => Object.getOwnPropertyDescriptor(Buffer, name)!);

  on(): void {
    this.bytes = 0;
    globalThis.Uint8Array = this.#counted(Uint8Array, 1);
    globalThis.Uint32Array = this.#counted(Uint32Array, 4);
    for (const name of ALLOCATORS) {
      const original = Buffer[name].bind(Buffer) as typeof Buffer.alloc;
      Buffer[name] = (size: number, fill?: number) => {
        this.bytes += size;
        return original(size, fill);
      };
    }
  }

  off(): void {
    globalThis.Uint8Array = this.#arrays.Uint8Array;
    globalThis.Uint32Array = this.#arrays.Uint32Array;
    for (const [index, name] of ALLOCATORS.entries()) {
      Object.defineProperty(Buffer, name, this.#buffers[index]!);
    }
  }

  #counted<T extends new (...args: never[]) => object>(original: T, elementBytes: number): T {
    return new Proxy(original, {
      construct: (target, args: unknown[], newTarget) => {
        if (typeof args[0] === 'number') this.bytes += args[0] * elementBytes;
        return Reflect.construct(target, args, newTarget as new () => object) as object;
      },
    });
  }
}
