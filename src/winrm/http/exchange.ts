/**
 * HTTP/1.1 requests over one given socket, one at a time. The socket is never replaced: an NTLM log-on belongs to its TCP
 * connection, and an agent that quietly opened another would lose it.
 */
import {
  Agent,
  request,
  type ClientRequestArgs,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import type { Socket } from 'node:net';
import { failureReason, isFault } from '../../base/index.ts';
import type { Address } from '../address.ts';
import { winrmFaults } from '../faults.ts';

const HEADER_BYTES_MAX = 64 * 1024;

export interface HttpReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Turns true once bytes of a request have left: from then on only the host knows whether it ran. */
export interface Delivery {
  mayHaveRun: boolean;
}

export interface PostOptions {
  readonly signal?: AbortSignal | undefined;
  readonly delivery: Delivery;
  readonly timeoutMs: number;
  readonly bodyBytesMax: number;
  /** What is asked, for faults. */
  readonly resource: string;
}

class OneSocketAgent extends Agent {
  #socket: Socket | undefined;

  constructor(socket: Socket) {
    super({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
    this.#socket = socket;
  }

  override createConnection(
    _options: ClientRequestArgs,
    callback?: (error: Error | null, socket: Socket) => void,
  ): Socket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    // By callback, not by throwing: Node asks for a successor from inside the close event of the first.
    if (!socket) callback?.(new Error('the connection was closed meanwhile'), undefined as never);
    return socket;
  }
}

export class HttpExchange {
  readonly #socket: Socket;
  readonly #agent: OneSocketAgent;
  readonly #address: Address;

  constructor(socket: Socket, address: Address) {
    this.#socket = socket;
    this.#agent = new OneSocketAgent(socket);
    this.#address = address;
  }

  /** False once either side has closed. */
  get usable(): boolean {
    return this.#socket.writable && this.#socket.readable && !this.#socket.destroyed;
  }

  close(): void {
    this.#socket.destroy();
    this.#agent.destroy();
  }

  /**
   * Throws `WINRM_CONNECTION_LOST`, `WINRM_TIMED_OUT`, `WINRM_ENVELOPE_TOO_LARGE`, `WINRM_PROTOCOL_BROKEN` or the
   * signal's reason, and the connection is then of no further use.
   */
  async post(
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    options: PostOptions,
  ): Promise<HttpReply> {
    const writtenBefore = this.#socket.bytesWritten;
    try {
      return await this.#send({ ...headers, 'Content-Length': String(body.length) }, body, options);
    } catch (error) {
      this.close();
      if (options.signal?.aborted) throw options.signal.reason;
      throw isFault(error) ? error : this.#lost(error);
    } finally {
      if (this.#socket.bytesWritten > writtenBefore) options.delivery.mayHaveRun = true;
    }
  }

  #send(headers: Record<string, string>, body: Uint8Array, options: PostOptions): Promise<HttpReply> {
    const { host, port, path } = this.#address;
    return new Promise((resolve, reject) => {
      const call = request({
        agent: this.#agent,
        host,
        port,
        path,
        method: 'POST',
        headers,
        maxHeaderSize: HEADER_BYTES_MAX,
      });
      const fail = (error: Error): void => {
        reject(error);
        call.destroy();
      };
      const disarm = arm(options, this.#address.host, fail);
      call.on('error', fail);
      call.on('close', () => {
        disarm();
        reject(new Error('closed before its answer ended'));
      });
      call.on('response', (reply) => collect(reply, options, resolve, fail));
      call.end(body);
    });
  }

  #lost(cause: unknown): Error {
    const { code, message } = cause as NodeJS.ErrnoException;
    const { host } = this.#address;
    // llhttp: the other side does not speak HTTP, or not within the limits.
    if (code?.startsWith('HPE_'))
      return winrmFaults.protocolBroken({ reason: `it is not HTTP (${message})` }, { cause });
    return winrmFaults.connectionLost({ host, reason: failureReason(cause) }, { cause });
  }
}

/** Deadline and cancellation of one request; returns how to take them back. */
function arm(options: PostOptions, host: string, fail: (error: Error) => void): () => void {
  const { signal, timeoutMs, resource } = options;
  const onAbort = (): void => fail(new Error('cancelled'));
  const timer = setTimeout(
    () => fail(winrmFaults.timedOut({ host, resource, seconds: timeoutMs / 1000 })),
    timeoutMs,
  );
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
}

function collect(
  reply: IncomingMessage,
  { bodyBytesMax, resource }: PostOptions,
  resolve: (reply: HttpReply) => void,
  fail: (error: Error) => void,
): void {
  const chunks: Buffer[] = [];
  let length = 0;
  const tooLarge = (): void => fail(winrmFaults.envelopeTooLarge({ resource, limitBytes: bodyBytesMax }));
  const status = reply.statusCode ?? 0;
  // Node's parser takes any number of digits for one.
  if (status < 100 || status > 599) {
    return fail(winrmFaults.protocolBroken({ reason: `it is not HTTP (status ${status})` }));
  }
  if (Number(reply.headers['content-length'] ?? 0) > bodyBytesMax) return tooLarge();
  reply.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > bodyBytesMax) return tooLarge();
    chunks.push(chunk);
  });
  reply.on('error', fail);
  reply.on('end', () => {
    if (!reply.complete) return fail(new Error('closed in mid-answer'));
    resolve({ status, headers: reply.headers, body: Buffer.concat(chunks, length) });
  });
}
