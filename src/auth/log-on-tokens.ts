/** The tokens of a log-on as a protocol sends them: inside SPNEGO, or as the mechanism makes them. */
import { Malformed } from './der.ts';
import type { SecurityContext } from './security-context.ts';
import { SpnegoClient } from './spnego-client.ts';

export interface LogOnTokens {
  first(): Promise<Uint8Array>;
  /** The answer to a token of a server that wants more. */
  next(theirs: Uint8Array): Promise<Uint8Array>;
  /** The last token of the server. False when its proof that nobody changed the list of mechanisms is wrong. */
  finish(theirs: Uint8Array): Promise<boolean>;
}

/** All of them throw {@link Malformed} or the fault of the mechanism. */
export function tokensOf(security: SecurityContext, inSpnego: boolean): LogOnTokens {
  return inSpnego && !security.wrapsItself ? new SpnegoClient(security) : new RawTokens(security);
}

class RawTokens implements LogOnTokens {
  readonly #security: SecurityContext;

  constructor(security: SecurityContext) {
    this.#security = security;
  }

  async first(): Promise<Uint8Array> {
    return demanded(await this.#security.step());
  }

  async next(theirs: Uint8Array): Promise<Uint8Array> {
    return demanded(await this.#security.step(theirs));
  }

  async finish(theirs: Uint8Array): Promise<boolean> {
    if (!(await this.#security.step(theirs))) return true;
    throw new Malformed('it is content before the log-on has ended');
  }
}

function demanded(token: Uint8Array | undefined): Uint8Array {
  if (!token) throw new Malformed('it asks for more log-on tokens than there are');
  return token;
}
