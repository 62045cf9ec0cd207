/**
 * One HTTP exchange: authorise, open the sealed body, ask the endpoint, seal the answer. WinRM with AllowUnencrypted=false:
 * an unsealed body on an authenticated connection is refused with an empty HTTP 500, an empty one is the end of a handshake
 * and answered with an empty 200.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connection } from './connection.ts';
import type { Answering, Outcome } from './endpoint.ts';
import { ENCRYPTED_CONTENT_TYPE, isEncryptedType, readFrame, writeFrame } from './multipart.ts';
import type { Authenticated } from './ntlm.ts';
import type { WireTraits } from './traits.ts';

/** What the framing adds to an envelope, generously. */
const FRAME_BYTES_MAX = 4096;

export interface TransferStats {
  refusedAuthentications: number;
  receivedBytes: number;
  sentBytes: number;
}

export interface ExchangeContext {
  readonly endpoint: Answering;
  readonly traits: WireTraits;
  readonly hostName: string;
  readonly stats: TransferStats;
}

export class Exchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #context: ExchangeContext;

  constructor(request: IncomingMessage, response: ServerResponse, context: ExchangeContext) {
    this.#request = request;
    this.#response = response;
    this.#context = context;
    response.setHeader('Server', 'Microsoft-HTTPAPI/2.0');
  }

  async run(connection: Connection): Promise<void> {
    if (!/^\/wsman\/?(\?.*)?$/i.test(this.#request.url ?? '')) return this.#send(404);
    if (this.#request.method !== 'POST') return this.#send(405);
    const free = connection.begin();
    try {
      const body = await this.#body();
      if (body === undefined) return this.#sendAndClose(413);
      if (!free) return this.#unauthorised();
      await this.#authorised(connection, body);
    } finally {
      if (free) connection.end();
    }
  }

  async #authorised(connection: Connection, body: Uint8Array): Promise<void> {
    const { authorization } = this.#request.headers;
    const authorisation = connection.authorise(authorization);
    if (authorisation.kind === 'challenge') return this.#unauthorised(authorisation.token);
    if (authorisation.kind === 'refused') {
      if (authorization !== undefined) this.#context.stats.refusedAuthentications += 1;
      return this.#unauthorised();
    }
    if (body.length === 0) return this.#send(200);
    if (!isEncryptedType(this.#request.headers['content-type'])) return this.#sendAndClose(500);
    const text = opened(body, authorisation.session);
    // The key streams are out of step after this; nothing later on the connection could be read.
    if (text === undefined) return this.#sendAndClose(400);
    const outcome = await this.#outcome(text, authorisation.session);
    if (outcome.kind === 'drop') return void this.#request.socket.destroy();
    if (outcome.kind === 'answer') return this.#seal(outcome, authorisation.session);
    connection.forget();
    return this.#unauthorised();
  }

  async #outcome(text: string, { account }: Authenticated): Promise<Outcome> {
    const abort = new AbortController();
    const onClose = (): void => abort.abort();
    this.#response.once('close', onClose);
    const user = `${account.domain ?? this.#context.hostName.split('.')[0]!.toUpperCase()}\\${account.user}`;
    const caller = { user, filtered: account.filtered ?? false };
    const addressed = (this.#request.headers.host ?? '').replace(/:\d+$/, '');
    return this.#context.endpoint.answer(text, caller, addressed, abort.signal);
  }

  #seal(outcome: Outcome & { kind: 'answer' }, { sealing }: Authenticated): void {
    const frame = writeFrame(sealing.seal(Buffer.from(outcome.xml, 'utf8')));
    this.#response.statusCode = outcome.status;
    this.#response.setHeader('Content-Type', ENCRYPTED_CONTENT_TYPE);
    this.#response.setHeader('Content-Length', frame.length);
    if (outcome.damage === 'corrupt') frame[frame.length - 40]! ^= 1;
    if (outcome.damage === 'truncate') return this.#sendHalf(frame);
    this.#context.stats.sentBytes += frame.length;
    this.#response.end(frame);
  }

  #sendHalf(frame: Buffer): void {
    this.#response.write(frame.subarray(0, frame.length / 2), () => this.#request.socket.destroy());
  }

  /** The whole body, or `undefined` when it is larger than the host takes. What is too large is not even read. */
  async #body(): Promise<Uint8Array | undefined> {
    const limit = this.#context.traits.maxEnvelopeBytes + FRAME_BYTES_MAX;
    if (Number(this.#request.headers['content-length'] ?? 0) > limit) return undefined;
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of this.#request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > limit) return undefined;
      parts.push(part);
    }
    this.#context.stats.receivedBytes += bytes;
    return Buffer.concat(parts);
  }

  #unauthorised(token?: Uint8Array): void {
    const scheme = token ? `Negotiate ${Buffer.from(token).toString('base64')}` : 'Negotiate';
    this.#response.setHeader('WWW-Authenticate', scheme);
    this.#send(401);
  }

  #sendAndClose(status: number): void {
    this.#response.setHeader('Connection', 'close');
    this.#send(status);
  }

  #send(status: number): void {
    this.#response.statusCode = status;
    this.#response.setHeader('Content-Length', 0);
    this.#response.end();
  }
}

function opened(body: Uint8Array, { sealing }: Authenticated): string | undefined {
  const frame = readFrame(body);
  const plain = frame && sealing.unseal(frame);
  return plain && Buffer.from(plain).toString('utf8');
}
