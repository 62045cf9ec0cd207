/**
 * How much may be under way: message ids are paid for with credits the server grants. MS-SMB2 3.2.4.1.2, 3.2.4.1.5.
 *
 *   available     ids the server allows us to use now
 *   outstanding   ids in requests without an answer
 *
 * A request of several credits uses as many ids in a row. Who cannot pay waits in line; nobody overtakes, so a large read
 * is not starved by small ones.
 */
import { CREDIT_BYTES } from './format.ts';

/** 8 MiB of reads under way on each connection: 80 MB/s over a path of 100 ms, and about 20 MB of memory at worst. */
const OUTSTANDING_MAX = (8 * 1024 * 1024) / CREDIT_BYTES;
/** What is asked for in advance; a server need not grant it. */
const AVAILABLE_WANTED = 2 * OUTSTANDING_MAX;
/** The field holds 16 bits; a server that grants more than this grants nothing real. */
const AVAILABLE_MAX = 65_535;

interface Waiter {
  readonly charge: number;
  readonly start: (messageId: number) => void;
  readonly fail: (error: Error) => void;
}

export class CreditWindow {
  #available = 1;
  #outstanding = 0;
  #nextId = 0;
  readonly #line: Waiter[] = [];
  #failure: Error | undefined;

  /** All the credits there are, in use or not. */
  get held(): number {
    return this.#available + this.#outstanding;
  }

  /** Resolves with the first message id. Rejects when the connection fails. */
  take(charge: number): Promise<number> {
    return new Promise((start, fail) => {
      if (this.#failure) return fail(this.#failure);
      this.#line.push({ charge, start, fail });
      this.#advance();
    });
  }

  /** What to ask for with a request of `charge`: at least what it uses up. */
  wanted(charge: number): number {
    return Math.max(charge, AVAILABLE_WANTED - this.held);
  }

  /** An answer, even an interim one, may grant. */
  grant(credits: number): void {
    this.#available = Math.min(AVAILABLE_MAX, this.#available + credits);
    this.#advance();
  }

  /** The final answer to a request of `charge` came. */
  settle(charge: number): void {
    this.#outstanding -= charge;
    this.#advance();
  }

  fail(error: Error): void {
    this.#failure ??= error;
    for (const { fail } of this.#line.splice(0)) fail(error);
  }

  /** Somebody waits, but nothing is under way that could bring the missing credits. */
  get starved(): boolean {
    return this.#line.length > 0 && this.#outstanding === 0;
  }

  #advance(): void {
    while (this.#line.length > 0 && this.#mayPay(this.#line[0]!.charge)) {
      const { charge, start } = this.#line.shift()!;
      this.#available -= charge;
      this.#outstanding += charge;
      start(this.#nextId);
      this.#nextId += charge;
    }
  }

  #mayPay(charge: number): boolean {
    return (
      charge <= this.#available && (this.#outstanding === 0 || this.#outstanding + charge <= OUTSTANDING_MAX)
    );
  }
}
