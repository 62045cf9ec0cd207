/**
 * One TCP connection and who speaks on it. The handshake belongs to the connection: a token of another one, or a request
 * that slips in between its messages or on top of another request, ends in 401 (a real host answered seven parallel calls
 * through one pool with seven 401s).
 */
import { NtlmAcceptor, type Account, type Authenticated } from './ntlm.ts';

type Authorisation =
  | { readonly kind: 'authenticated'; readonly session: Authenticated }
  /** 401; with a token when the handshake goes on. */
  | { readonly kind: 'challenge'; readonly token: Uint8Array }
  | { readonly kind: 'refused' };

/** One request at a time holds the connection. */
export class Connection {
  readonly #acceptor: NtlmAcceptor;
  #session: Authenticated | undefined;
  #busy = false;

  constructor(accounts: readonly Account[], hostName: string) {
    this.#acceptor = new NtlmAcceptor(accounts, hostName);
  }

  /** False when another request is under way; then neither of them has an authenticated connection afterwards. */
  begin(): boolean {
    const free = !this.#busy;
    this.#busy = true;
    if (!free) this.forget();
    return free;
  }

  end(): void {
    this.#busy = false;
  }

  forget(): void {
    this.#session = undefined;
    this.#acceptor.forget();
  }

  /** `header` is the Authorization of the request; without one the session of the connection counts. */
  authorise(header: string | undefined): Authorisation {
    if (header === undefined && this.#session) return { kind: 'authenticated', session: this.#session };
    this.#session = undefined;
    const token = negotiateToken(header);
    if (!token) this.#acceptor.forget();
    const challenge = token && this.#acceptor.challenge(token);
    if (challenge) return { kind: 'challenge', token: challenge };
    this.#session = token && this.#acceptor.authenticate(token);
    return this.#session ? { kind: 'authenticated', session: this.#session } : { kind: 'refused' };
  }
}

/** The token of `Negotiate` (or `NTLM`); Basic and all else are not offered and not read. */
function negotiateToken(header: string | undefined): Uint8Array | undefined {
  const match = /^(?:Negotiate|NTLM) +([A-Za-z0-9+/=]{1,16384})$/i.exec(header ?? '');
  return match ? Buffer.from(match[1]!, 'base64') : undefined;
}
