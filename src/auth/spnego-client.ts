/**
 * A mechanism wrapped in SPNEGO, from the first token to the server's proof that nobody changed the list of mechanisms.
 *
 *   first()            → what to send
 *   next(answer)       → what to send; the server wants more
 *   finish(answer)     true when the server's MIC, if there is one, is right
 *
 * Everything a server may send instead throws {@link Malformed} or the fault of the mechanism.
 */
import { Malformed } from './der.ts';
import type { SecurityContext } from './security-context.ts';
import { mechanismList, readAnswer, writeFirst, writeNext, type SpnegoAnswer } from './spnego.ts';

export class SpnegoClient {
  readonly #security: SecurityContext;
  readonly #list: Uint8Array;

  constructor(security: SecurityContext) {
    this.#security = security;
    this.#list = mechanismList(security.mechanism);
  }

  async first(): Promise<Uint8Array> {
    return writeFirst(this.#security.mechanism, demanded(await this.#security.step()));
  }

  async next(bytes: Uint8Array): Promise<Uint8Array> {
    const { token } = await this.#read(bytes);
    if (!token) throw new Malformed('it wants more of the log-on but says nothing');
    const next = demanded(await this.#security.step(token));
    return writeNext(next, this.#security.sign(this.#list));
  }

  /** Kerberos learns its key, and that the server is who it says, from the token in here. */
  async finish(bytes: Uint8Array): Promise<boolean> {
    const { token, mic } = await this.#read(bytes);
    if (token) await this.#security.step(token);
    return !mic || (this.#security.complete && this.#security.verify(this.#list, mic));
  }

  /** A rejection may carry the mechanism's own word on why: that is the better fault. */
  async #read(bytes: Uint8Array): Promise<SpnegoAnswer> {
    const answer = readAnswer(bytes);
    const { mechanism, state, token } = answer;
    if (mechanism && Buffer.compare(mechanism, this.#security.mechanism) !== 0) {
      throw new Malformed('it chose a log-on mechanism that was not offered');
    }
    if (state !== 'reject') return answer;
    if (token) await this.#security.step(token);
    throw new Malformed('it rejects the log-on mechanism without saying so');
  }
}

function demanded(token: Uint8Array | undefined): Uint8Array {
  if (!token) throw new Malformed('it asks for more log-on tokens than there are');
  return token;
}
