/**
 * Answers cut out of the stream of a channel. The data of a read goes straight to where it is wanted, piece by piece as it
 * arrives: no answer is ever put together in memory, however large the reads are.
 */
import { ANSWER, ANSWER_BYTES_MAX } from './format.ts';
import { Malformed } from './message.ts';

export interface AnswerSink {
  /** `length` bytes of data begin for request `id`. Throws what is wrong with that. */
  dataBegins(id: number, length: number): void;
  /** Some of them; `at`: how many came before. `bytes` are the stream's and change afterwards. */
  data(id: number, bytes: Uint8Array, at: number): void;
  dataEnds(id: number, length: number): void;
  /** Any other answer. `body` is the receiver's. */
  answer(type: number, id: number, body: Buffer): void;
}

/** Length, type, id; and for data, its own length. */
const HEAD_BYTES = 9;
const DATA_HEAD_BYTES = 13;

interface Current {
  readonly id: number;
  readonly type: number;
  readonly length: number;
  /** Absent for data. */
  readonly body: Buffer | undefined;
  got: number;
}

export class AnswerStream {
  readonly #sink: AnswerSink;
  readonly #head = Buffer.alloc(DATA_HEAD_BYTES);
  #headFilled = 0;
  /** The answer that has begun, with what is still to come of it. */
  #current: Current | undefined;

  constructor(sink: AnswerSink) {
    this.#sink = sink;
  }

  /** Throws `Malformed`, after which the rest of the stream means nothing. */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      at += this.#current ? this.#fill(chunk, at) : this.#fillHead(chunk, at);
    }
  }

  #fillHead(chunk: Uint8Array, at: number): number {
    const wanted = this.#headFilled < HEAD_BYTES ? HEAD_BYTES : DATA_HEAD_BYTES;
    const taken = Math.min(wanted - this.#headFilled, chunk.length - at);
    this.#head.set(chunk.subarray(at, at + taken), this.#headFilled);
    this.#headFilled += taken;
    if (this.#headFilled >= HEAD_BYTES) this.#begin();
    return taken;
  }

  #begin(): void {
    const bytes = this.#head.readUInt32BE(0);
    const type = this.#head[4]!;
    const id = this.#head.readUInt32BE(5);
    if (bytes < 5 || bytes > ANSWER_BYTES_MAX) throw new Malformed(`an answer of ${bytes} bytes`);
    if (type === ANSWER.DATA && this.#headFilled < DATA_HEAD_BYTES) {
      if (bytes < DATA_HEAD_BYTES - 4) throw new Malformed('data without a length');
      return;
    }
    this.#headFilled = 0;
    if (type === ANSWER.DATA) this.#beginData(bytes, id);
    else this.#expect({ id, type, length: bytes - 5, body: Buffer.alloc(bytes - 5), got: 0 });
  }

  #beginData(bytes: number, id: number): void {
    const length = this.#head.readUInt32BE(HEAD_BYTES);
    if (length !== bytes - HEAD_BYTES) throw new Malformed('data of another length than its message');
    this.#sink.dataBegins(id, length);
    this.#expect({ id, type: ANSWER.DATA, length, body: undefined, got: 0 });
  }

  #expect(answer: Current): void {
    this.#current = answer;
    if (answer.length === 0) this.#end(answer);
  }

  #fill(chunk: Uint8Array, at: number): number {
    const current = this.#current!;
    const bytes = chunk.subarray(at, at + current.length - current.got);
    if (current.body) current.body.set(bytes, current.got);
    else this.#sink.data(current.id, bytes, current.got);
    current.got += bytes.length;
    if (current.got === current.length) this.#end(current);
    return bytes.length;
  }

  #end({ id, type, length, body }: Current): void {
    this.#current = undefined;
    if (body) this.#sink.answer(type, id, body);
    else this.#sink.dataEnds(id, length);
  }
}
