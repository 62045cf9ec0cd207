/** NTLMv2 as a security context: two tokens of ours, one of the server's. */
import { bindingHash, NtlmHandshake, type Credentials, type NtlmAgreement } from '../ntlm/index.ts';
import type { SealedMessage, SecurityContext, SecurityProvider, SecurityTarget } from './security-context.ts';

/** 1.3.6.1.4.1.311.2.2.10. */
export const NTLM_OID = Uint8Array.of(0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a);

/** `why`: what stood against Kerberos, for messages. */
export function ntlmSecurity(credentials: Credentials, why?: string): SecurityProvider {
  return async (target) => new NtlmContext(credentials, target, why);
}

class NtlmContext implements SecurityContext {
  readonly name: string;
  readonly mechanism = NTLM_OID;
  readonly wrapsItself = false;
  readonly expiresAtMs = Infinity;
  readonly #handshake: NtlmHandshake;
  #agreement: NtlmAgreement | undefined;

  constructor(credentials: Credentials, target: SecurityTarget, why: string | undefined) {
    const { host, service, channelBinding } = target;
    this.name = why === undefined ? 'NTLM' : `NTLM (no Kerberos: ${why})`;
    this.#handshake = new NtlmHandshake(credentials, {
      host,
      service,
      channelBinding: channelBinding && bindingHash(channelBinding),
    });
  }

  get complete(): boolean {
    return this.#agreement !== undefined;
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

  seal(plaintext: Uint8Array): SealedMessage {
    return this.#agreement!.seal.seal(plaintext);
  }

  unseal(message: SealedMessage): Uint8Array | undefined {
    return this.#agreement!.seal.unseal(message);
  }

  [Symbol.dispose](): void {}
}
