/**
 * One authenticated connection: a socket, a log-on, and the protection of messages that came with it.
 *
 *   http    every message sealed by NTLM inside multipart/encrypted; an answer that is not sealed is not believed
 *   https   protected by TLS; the log-on is tied to the certificate by a channel binding
 *
 * No request travels with the log-on itself: Identify does, so a real request only ever leaves on a connection that has
 * proved itself. One request at a time. Any failure closes the connection, because the sealing streams are then out of step.
 */
import type { TLSSocket } from 'node:tls';
import { channelBinding, NtlmHandshake, type Credentials, type NtlmSeal } from '../../ntlm/index.ts';
import type { Address } from '../address.ts';
import { winrmFaults } from '../faults.ts';
import { IDENTIFY, readIdentity, type HostIdentity } from '../soap/identify.ts';
import {
  ENCRYPTED_CONTENT_TYPE,
  isEncrypted,
  readEncryptedBody,
  writeEncryptedBody,
} from './encrypted-body.ts';
import { HttpExchange, type Delivery, type HttpReply } from './exchange.ts';
import { openSocket, type TlsTrust } from './socket.ts';

export interface ConnectionTarget {
  readonly address: Address;
  readonly credentials: Credentials;
  readonly trust: TlsTrust;
  readonly bodyBytesMax: number;
  /** How long an answer may take: the operation timeout of the host and some more. */
  readonly timeoutMs: number;
}

export interface ExchangeCall {
  readonly signal?: AbortSignal | undefined;
  readonly delivery: Delivery;
  readonly resource: string;
}

const PLAIN_CONTENT_TYPE = 'application/soap+xml;charset=UTF-8';
const NO_BYTES = new Uint8Array(0);

export class Connection {
  readonly #target: ConnectionTarget;
  readonly #http: HttpExchange;
  /** Absent over TLS. */
  #seal: NtlmSeal | undefined;
  #lastUsedMs = Date.now();
  identity: HostIdentity | undefined;

  private constructor(target: ConnectionTarget, http: HttpExchange) {
    this.#target = target;
    this.#http = http;
  }

  /** Throws what `openSocket` throws, `WINRM_AUTHENTICATION_FAILED`, `WINRM_NOT_WINRM`, `WINRM_SEALING_REFUSED`, `NTLM_…`. */
  static async open(target: ConnectionTarget, signal?: AbortSignal): Promise<Connection> {
    const socket = await openSocket(target.address, target.trust, signal);
    const connection = new Connection(target, new HttpExchange(socket, target.address));
    const certificate = target.address.tls ? (socket as TLSSocket).getPeerX509Certificate()?.raw : undefined;
    try {
      await connection.#logOn(certificate, signal);
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  get usable(): boolean {
    return this.#http.usable;
  }

  /** Milliseconds since the last answer. */
  get idleMs(): number {
    return Date.now() - this.#lastUsedMs;
  }

  close(): void {
    this.#http.close();
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
    const { address, credentials } = this.#target;
    const handshake = new NtlmHandshake(credentials, {
      host: address.host,
      service: 'HTTP',
      channelBinding: certificate && channelBinding(certificate),
    });
    const call: ExchangeCall = { signal, delivery: { mayHaveRun: false }, resource: 'log-on' };
    const offer = await this.#http.post(
      { ...negotiateHeader(handshake.negotiate()), 'Content-Type': PLAIN_CONTENT_TYPE },
      NO_BYTES,
      { ...call, ...this.#target },
    );
    const { token, seal } = await handshake.authenticate(this.#challengeIn(offer));
    if (!address.tls) this.#seal = seal;
    const reply = await this.#post(IDENTIFY, negotiateHeader(token), call);
    if (reply.status === 401) {
      throw winrmFaults.authenticationFailed({ host: address.host, user: credentials.name });
    }
    this.identity = readIdentity(this.#open(reply));
  }

  #challengeIn(reply: HttpReply): Uint8Array {
    const { host, port } = this.#target.address;
    if (reply.status !== 401) throw winrmFaults.notWinrm({ host, port, status: reply.status });
    const offered = reply.headers['www-authenticate'] ?? '';
    const token = /(?:^|,\s*)Negotiate\s+([A-Za-z0-9+/]+=*)/i.exec(offered)?.[1];
    if (token === undefined) throw winrmFaults.negotiateNotOffered({ host, offered: offered || 'nothing' });
    return Buffer.from(token, 'base64');
  }

  #post(xml: string, headers: Readonly<Record<string, string>>, call: ExchangeCall): Promise<HttpReply> {
    const plain = Buffer.from(xml, 'utf8');
    const body = this.#seal ? writeEncryptedBody(this.#seal.seal(plain)) : plain;
    const type = this.#seal ? ENCRYPTED_CONTENT_TYPE : PLAIN_CONTENT_TYPE;
    return this.#http.post({ ...headers, 'Content-Type': type }, body, { ...call, ...this.#target });
  }

  /** The envelope inside a reply, once its protection is verified. */
  #open(reply: HttpReply): string {
    const { host, port } = this.#target.address;
    if (reply.status === 401) throw winrmFaults.sessionExpired({ host });
    if (!this.#seal) {
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
    const plain = this.#seal.unseal(message);
    if (!plain) throw winrmFaults.tampered({ host });
    return decodeText(plain, message.charset);
  }
}

function negotiateHeader(token: Uint8Array): { Authorization: string } {
  return { Authorization: `Negotiate ${Buffer.from(token).toString('base64')}` };
}

function isSoap(reply: HttpReply): boolean {
  return /^application\/soap\+xml\b/i.test(reply.headers['content-type'] ?? '');
}

function decodeText(bytes: Uint8Array, charset: string): string {
  if (!/^utf-(8|16|16le)$/i.test(charset))
    throw winrmFaults.protocolBroken({ reason: `it is in ${charset}` });
  try {
    return new TextDecoder(charset, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw winrmFaults.protocolBroken({ reason: `it is not ${charset}` }, { cause });
  }
}
