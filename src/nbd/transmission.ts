/**
 * The server's part after an export is open: requests in, answers out in whatever order they are ready.
 *
 * A connection has a bounded number of requests and of bytes under way; the next request is read only when there is room, so a
 * client that asks and does not listen costs no more memory than one that does.
 */
import { hasCode, isZero } from '../base/index.ts';
import { clip, type Extent } from '../extents/index.ts';
import {
  ALLOCATION_FLAG,
  CHUNK,
  CHUNK_FLAG,
  COMMAND,
  COMMAND_FLAG,
  decodeRequest,
  DEFAULT_PAYLOAD_BYTES_MAX,
  encodeChunk,
  encodeSimpleReply,
  ERROR,
  REQUEST_BYTES,
  writeOffset,
  type Cookie,
  type Request,
} from './format.ts';
import { ALLOCATION_CONTEXT_ID, type Opened } from './option-session.ts';
import { HEADROOM, type ReplyBuffers } from './reply-buffers.ts';
import type { Wire } from './wire.ts';

const REQUESTS_AT_ONCE = 64;
const BYTES_AT_ONCE = 2 * DEFAULT_PAYLOAD_BYTES_MAX;
/** Reads are answered in chunks of this size, each sent as soon as it is there. */
const READ_CHUNK_BYTES = 1024 * 1024;
/** Extents in one answer; the client asks again for what comes after. */
const STATUS_RUNS_MAX = 2048;
/** A hole in the answer to a small read saves nothing. */
const HOLE_BYTES_MIN = 4096;

export interface TransmissionEvents {
  /** A request failed on our side; the client gets a number only. */
  failed(error: unknown, request: Request): void;
}

class RequestError extends Error {
  readonly number: number;

  constructor(number: number, text: string) {
    super(text);
    this.number = number;
  }
}

export class Transmission {
  readonly #wire: Wire;
  readonly #opened: Opened;
  readonly #events: TransmissionEvents;
  readonly #buffers: ReplyBuffers;
  readonly #running = new Set<Promise<void>>();
  #bytes = 0;

  constructor(wire: Wire, opened: Opened, buffers: ReplyBuffers, events: TransmissionEvents) {
    this.#wire = wire;
    this.#buffers = buffers;
    this.#opened = opened;
    this.#events = events;
  }

  /** Until the client leaves. Throws what makes no sense; what is under way ends first. */
  async run(): Promise<void> {
    try {
      for (;;) {
        if (this.#isFull) await this.#room();
        const { inbox } = this.#wire;
        const request = decodeRequest(inbox.takeReady(REQUEST_BYTES) ?? (await inbox.take(REQUEST_BYTES)));
        if (!request) throw new Error('a request that does not begin as one');
        if (request.command === COMMAND.disconnect) return;
        this.#start(request, request.command === COMMAND.write ? await this.#payloadOf(request) : undefined);
      }
    } finally {
      await Promise.all(this.#running);
    }
  }

  get #isFull(): boolean {
    return this.#wire.isFull || this.#isBusy;
  }

  get #isBusy(): boolean {
    return this.#running.size >= REQUESTS_AT_ONCE || this.#bytes > BYTES_AT_ONCE;
  }

  async #room(): Promise<void> {
    await this.#wire.room();
    while (this.#isBusy) await Promise.race(this.#running);
  }

  async #payloadOf({ length }: Request): Promise<Buffer> {
    if (length > DEFAULT_PAYLOAD_BYTES_MAX) throw new Error(`a write of ${length} bytes`);
    return this.#wire.inbox.take(length);
  }

  #start(request: Request, payload: Buffer | undefined): void {
    const holds =
      request.command === COMMAND.read || payload ? Math.min(request.length, DEFAULT_PAYLOAD_BYTES_MAX) : 0;
    this.#bytes += holds;
    const running: Promise<void> = this.#answer(request, payload).finally(() => {
      this.#bytes -= holds;
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  async #answer(request: Request, payload: Buffer | undefined): Promise<void> {
    try {
      await this.#carryOut(request, payload);
    } catch (error) {
      if (!(error instanceof RequestError)) this.#events.failed(error, request);
      this.#sendError(
        request.cookie,
        numberOf(error),
        error instanceof RequestError ? error.message : 'see the server',
      );
    }
  }

  async #carryOut(request: Request, payload: Buffer | undefined): Promise<void> {
    const { command, cookie, offset, length } = request;
    if (command === COMMAND.read) return this.#read(request);
    if (command === COMMAND.blockStatus) return this.#status(request);
    const { writer } = this.#opened.served;
    if (!writer) throw new RequestError(ERROR.EPERM, 'the export is read-only');
    if (command !== COMMAND.flush) this.#check(request, ERROR.ENOSPC);
    if (command === COMMAND.write) await writer.write(offset, payload!);
    else if (command === COMMAND.writeZeroes || command === COMMAND.trim) await writer.zero(offset, length);
    else if (command !== COMMAND.flush) throw new RequestError(ERROR.EINVAL, 'unknown command');
    if (command === COMMAND.flush || request.flags & COMMAND_FLAG.fua) await writer.flush();
    this.#wire.send(this.#opened.structured ? done(cookie) : encodeSimpleReply(cookie, 0));
  }

  /** `outside`: the error for what lies beyond the end, which differs for reads and writes. */
  #check({ offset, length, command }: Request, outside: number): void {
    if (length === 0) throw new RequestError(ERROR.EINVAL, 'a length of nothing');
    if (command === COMMAND.read && length > DEFAULT_PAYLOAD_BYTES_MAX) {
      throw new RequestError(ERROR.EOVERFLOW, 'larger than one message may be');
    }
    if (offset + length > this.#opened.served.disk.size) throw new RequestError(outside, 'beyond the end');
  }

  async #read(request: Request): Promise<void> {
    this.#check(request, ERROR.EINVAL);
    const { cookie, offset, length, flags } = request;
    const isWhole = !this.#opened.structured || flags & COMMAND_FLAG.df;
    const step = isWhole ? length : READ_CHUNK_BYTES;
    for (let at = 0; at < length && this.#wire.isOpen; at += step) {
      await this.#readPart(cookie, offset + at, Math.min(step, length - at), at + step >= length);
      if (this.#wire.isFull) await this.#wire.room();
    }
  }

  async #readPart(cookie: Cookie, at: number, length: number, isLast: boolean): Promise<void> {
    const buffer = this.#buffers.take(length);
    const bytes = buffer.subarray(HEADROOM, HEADROOM + length);
    try {
      await this.#opened.served.disk.read(at, bytes);
    } catch (error) {
      this.#buffers.give(buffer);
      throw error;
    }
    const answer = this.#opened.structured
      ? partOf(buffer, bytes, { cookie, at, flags: isLast ? CHUNK_FLAG.done : 0 })
      : withHead(buffer, encodeSimpleReply(cookie, 0), length);
    this.#wire.sendOwned(answer, () => this.#buffers.give(buffer));
  }

  async #status(request: Request): Promise<void> {
    if (!this.#opened.status) throw new RequestError(ERROR.EINVAL, 'no context was agreed');
    this.#check(request, ERROR.EINVAL);
    const { cookie, flags } = request;
    const runs = await this.#runs(request, flags & COMMAND_FLAG.reqOne ? 1 : STATUS_RUNS_MAX);
    const length = 4 + 8 * runs.length;
    const bytes = encodeChunk(cookie, { flags: CHUNK_FLAG.done, type: CHUNK.blockStatus, length }, length);
    bytes.writeUInt32BE(ALLOCATION_CONTEXT_ID, 20);
    runs.forEach(({ length: runLength, isHole }, index) => {
      bytes.writeUInt32BE(runLength, 24 + 8 * index);
      bytes.writeUInt32BE(isHole ? ALLOCATION_FLAG.hole | ALLOCATION_FLAG.readsAsZero : 0, 28 + 8 * index);
    });
    this.#wire.send(bytes);
  }

  /** Data and holes in turn, from the beginning of what was asked for. */
  async #runs(within: Extent, most: number): Promise<{ length: number; isHole: boolean }[]> {
    const runs: { length: number; isHole: boolean }[] = [];
    const end = within.offset + within.length;
    let at = within.offset;
    const add = (to: number, isHole: boolean): void => {
      const last = runs.at(-1);
      if (last?.isHole === isHole) runs[runs.length - 1] = { length: last.length + to - at, isHole };
      else if (to > at) runs.push({ length: to - at, isHole });
      at = to;
    };
    for await (const data of this.#opened.served.disk.allocated({ offset: at, length: within.length })) {
      const [clipped] = clip([data], end);
      if (!clipped) continue;
      if (clipped.offset > at) add(clipped.offset, true);
      add(clipped.offset + clipped.length, false);
      if (runs.length > most) break;
    }
    if (runs.length <= most) add(end, true);
    return runs.slice(0, most);
  }

  #sendError(cookie: Cookie, error: number, text: string): void {
    if (!this.#opened.structured) return this.#wire.send(encodeSimpleReply(cookie, error));
    const words = Buffer.from(text, 'utf8');
    const length = 6 + words.length;
    const bytes = encodeChunk(cookie, { flags: CHUNK_FLAG.done, type: CHUNK.error, length }, length);
    bytes.writeUInt32BE(error, 20);
    bytes.writeUInt16BE(words.length, 24);
    words.copy(bytes, 26);
    this.#wire.send(bytes);
  }
}

/** A chunk of an answer to a read, in the buffer that `bytes` were read into. */
function partOf(
  buffer: Buffer,
  bytes: Buffer,
  { cookie, at, flags }: { cookie: Cookie; at: number; flags: number },
): Buffer {
  const { length } = bytes;
  if (length >= HOLE_BYTES_MIN && isZero(bytes)) {
    const hole = encodeChunk(cookie, { flags, type: CHUNK.offsetHole, length: 12 }, 12);
    writeOffset(hole, 20, at);
    hole.writeUInt32BE(length, 28);
    return hole;
  }
  const head = encodeChunk(cookie, { flags, type: CHUNK.offsetData, length: 8 + length }, 8);
  writeOffset(head, 20, at);
  return withHead(buffer, head, length);
}

/** The head right in front of what was read: one message, written at once. */
function withHead(buffer: Buffer, head: Buffer, length: number): Buffer {
  head.copy(buffer, HEADROOM - head.length);
  return buffer.subarray(HEADROOM - head.length, HEADROOM + length);
}

function done(cookie: Cookie): Buffer {
  return encodeChunk(cookie, { flags: CHUNK_FLAG.done, type: CHUNK.none, length: 0 });
}

function numberOf(error: unknown): number {
  if (error instanceof RequestError) return error.number;
  return hasCode(error, 'DISK_NO_SPACE', 'NBD_NO_SPACE') ? ERROR.ENOSPC : ERROR.EIO;
}
