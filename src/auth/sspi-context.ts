/**
 * One log-on by Windows itself, and the message protection that follows: Kerberos, NTLM, or what Negotiate makes of them.
 *
 * Demanded, not hoped for: confidentiality, integrity, detection of replay and reordering; of Kerberos also mutual
 * authentication and an AES key; of NTLM what {@link readChallenge} demands, before Windows answers with anything that comes
 * from the password. Delegation is never asked for, and a session as nobody is no session.
 */
import { NTLM_SIGNATURE, ntlmFaults, readChallenge } from '../ntlm/index.ts';
import { kerberosFaults, sspiFaults } from './faults.ts';
import { KERBEROS_OID } from './gss-library.ts';
import type { LogOnNames } from './gss-status.ts';
import { NTLM_OID } from './ntlm-context.ts';
import type { SealedMessage, SecurityContext, SecurityTarget } from './security-context.ts';
import { CONTEXT_FLAG } from './sspi-format.ts';
import type {
  ContextHandle,
  CredentialHandle,
  MessageSizes,
  PasswordIdentity,
  SecurityFunctions,
  SecurityPackage,
} from './sspi-functions.ts';
import { SspiError, sspiFault } from './sspi-status.ts';
import { isAesWrapToken } from './wrap-token.ts';

const { mutual, replay, sequence, confidentiality, integrity, nullSession } = CONTEXT_FLAG;
const PROTECTION = replay | sequence | confidentiality | integrity;
/**
 * Encryption types of RFC 3962 and RFC 8009; CALG_AES_128 and CALG_AES_256 should Windows name them so; a package that does not
 * tell, whose messages then show it.
 */
const AES_TYPES: readonly (number | undefined)[] = [17, 18, 19, 20, 0x660e, 0x6610, undefined];

export interface SspiLogOn {
  readonly package: SecurityPackage;
  /** `undefined`: the account hvlift runs under. */
  readonly identity: PasswordIdentity | undefined;
  readonly target: SecurityTarget;
  /** For messages. */
  readonly user: string;
  /** What stood against Kerberos, for messages. */
  readonly why?: string | undefined;
}

export class SspiContext implements SecurityContext {
  readonly name: string;
  readonly mechanism: Uint8Array;
  readonly wrapsItself: boolean;
  readonly #functions: SecurityFunctions;
  readonly #logOn: SspiLogOn;
  readonly #names: LogOnNames;
  #credential: CredentialHandle | undefined;
  #context: ContextHandle | undefined;
  #first: Uint8Array | undefined;
  #sizes: MessageSizes | undefined;
  #sessionKey: Uint8Array | undefined;
  #expiresAtMs = Infinity;
  #byKerberos = false;

  private constructor(functions: SecurityFunctions, logOn: SspiLogOn) {
    const { target, user, why } = logOn;
    this.#functions = functions;
    this.#logOn = logOn;
    this.#names = { user, host: target.host, service: target.service };
    this.name = why === undefined ? logOn.package : `${logOn.package} (no Kerberos: ${why})`;
    this.mechanism = logOn.package === 'Kerberos' ? KERBEROS_OID : NTLM_OID;
    this.wrapsItself = logOn.package === 'Negotiate';
  }

  /** Gets the first token, so that whatever a domain controller has against it shows here. Throws `KERBEROS_…`, `SSPI_…`. */
  static async open(functions: SecurityFunctions, logOn: SspiLogOn): Promise<SspiContext> {
    const context = new SspiContext(functions, logOn);
    try {
      context.#credential = await functions.acquire(logOn.package, logOn.identity);
      context.#first = await context.#advance(undefined);
      return context;
    } catch (error) {
      context[Symbol.dispose]();
      throw context.#faultOf(error);
    }
  }

  get complete(): boolean {
    return this.#sizes !== undefined;
  }

  get sessionKey(): Uint8Array | undefined {
    return this.#sessionKey;
  }

  get expiresAtMs(): number {
    return this.#expiresAtMs;
  }

  async step(token?: Uint8Array): Promise<Uint8Array | undefined> {
    if (!token) return this.#first;
    if (this.complete) return undefined;
    this.#checkNtlm(token);
    try {
      return await this.#advance(token);
    } catch (error) {
      throw this.#faultOf(error);
    }
  }

  sign(message: Uint8Array): Uint8Array {
    return this.#functions.sign(this.#context!, message, this.#sizes!.maxSignature);
  }

  verify(message: Uint8Array, mic: Uint8Array): boolean {
    return this.#unlessRefused(() => (this.#functions.verify(this.#context!, message, mic), true)) ?? false;
  }

  seal(plaintext: Uint8Array): SealedMessage {
    const message = this.#encrypt(plaintext);
    if (!this.#byKerberos || isAesWrapToken(message.signature)) return message;
    throw kerberosFaults.tooWeak({
      host: this.#names.host,
      weakness: 'messages that are not encrypted with AES',
    });
  }

  unseal(message: SealedMessage): Uint8Array | undefined {
    return this.#unlessRefused(() => this.#functions.decrypt(this.#context!, message));
  }

  /** Not while a step is under way. */
  [Symbol.dispose](): void {
    if (this.#context !== undefined) this.#functions.deleteContext(this.#context);
    if (this.#credential !== undefined) this.#functions.freeCredential(this.#credential);
    this.#context = undefined;
    this.#credential = undefined;
  }

  #encrypt(plaintext: Uint8Array): SealedMessage {
    try {
      return this.#functions.encrypt(this.#context!, plaintext, this.#sizes!.securityTrailer);
    } catch (error) {
      throw this.#faultOf(error);
    }
  }

  async #advance(token: Uint8Array | undefined): Promise<Uint8Array | undefined> {
    const { package: name, target } = this.#logOn;
    const answer = await this.#functions.initialize({
      credential: this.#credential!,
      context: this.#context,
      service: `${target.service}/${target.host}`,
      // Of NTLM there is no mutual authentication, and asking for it is harmless; Negotiate then prefers Kerberos.
      flags: name === 'NTLM' ? PROTECTION : PROTECTION | mutual,
      token,
      channelBinding: target.channelBinding,
    });
    this.#context = answer.context;
    if (answer.done) this.#finish(answer.flags, answer.expiresAtMs);
    return answer.token.length === 0 ? undefined : answer.token;
  }

  #finish(flags: number, expiresAtMs: number): void {
    const { host } = this.#names;
    const context = this.#context!;
    const agreed = this.wrapsItself ? this.#functions.packageOf(context) : this.#logOn.package;
    const byKerberos = agreed !== 'NTLM';
    const demanded = byKerberos ? PROTECTION | mutual : PROTECTION;
    if ((flags & demanded) !== demanded) throw this.#unprotected(byKerberos);
    if ((flags & nullSession) !== 0) throw sspiFaults.anonymous({ host });
    if (byKerberos && !AES_TYPES.includes(this.#functions.encryptionType(context))) {
      throw kerberosFaults.tooWeak({ host, weakness: 'a key that is not of AES' });
    }
    this.#byKerberos = byKerberos;
    this.#sessionKey = this.#functions.sessionKey(context);
    this.#expiresAtMs = expiresAtMs;
    this.#sizes = this.#functions.sizes(context);
  }

  #unprotected(byKerberos: boolean): Error {
    const { host } = this.#names;
    const missing = 'encryption, signatures or detection of repeated messages';
    return byKerberos ? kerberosFaults.notMutual({ host }) : ntlmFaults.securityRefused({ host, missing });
  }

  /** The challenge of NTLM stands in the token as it is, or inside SPNEGO. */
  #checkNtlm(token: Uint8Array): void {
    const at = Buffer.from(token).indexOf(NTLM_SIGNATURE, 0, 'latin1');
    if (at >= 0 && this.#logOn.package !== 'Kerberos')
      readChallenge(token.subarray(at), this.#logOn.target.host);
  }

  #unlessRefused<T>(call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      if (error instanceof SspiError) return undefined;
      throw error;
    }
  }

  #faultOf(error: unknown): unknown {
    return error instanceof SspiError ? sspiFault(error, this.#names) : error;
  }
}
