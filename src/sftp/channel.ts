/**
 * Requests and answers over one SFTP channel: requests go out as they come, answers come back in any order and find their
 * request by its id.
 *
 * Nothing an answer claims is trusted before it is checked. Whatever is wrong ends the channel, with the same fault for every
 * request under way. Only so many reads are under way at a time, and their data goes straight to where it was wanted, so
 * memory does not grow with what is asked for.
 */
import type { Duplex } from 'node:stream';
import { isFault, type Fault } from '../base/index.ts';
import { sshFaults } from '../ssh/index.ts';
import { AnswerStream, type AnswerSink } from './answer-stream.ts';
import { sftpFaults } from './faults.ts';
import { ANSWER, VERSION, type RequestName } from './format.ts';
import { Malformed, readExtensions, writeInit, writeRead } from './message.ts';
import { Turns } from './turns.ts';

export interface Answer {
  readonly type: number;
  readonly body: Buffer;
}

interface Pending {
  readonly command: RequestName;
  /** Where the data of a read goes; absent once it is no longer wanted. */
  into: Uint8Array | undefined;
  readonly bytesMax: number;
  readonly resolve: (answer: Answer | number) => void;
  readonly reject: (error: unknown) => void;
}

/** 64 reads of 64 KiB each: 40 MB/s over a path of 100 ms. The window of the channel, 2 MiB, may allow less. */
const READS_AT_ONCE = 64;

export class SftpChannel implements AnswerSink {
  readonly #host: string;
  readonly #channel: Duplex;
  readonly #stream = new AnswerStream(this);
  readonly #turns = new Turns(READS_AT_ONCE);
  /** In the order of asking. */
  readonly #pending = new Map<number, Pending>();
  readonly #onFailure: (fault: Fault) => void;
  readonly #answerTimeoutMs: number;
  readonly #watch: NodeJS.Timeout;
  #nextId = 0;
  #outbox: Buffer[] = [];
  #failure: Fault | undefined;
  /** Bytes that came for the request that has waited longest, and since when there are no more. */
  #front = { id: -1, arrived: 0, sinceMs: 0 };
  #arrived = 0;
  readonly #version = Promise.withResolvers<void>();
  #extensions: readonly string[] = [];

  /** `onFailure` is called once, however the channel ends. */
  constructor(
    channel: Duplex,
    options: { host: string; answerTimeoutMs: number; onFailure: (fault: Fault) => void },
  ) {
    this.#host = options.host;
    this.#channel = channel;
    this.#onFailure = options.onFailure;
    this.#answerTimeoutMs = options.answerTimeoutMs;
    this.#watch = setInterval(() => this.#expireFront(), Math.min(1000, options.answerTimeoutMs / 4)).unref();
    this.#version.promise.catch(() => undefined);
    channel.on('data', (bytes: Buffer) => this.#push(bytes));
    channel.on('error', (error: Error) => this.fail(this.#lost(error.message, error)));
    channel.on('close', () => this.fail(this.#lost('its SFTP server ended')));
  }

  get usable(): boolean {
    return this.#failure === undefined;
  }

  /** Does the server know the request `name`, which the standard does not? */
  knows(name: string): boolean {
    return this.#extensions.includes(name);
  }

  /** Agrees on the version. Throws `SFTP_PROTOCOL_BROKEN`, `SSH_CONNECTION_LOST`, `SFTP_TIMED_OUT`. */
  async start(): Promise<void> {
    const timer = setTimeout(() => this.#expire('INIT'), this.#answerTimeoutMs);
    try {
      this.#channel.write(writeInit());
      await this.#version.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Any answer, whatever it says. `write` gets the id. Throws as `start`, and the signal's reason. */
  request(command: RequestName, write: (id: number) => Buffer, signal?: AbortSignal): Promise<Answer> {
    return this.#ask(command, write, undefined, signal) as Promise<Answer>;
  }

  /** How many bytes came into `into`, or the answer that says why there are none. Throws as `request`. */
  async read(
    handle: Uint8Array,
    offset: number,
    into: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Answer | number> {
    await this.#turns.take(signal);
    return this.#ask('READ', (id) => writeRead(id, handle, offset, into.length), into, signal);
  }

  /** Ends the channel; everything under way fails with `fault`. */
  fail(fault: Fault): void {
    if (this.#failure) return;
    this.#failure = fault;
    clearInterval(this.#watch);
    this.#channel.destroy();
    for (const { reject } of this.#pending.values()) reject(fault);
    this.#pending.clear();
    this.#turns.fail(fault);
    this.#version.reject(fault);
    this.#onFailure(fault);
  }

  /** What a damaged answer is to the user; it ends the channel, for the rest of the stream is not to be trusted either. */
  broken(error: unknown): Fault {
    const reason = error instanceof Error ? error.message : String(error);
    const fault = isFault(error)
      ? error
      : sftpFaults.protocolBroken({ host: this.#host, reason }, { cause: error });
    this.fail(fault);
    return fault;
  }

  dataBegins(id: number, length: number): void {
    const { command, bytesMax } = this.#pendingFor(id);
    if (command !== 'READ') throw new Malformed(`data for ${command}`);
    if (length === 0 || length > bytesMax)
      throw new Malformed(`${length} bytes where ${bytesMax} were asked for`);
  }

  data(id: number, bytes: Uint8Array, at: number): void {
    this.#arrived += bytes.length;
    this.#pendingFor(id).into?.set(bytes, at);
  }

  dataEnds(id: number, length: number): void {
    this.#settle(id).resolve(length);
  }

  answer(type: number, id: number, body: Buffer): void {
    if (type !== ANSWER.VERSION) return this.#settle(id).resolve({ type, body });
    // The version stands where other answers have their id.
    if (id < VERSION) throw new Malformed(`version ${id}`);
    this.#extensions = readExtensions(body);
    this.#version.resolve();
  }

  #ask(
    command: RequestName,
    write: (id: number) => Buffer,
    into: Uint8Array | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Answer | number> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const id = this.#nextId;
      this.#nextId = (id + 1) % 2 ** 32;
      const onAbort = (): void => {
        // The answer still comes; from now on nobody wants it, and the buffer belongs to the caller again.
        pending.into = undefined;
        reject(signal!.reason);
      };
      const settled =
        <T>(outcome: (value: T) => void) =>
        (value: T): void => {
          signal?.removeEventListener('abort', onAbort);
          outcome(value);
        };
      const bytesMax = into?.length ?? 0;
      const pending: Pending = {
        command,
        into,
        bytesMax,
        resolve: settled(resolve),
        reject: settled(reject),
      };
      this.#pending.set(id, pending);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#send(write(id));
    });
  }

  /**
   * What is asked in one turn of the event loop travels as one message of SSH. Not at the next tick: each chunk of data would
   * then send its one request, and those writes took half of the time of a large read.
   */
  #send(message: Buffer): void {
    this.#outbox.push(message);
    if (this.#outbox.length > 1) return;
    setImmediate(() => {
      const messages = this.#outbox;
      this.#outbox = [];
      if (!this.#failure) this.#channel.write(Buffer.concat(messages));
    });
  }

  #push(bytes: Buffer): void {
    if (this.#failure) return;
    try {
      this.#stream.push(bytes);
    } catch (error) {
      this.broken(error);
    }
  }

  #pendingFor(id: number): Pending {
    const pending = this.#pending.get(id);
    if (!pending) throw new Malformed(`an answer to request ${id}, which nobody asked`);
    return pending;
  }

  #settle(id: number): Pending {
    const pending = this.#pendingFor(id);
    this.#pending.delete(id);
    if (pending.command === 'READ') this.#turns.give();
    return pending;
  }

  /** A slow link is no hang: the request that waits longest has failed when nothing at all came meanwhile. */
  #expireFront(): void {
    const [first] = this.#pending;
    if (!first) return;
    const [id, { command }] = first;
    const nowMs = performance.now();
    if (this.#front.id !== id || (this.#front.arrived !== this.#arrived && command === 'READ')) {
      this.#front = { id, arrived: this.#arrived, sinceMs: nowMs };
    } else if (nowMs - this.#front.sinceMs > this.#answerTimeoutMs) this.#expire(command);
  }

  #expire(command: string): void {
    this.fail(sftpFaults.timedOut({ host: this.#host, command, seconds: this.#answerTimeoutMs / 1000 }));
  }

  #lost(reason: string, cause?: unknown): Fault {
    return sshFaults.connectionLost({ host: this.#host, reason }, { cause });
  }
}
