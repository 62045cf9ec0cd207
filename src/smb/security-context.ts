/**
 * The log-on mechanism behind SPNEGO: NTLMv2 here; Kerberos has the same shape and can be given instead.
 *
 *   context.step()          the first token
 *   context.step(theirs)    the next one, until the mechanism has nothing left to say
 *   context.sessionKey      what the session's keys are derived from
 */
import { NtlmHandshake, type Credentials, type NtlmAgreement } from '../ntlm/index.ts';

export interface SecurityTarget {
  readonly host: string;
  /** Class of the service principal name. */
  readonly service: 'cifs';
}

export interface SecurityContext {
  /** Object identifier of the mechanism, encoded without tag and length. */
  readonly mechanism: Uint8Array;
  /** Our next token, given the server's (also its last one); the first time there is none. `undefined`: nothing is left to say. */
  step(token?: Uint8Array): Promise<Uint8Array | undefined>;
  /** At least 16 bytes; `undefined` until the mechanism has one. */
  readonly sessionKey: Uint8Array | undefined;
  /** Integrity protection with the agreed keys; used once in each direction, for SPNEGO. */
  sign(message: Uint8Array): Uint8Array;
  verify(message: Uint8Array, mic: Uint8Array): boolean;
}

export type SecurityProvider = (target: SecurityTarget) => SecurityContext;

export function ntlmSecurity(credentials: Credentials): SecurityProvider {
  return (target) => new NtlmContext(credentials, target);
}

/** 1.3.6.1.4.1.311.2.2.10. */
const NTLM_OID = Uint8Array.of(0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a);

class NtlmContext implements SecurityContext {
  readonly mechanism = NTLM_OID;
  readonly #handshake: NtlmHandshake;
  #agreement: NtlmAgreement | undefined;

  constructor(credentials: Credentials, target: SecurityTarget) {
    this.#handshake = new NtlmHandshake(credentials, target);
  }

  get sessionKey(): Uint8Array | undefined {
    return this.#agreement?.sessionKey;
  }

  async step(token?: Uint8Array): Promise<Uint8Array | undefined> {
    if (!token) return this.#handshake.negotiate();
    if (this.#agreement) return undefined;
    this.#agreement = await this.#handshake.authenticate(token);
    return this.#agreement.token;
  }

  sign(message: Uint8Array): Uint8Array {
    return this.#agreement!.seal.sign(message);
  }

  verify(message: Uint8Array, mic: Uint8Array): boolean {
    return this.#agreement!.seal.verify(message, mic);
  }
}
