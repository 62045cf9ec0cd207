/**
 * One authenticated connection: a socket, a log-on, and the protection of messages that came with it.
 *
 *   http    every message sealed by NTLM or Kerberos inside multipart/encrypted; an answer that is not sealed is not believed
 *   https   protected by TLS; the log-on is tied to the certificate by a channel binding
 *
 * No request travels with the log-on itself: Identify does, so a real request only ever leaves on a connection that has
 * proved itself. One request at a time. Any failure closes the connection, because the sealing streams are then out of step.
 */
import { channelBinding } from '../../auth/index.ts';
import { hasCode } from '../../base/index.ts';
import { winrmFaults } from '../faults.ts';
import { IDENTIFY, readIdentity, type HostIdentity } from '../soap/identify.ts';
import { decodeText } from './charset.ts';
import {
  encryptedContentType,
  isEncrypted,
  readEncryptedBody,
  writeEncryptedBody,
} from './encrypted-body.ts';
import { HttpExchange, type Delivery, type HttpReply } from './exchange.ts';
import { logOn, refusal, type LoggedOn, type LogOnTarget, type TokenPost } from './log-on.ts';
import { openSocket, type SocketFactory, type TlsTrust } from './socket.ts';

export interface ConnectionTarget extends LogOnTarget {
  readonly trust: TlsTrust;
  readonly createConnection?: SocketFactory | undefined;
  readonly bodyBytesMax: number;
  /** How long an answer may take: the operation timeout of the host and some more. */
  readonly timeoutMs: number;
  /** How long the answer to the first token may take, when that is to be less. */
  readonly firstAnswerMs?: number | undefined;
}

export interface ExchangeCall {
  readonly signal?: AbortSignal | undefined;
  readonly delivery: Delivery;
  readonly resource: string;
}

const PLAIN_CONTENT_TYPE = 'application/soap+xml;charset=UTF-8';
const NO_BYTES = new Uint8Array(0);
/** A connection whose keys are about to expire is not begun with; half a minute is what one call may well take. */
const EXPIRY_MARGIN_MS = 30_000;

export class Connection {
  readonly #target: ConnectionTarget;
  readonly #http: HttpExchange;
  #loggedOn: LoggedOn = { headers: {}, firstHeaders: {} };
  readonly #openedMs = Date.now();
  #lastUsedMs = Date.now();
  identity: HostIdentity | undefined;

  private constructor(target: ConnectionTarget, http: HttpExchange) {
    this.#target = target;
    this.#http = http;
  }

  /** Throws what `openSocket` and `logOn` throw, and `WINRM_SEALING_REFUSED`. */
  static async open(target: ConnectionTarget, signal?: AbortSignal): Promise<Connection> {
    const { address, trust, createConnection } = target;
    const { socket, certificate } = await openSocket(address, trust, signal, createConnection);
    const connection = new Connection(target, new HttpExchange(socket, address));
    try {
      await connection.#logOn(certificate, signal);
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  /** False once either side has closed, or when the keys are at their end: the last half minute, or half of a shorter life. */
  get usable(): boolean {
    const { expiresAtMs } = this.#loggedOn.security ?? { expiresAtMs: Infinity };
    const margin = Math.min(EXPIRY_MARGIN_MS, (expiresAtMs - this.#openedMs) / 2);
    return this.#http.usable && (expiresAtMs === Infinity || Date.now() < expiresAtMs - margin);
  }

  /** Milliseconds since the last answer. */
  get idleMs(): number {
    return Date.now() - this.#lastUsedMs;
  }

  close(): void {
    this.#http.close();
    this.#loggedOn.security?.[Symbol.dispose]();
  }

  /** Sends one envelope and returns the answer's, whatever its HTTP status: faults are told by their body. */
  async exchange(xml: string, call: ExchangeCall): Promise<string> {
    try {
      const reply = await this.#post(xml, {}, call);
      this.#lastUsedMs = Date.now();
      return this.#open(reply);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  async #logOn(certificate: Uint8Array | undefined, signal: AbortSignal | undefined): Promise<void> {
    const call: ExchangeCall = { signal, delivery: { mayHaveRun: false }, resource: 'log-on' };
    let post: TokenPost = async (headers) => {
      const reply = await this.#first(headers, call);
      post = (more) => this.#token(more, call);
      return reply;
    };
    const binding = certificate && channelBinding(certificate);
    this.#loggedOn = await logOn(this.#target, binding, (headers) => post(headers), signal);
    const reply = await this.#post(IDENTIFY, this.#loggedOn.firstHeaders, call);
    if (reply.status === 401) throw refusal(this.#target, this.#loggedOn, reply);
    this.identity = readIdentity(this.#open(reply));
  }

  /** A service asks nobody else before it answers the first token, so one that is silent is none, or hangs. */
  async #first(headers: Readonly<Record<string, string>>, call: ExchangeCall): Promise<HttpReply> {
    const { address, timeoutMs, firstAnswerMs = timeoutMs } = this.#target;
    try {
      return await this.#token(headers, call, firstAnswerMs);
    } catch (cause) {
      if (!hasCode(cause, 'WINRM_TIMED_OUT')) throw cause;
      const { host, port } = address;
      throw winrmFaults.silent({ host, port, seconds: firstAnswerMs / 1000 });
    }
  }

  #token(
    headers: Readonly<Record<string, string>>,
    call: ExchangeCall,
    timeoutMs = this.#target.timeoutMs,
  ): Promise<HttpReply> {
    const all = { ...headers, 'Content-Type': PLAIN_CONTENT_TYPE };
    return this.#http.post(all, NO_BYTES, { ...call, ...this.#target, timeoutMs });
  }

  #post(xml: string, headers: Readonly<Record<string, string>>, call: ExchangeCall): Promise<HttpReply> {
    const plain = Buffer.from(xml, 'utf8');
    const { body, type } = this.#protect(plain);
    const all = { ...this.#loggedOn.headers, ...headers, 'Content-Type': type };
    return this.#http.post(all, body, { ...call, ...this.#target });
  }

  #protect(plain: Uint8Array): { body: Uint8Array; type: string } {
    const { security, scheme = 'Negotiate' } = this.#sealing;
    if (!security) return { body: plain, type: PLAIN_CONTENT_TYPE };
    try {
      return { body: writeEncryptedBody(security.seal(plain), scheme), type: encryptedContentType(scheme) };
    } catch (error) {
      if (!hasCode(error, 'KERBEROS_TICKET_EXPIRED')) throw error;
      // Nothing was sent: as with a host that forgot the log-on, a new one is made.
      throw winrmFaults.sessionExpired({ host: this.#target.address.host }, { cause: error });
    }
  }

  /** TLS protects by itself. */
  get #sealing(): Pick<LoggedOn, 'security' | 'scheme'> {
    return this.#target.address.tls ? {} : this.#loggedOn;
  }

  /** The envelope inside a reply, once its protection is verified. */
  #open(reply: HttpReply): string {
    const { host, port } = this.#target.address;
    if (reply.status === 401) throw winrmFaults.sessionExpired({ host });
    const { security } = this.#sealing;
    if (!security) {
      if (!isSoap(reply)) throw winrmFaults.notWinrm({ host, port, status: reply.status });
      return decodeText(reply.body, 'utf-8');
    }
    if (!isEncrypted(reply.headers['content-type'])) {
      const reason = `its answer (HTTP ${reply.status}) came unsealed`;
      throw isSoap(reply)
        ? winrmFaults.sealingRefused({ host, reason })
        : winrmFaults.connectionLost({ host, reason });
    }
    const message = readEncryptedBody(reply.body);
    const plain = security.unseal(message);
    if (!plain) throw winrmFaults.tampered({ host });
    return decodeText(plain, message.charset);
  }
}

function isSoap(reply: HttpReply): boolean {
  return /^application\/soap\+xml\b/i.test(reply.headers['content-type'] ?? '');
}
