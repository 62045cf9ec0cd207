/**
 * The largest piece of memory asked for while it is in force: a length field of a message must never decide it. Counts what
 * our code can ask with: `new Uint8Array(n)` and the makers of Buffer. What Node allocates for itself is not ours to bound.
 */
import assert from 'node:assert/strict';

const MAKERS = ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const;

export class Allocations implements Disposable {
  readonly #bytesMax: number;
  readonly #array = Uint8Array;
  readonly #makers = MAKERS.map((name) => [name, Buffer[name]] as const);
  #largest = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    const note = (bytes: unknown): void => {
      if (typeof bytes === 'number' && bytes > this.#largest) this.#largest = bytes;
    };
    globalThis.Uint8Array = new Proxy(Uint8Array, {
      construct(target, args: unknown[], newTarget) {
        note(args[0]);
        return Reflect.construct(target, args, newTarget) as Uint8Array;
      },
    });
    for (const [name, make] of this.#makers) {
      Buffer[name] = (bytes: number, ...more: []) => {
        note(bytes);
        return make(bytes, ...more);
      };
    }
  }

  check(): void {
    assert.ok(
      this.#largest <= this.#bytesMax,
      `${this.#largest} bytes asked for at once, ${this.#bytesMax} allowed`,
    );
  }

  [Symbol.dispose](): void {
    globalThis.Uint8Array = this.#array;
    for (const [name, make] of this.#makers) Buffer[name] = make;
  }
}
