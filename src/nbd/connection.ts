/**
 * A client's connection once the export is open: requests go out, answers come back in any order and find their request
 * by its cookie.
 *
 * Nothing an answer claims is trusted before it is checked: that it was asked for, its kind, its length, where its data
 * belongs. Whatever is wrong ends the connection, with the same fault for every request under way. A server that says
 * nothing for longer than the answer timeout while it has requests is given up.
 */
import type { Socket } from 'node:net';
import { hasCode, isFault, type Fault } from '../base/index.ts';
import type { NbdAddress } from './address.ts';
import { nbdFaults } from './faults.ts';
import {
  CHUNK,
  CHUNK_BYTES,
  CHUNK_FLAG,
  COMMAND,
  decodeChunk,
  encodeRequest,
  ERROR,
  readCookie,
  readOffset,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
  type Chunk,
} from './format.ts';
import type { Inbox } from './inbox.ts';
import { Link } from './link.ts';
import { negotiate, type ExportInfo } from './negotiation.ts';
import type { NbdClientTls } from './tls.ts';

export interface ConnectionOptions {
  readonly tls: NbdClientTls;
  readonly answerTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface NbdRequest {
  readonly command: number;
  readonly flags?: number;
  readonly offset: number;
  readonly length: number;
  /** What is written; the caller leaves it alone until the answer is there. */
  readonly payload?: Uint8Array;
  /** Where what is read goes: `length` bytes. */
  readonly into?: Uint8Array;
}

/** One extent of block status. */
export interface StatusRun {
  readonly length: number;
  readonly flags: number;
}

interface Pending {
  readonly request: NbdRequest;
  readonly resolve: (status: readonly StatusRun[]) => void;
  readonly reject: (error: Error) => void;
  /** Bytes of a read that have come, in structured replies. */
  got: number;
  error: number;
  status: StatusRun[];
}

/** An error chunk carries a text; a status chunk eight bytes an extent. */
const CHUNK_BYTES_MAX = 1024 * 1024;

export class NbdConnection {
  readonly info: ExportInfo;
  readonly server: string;
  readonly #socket: Socket;
  readonly #inbox: Inbox;
  readonly #pending = new Map<number, Pending>();
  readonly #answerTimeoutMs: number;
  #nextCookie = 1;
  #failure: Fault | undefined;

  private constructor(link: Link, info: ExportInfo, answerTimeoutMs: number) {
    this.info = info;
    this.server = link.server;
    this.#socket = link.socket;
    this.#inbox = link.inbox;
    this.#answerTimeoutMs = answerTimeoutMs;
    this.#socket.setTimeout(answerTimeoutMs, () => this.#idle());
    void this.#receive();
  }

  /** Throws what {@link Link.open} and {@link negotiate} throw, `NBD_TIMED_OUT`, and the signal's reason. */
  static async open(address: NbdAddress, options: ConnectionOptions): Promise<NbdConnection> {
    const link = await Link.open(address.place, options);
    const seconds = options.answerTimeoutMs / 1000;
    const tooLong = AbortSignal.timeout(options.answerTimeoutMs);
    const stop = (): void => link.close();
    tooLong.addEventListener('abort', stop);
    options.signal?.addEventListener('abort', stop);
    try {
      const info = await negotiate(link, address, options.tls);
      return new NbdConnection(link, info, options.answerTimeoutMs);
    } catch (error) {
      link.close();
      options.signal?.throwIfAborted();
      throw tooLong.aborted ? nbdFaults.timedOut({ server: link.server, seconds }) : error;
    } finally {
      tooLong.removeEventListener('abort', stop);
      options.signal?.removeEventListener('abort', stop);
    }
  }

  get usable(): boolean {
    return this.#failure === undefined;
  }

  /**
   * Sends a request and resolves with its block status, if that is what it asks. Throws `NBD_IO_FAILED`, `NBD_NO_SPACE`,
   * `NBD_READ_ONLY`; and what ended the connection.
   */
  request(request: NbdRequest): Promise<readonly StatusRun[]> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const cookie = this.#nextCookie;
      this.#nextCookie = cookie === 0xffff_ffff ? 1 : cookie + 1;
      this.#pending.set(cookie, { request, resolve, reject, got: 0, error: 0, status: [] });
      this.#send(cookie, request);
    });
  }

  /** Says good-bye and closes; what is under way fails with `NBD_CLOSED`. */
  close(): void {
    if (this.usable) this.#send(0, { command: COMMAND.disconnect, offset: 0, length: 0 });
    this.#end(nbdFaults.closed(), () => this.#socket.end());
  }

  /** Ends it at once; what is under way fails with `NBD_CONNECTION_LOST`. */
  abandon(): void {
    this.#end(nbdFaults.connectionLost({ server: this.server, reason: 'it was given up' }));
  }

  #send(cookie: number, { command, flags, offset, length, payload }: NbdRequest): void {
    const head = encodeRequest({
      command,
      flags: flags ?? 0,
      cookie: { high: 0, low: cookie },
      offset,
      length,
    });
    if (!payload) return void this.#socket.write(head);
    this.#socket.cork();
    this.#socket.write(head);
    this.#socket.write(payload);
    this.#socket.uncork();
  }

  #idle(): void {
    if (this.#pending.size === 0) return;
    const seconds = this.#answerTimeoutMs / 1000;
    this.#end(nbdFaults.timedOut({ server: this.server, seconds }));
  }

  #end(fault: Fault, close: () => void = () => this.#socket.destroy()): void {
    if (this.#failure) return;
    this.#failure = fault;
    close();
    for (const { reject } of this.#pending.values()) reject(fault);
    this.#pending.clear();
  }

  async #receive(): Promise<void> {
    try {
      for (;;) await this.#receiveReply();
    } catch (error) {
      const reason = (error as Error).message;
      this.#end(
        isFault(error) ? error : nbdFaults.connectionLost({ server: this.server, reason }, { cause: error }),
      );
    }
  }

  async #receiveReply(): Promise<void> {
    const head = await this.#inbox.take(SIMPLE_REPLY_BYTES);
    const magic = head.readUInt32BE(0);
    const { high, low } = readCookie(head);
    const pending = high === 0 ? this.#pending.get(low) : undefined;
    if (!pending) throw this.#broken('an answer to nothing that was asked');
    if (magic === SIMPLE_REPLY_MAGIC) return this.#simple(low, pending, head.readUInt32BE(4));
    if (magic !== STRUCTURED_REPLY_MAGIC || !this.info.structured)
      throw this.#broken('an answer that begins as none');
    const rest = await this.#inbox.take(CHUNK_BYTES - SIMPLE_REPLY_BYTES);
    const chunk = decodeChunk(Buffer.concat([head, rest]));
    await this.#chunk(pending, chunk);
    if (chunk.flags & CHUNK_FLAG.done) this.#finish(low, pending);
  }

  async #simple(cookie: number, pending: Pending, error: number): Promise<void> {
    const { command, into } = pending.request;
    pending.error = error;
    if (into && error === 0) {
      if (this.info.structured)
        throw this.#broken('a simple answer to a read, where structured ones were agreed');
      await this.#inbox.fill(into);
      pending.got = into.length;
    }
    if (command === COMMAND.blockStatus && error === 0) throw this.#broken('block status without any');
    this.#finish(cookie, pending);
  }

  async #chunk(pending: Pending, { type, length }: Chunk): Promise<void> {
    if (type === CHUNK.offsetData) return this.#data(pending, length);
    if (length > CHUNK_BYTES_MAX) throw this.#broken(`a chunk of ${length} bytes`);
    const body = await this.#inbox.take(length);
    if (type === CHUNK.none) return;
    if (type === CHUNK.offsetHole) return this.#hole(pending, body);
    if (type === CHUNK.blockStatus) return this.#status(pending, body);
    if (!(type & 0x8000) || length < 6) throw this.#broken(`a chunk of type ${type} and ${length} bytes`);
    pending.error ||= body.readUInt32BE(0) || ERROR.EIO;
  }

  async #data(pending: Pending, length: number): Promise<void> {
    if (length < 9) throw this.#broken('data without bytes');
    const at = readOffset(await this.#inbox.take(8), 0);
    await this.#inbox.fill(this.#place(pending, at, length - 8));
  }

  #hole(pending: Pending, body: Buffer): void {
    if (body.length !== 12) throw this.#broken(`a hole told in ${body.length} bytes`);
    this.#place(pending, readOffset(body, 0), body.readUInt32BE(8)).fill(0);
  }

  /** Where bytes of the disk at `at` belong. */
  #place(pending: Pending, at: number, length: number): Uint8Array {
    const { into, offset } = pending.request;
    const from = at - offset;
    if (!into || from < 0 || from + length > into.length || pending.got + length > into.length) {
      throw this.#broken('data that was not asked for');
    }
    pending.got += length;
    return into.subarray(from, from + length);
  }

  #status(pending: Pending, body: Buffer): void {
    const isAsked = pending.request.command === COMMAND.blockStatus && pending.status.length === 0;
    if (!isAsked || body.length < 12 || body.length % 8 !== 4)
      throw this.#broken('block status as it cannot be');
    if (body.readUInt32BE(0) !== this.info.allocationContext)
      throw this.#broken('block status of another context');
    for (let at = 4; at < body.length; at += 8) {
      const run = { length: body.readUInt32BE(at), flags: body.readUInt32BE(at + 4) };
      if (run.length === 0) throw this.#broken('an extent of no bytes');
      pending.status.push(run);
    }
  }

  #finish(cookie: number, pending: Pending): void {
    const { request, got, error, status } = pending;
    if (error === 0 && request.into && got !== request.into.length)
      throw this.#broken('a read answered in part');
    if (error === 0 && request.command === COMMAND.blockStatus && status.length === 0) {
      throw this.#broken('block status without any');
    }
    this.#pending.delete(cookie);
    if (error === 0) pending.resolve(status);
    else pending.reject(this.#failureOf(request, error));
  }

  #failureOf({ command, offset, length }: NbdRequest, error: number): Error {
    const { server } = this;
    if (error === ERROR.ENOSPC) return nbdFaults.noSpace({ server, offset, length });
    const what = Object.entries(COMMAND).find(([, code]) => code === command)![0];
    return nbdFaults.ioFailed({ server, what, offset, length, error });
  }

  #broken(reason: string): Fault {
    return nbdFaults.protocolBroken({ server: this.server, reason });
  }
}

/** The server said that it cannot do this, rather than that it failed. */
export function isNotSupported(error: unknown): boolean {
  const codes: readonly unknown[] = [ERROR.EINVAL, ERROR.EOVERFLOW, ERROR.ENOTSUP];
  return hasCode(error, 'NBD_IO_FAILED') && codes.includes(error.details['error']);
}
