/** A mechanism of log-on that says yes to everything: what it would refuse itself is not what is attacked here. */
import type { SecurityContext } from '../../src/auth/index.ts';

export const SESSION_KEY = Buffer.alloc(16, 0x5a);

export class Stranger implements SecurityContext {
  readonly name = 'NTLM';
  readonly mechanism = Uint8Array.of(0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a);
  readonly wrapsItself = false;
  readonly expiresAtMs = Infinity;
  readonly sessionKey = SESSION_KEY;
  /** The tokens of the server. */
  readonly given: Uint8Array[] = [];
  complete = false;

  async step(token?: Uint8Array): Promise<Uint8Array> {
    if (token) this.given.push(token);
    this.complete = token !== undefined;
    return Uint8Array.of(1, 2, 3);
  }

  sign(): Uint8Array {
    return new Uint8Array(16);
  }

  verify(_message: Uint8Array, mic: Uint8Array): boolean {
    return mic.length === 16;
  }

  seal(): never {
    throw new Error('nothing is sealed before the log-on');
  }

  unseal(): undefined {
    return undefined;
  }

  [Symbol.dispose](): void {}
}
