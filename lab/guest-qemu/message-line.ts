/**
 * Orders as JSON, one a line, each with its answer: what both QEMU's monitor (QMP) and the agent in a guest (qemu-guest-agent) speak.
 *
 *   {"execute": …, "id": 7}  ──►
 *                            ◄──  {"return": …, "id": 7} or {"error": …, "id": 7}
 *                            ◄──  {"event": …} at any time, from the monitor
 *
 * An answer that comes too late is nobody's: the next order is not taken for answered by it.
 */
import type { Duplex } from 'node:stream';
import { createInterface } from 'node:readline';
import { unlessAborted, withTimeout } from '../../src/base/index.ts';

export interface MonitorEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

interface Answer {
  readonly id?: unknown;
  readonly error?: { readonly desc?: string };
}

export class MessageLine {
  readonly #stream: Duplex;
  readonly #waiting = new Map<unknown, { done: () => void; fail: (error: Error) => void }>();
  readonly #onEvent: (event: MonitorEvent) => void;
  #orders = 0;

  constructor(stream: Duplex, onEvent: (event: MonitorEvent) => void = () => {}) {
    this.#stream = stream;
    this.#onEvent = onEvent;
    // Who is on the other end is gone, which its process tells.
    stream.on('error', () => {}).on('close', () => this.#end());
    createInterface(stream)
      .on('error', () => {})
      .on('line', (line) => this.#arrived(line));
  }

  /** Throws when it was refused, when the other end goes, and when no answer came in time. */
  async order(execute: string, limitMs: number): Promise<void> {
    if (!this.#stream.writable) throw new Error(`${execute}: nobody is there`);
    const { promise, resolve: done, reject: fail } = Promise.withResolvers<void>();
    const id = this.#orders++;
    this.#waiting.set(id, { done, fail });
    this.#stream.write(`${JSON.stringify({ execute, id })}\n`);
    using limit = withTimeout(limitMs, execute);
    try {
      await unlessAborted(promise, limit.signal);
    } finally {
      this.#waiting.delete(id);
    }
  }

  #arrived(line: string): void {
    const message = parsed(line);
    if (message?.event !== undefined) return this.#onEvent(message);
    const waiting = this.#waiting.get(message?.id);
    if (message?.error) waiting?.fail(new Error(message.error.desc ?? 'refused'));
    else waiting?.done();
  }

  #end(): void {
    for (const { fail } of this.#waiting.values()) fail(new Error('it ended'));
  }
}

/** A guest may write anything. */
function parsed(line: string): MonitorEvent | (Answer & { event?: never }) | undefined {
  try {
    const message: unknown = JSON.parse(line);
    return typeof message === 'object' && message !== null ? (message as Answer) : undefined;
  } catch {
    return undefined;
  }
}
