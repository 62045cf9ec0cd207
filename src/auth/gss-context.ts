/**
 * One Kerberos log-on by the system's GSSAPI, and the message protection that follows. RFC 4121.
 *
 * Demanded, not hoped for: mutual authentication, confidentiality, integrity, detection of replay and reordering, and an AES
 * key. Delegation is never asked for: a host that is broken into gains no ticket of ours.
 */
import { type Fault } from '../base/index.ts';
import { kerberosFaults } from './faults.ts';
import { bytes, KERBEROS_OID, oid, type GssBuffer, type GssHandle, type GssLibrary } from './gss-library.ts';
import { GssError, kerberosFault, type LogOnNames } from './gss-status.ts';
import { acquire, importService, type TicketSource } from './kerberos-ticket.ts';
import { CURRENT_USER } from './principal.ts';
import type { SealedMessage, SecurityContext, SecurityTarget } from './security-context.ts';
import { joinWrapToken, splitWrapToken } from './wrap-token.ts';

/** RFC 2744 5.19: mutual, replay, sequence, confidentiality, integrity. */
const FLAGS = 2 | 4 | 8 | 16 | 32;
const CONTINUE_NEEDED = 1;
/** 1.2.840.113554.1.2.2.5.5: answers the session key and an identifier that ends with its encryption type. */
const SESSION_KEY = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x05, 0x05);
/** RFC 3962, RFC 8009. */
const AES_TYPES: readonly (number | undefined)[] = [17, 18, 19, 20];

export interface LogOn {
  /** `undefined`: whoever has filled the ticket cache. */
  readonly principal: string | undefined;
  readonly source: TicketSource;
  readonly target: SecurityTarget;
}

export class GssContext implements SecurityContext {
  readonly name = 'Kerberos';
  readonly mechanism = KERBEROS_OID;
  readonly wrapsItself = false;
  readonly #gss: GssLibrary;
  readonly #names: LogOnNames;
  readonly #keytab: string | undefined;
  readonly #binding: Uint8Array | undefined;
  #service: GssHandle = null;
  #credential: GssHandle = null;
  readonly #context: GssHandle[] = [null];
  #first: Uint8Array | undefined;
  #sessionKey: Uint8Array | undefined;
  #expiresAtMs = Infinity;

  private constructor(gss: GssLibrary, { principal, source, target }: LogOn) {
    this.#gss = gss;
    this.#names = { user: principal ?? CURRENT_USER, host: target.host, service: target.service };
    this.#keytab = source.kind === 'keytab' ? source.file : undefined;
    this.#binding = target.channelBinding;
  }

  /** Gets the tickets, so that whatever the KDC has against it shows here. Throws `KERBEROS_…`. */
  static async open(gss: GssLibrary, logOn: LogOn): Promise<GssContext> {
    const context = new GssContext(gss, logOn);
    try {
      context.#service = await importService(gss, logOn.target.service, logOn.target.host);
      context.#credential = await acquire(gss, logOn.principal, logOn.source);
      context.#first = await context.#advance(undefined);
      return context;
    } catch (error) {
      context[Symbol.dispose]();
      throw context.#faultOf(error);
    }
  }

  get complete(): boolean {
    return this.#sessionKey !== undefined;
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
    try {
      return await this.#advance(token);
    } catch (error) {
      throw this.#faultOf(error);
    }
  }

  sign(message: Uint8Array): Uint8Array {
    const out = {};
    this.#gss.call('getMic', this.#context[0], 0, bytes(message), out);
    return this.#gss.take(out as GssBuffer);
  }

  verify(message: Uint8Array, mic: Uint8Array): boolean {
    return this.#succeeds(() =>
      this.#gss.call('verifyMic', this.#context[0], bytes(message), bytes(mic), [0]),
    );
  }

  seal(plaintext: Uint8Array): SealedMessage {
    const out = {};
    const sealed = [0];
    try {
      this.#gss.call('wrap', this.#context[0], 1, 0, bytes(plaintext), sealed, out);
    } catch (error) {
      throw this.#faultOf(error);
    }
    const message = splitWrapToken(this.#gss.take(out as GssBuffer), plaintext.length);
    if (!message || sealed[0] !== 1) throw this.#tooWeak('messages that are not encrypted with AES');
    return message;
  }

  unseal(message: SealedMessage): Uint8Array | undefined {
    const out = {};
    const sealed = [0];
    const token = bytes(joinWrapToken(message));
    const good = this.#succeeds(() => this.#gss.call('unwrap', this.#context[0], token, out, sealed, [0]));
    const plaintext = this.#gss.take(out as GssBuffer);
    return good && sealed[0] === 1 ? plaintext : undefined;
  }

  [Symbol.dispose](): void {
    if (this.#context[0]) this.#gss.call('deleteContext', this.#context, null);
    this.#context[0] = null;
    this.#releaseInputs();
  }

  /** Replayed, old, reordered or missing messages are told by bits of a status that is no failure. */
  #succeeds(check: () => number): boolean {
    try {
      return check() === 0;
    } catch (error) {
      if (error instanceof GssError) return false;
      throw error;
    }
  }

  async #advance(token: Uint8Array | undefined): Promise<Uint8Array | undefined> {
    const out = {};
    const [flags, seconds] = [[0], [0]];
    const major = await this.#gss.callSlowly(
      'initContext',
      this.#credential,
      this.#context,
      this.#service,
      oid(KERBEROS_OID),
      FLAGS,
      0,
      this.#binding ? bindingOf(this.#binding) : null,
      token ? bytes(token) : null,
      null,
      out,
      flags,
      seconds,
    );
    const answer = this.#gss.take(out as GssBuffer);
    if (major !== CONTINUE_NEEDED) this.#finish(flags[0]!, seconds[0]!);
    return answer.length === 0 ? undefined : answer;
  }

  #finish(flags: number, seconds: number): void {
    const { host } = this.#names;
    if ((flags & FLAGS) !== FLAGS) throw kerberosFaults.notMutual({ host });
    const set: unknown[] = [null];
    this.#gss.call('inquireContext', this.#context[0], oid(SESSION_KEY), set);
    const [key, type] = this.#gss.takeSet(set[0]);
    if (!key || !AES_TYPES.includes(type?.at(-1))) throw this.#tooWeak('a key that is not of AES');
    this.#expiresAtMs = Date.now() + seconds * 1000;
    this.#sessionKey = key;
    this.#releaseInputs();
  }

  #releaseInputs(): void {
    if (this.#credential) this.#gss.call('releaseCredential', [this.#credential]);
    if (this.#service) this.#gss.call('releaseName', [this.#service]);
    this.#credential = null;
    this.#service = null;
  }

  #tooWeak(weakness: string): Fault {
    return kerberosFaults.tooWeak({ host: this.#names.host, weakness });
  }

  #faultOf(error: unknown): unknown {
    return error instanceof GssError ? kerberosFault(error, this.#names, this.#keytab) : error;
  }
}

/** RFC 2744 3.11, all addresses unspecified. */
function bindingOf(data: Uint8Array): object {
  const nothing = { length: 0, value: null };
  return { initiatorType: 0, initiator: nothing, acceptorType: 0, acceptor: nothing, data: bytes(data) };
}
