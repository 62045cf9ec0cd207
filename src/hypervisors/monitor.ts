/**
 * The monitor of a QEMU that runs by itself: QMP over a unix socket, one JSON document a line.
 *
 *   connect ─► greeting ─► qmp_capabilities ─► commands … ─► end
 *
 * QEMU speaks with one client at a time; another is connected at once and greeted when the first is gone, so a connection is
 * kept no longer than for a few commands. Events come in between, and are not waited for.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { withTimeout, unlessAborted } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';

/** A guest that holds QEMU's big lock, such as one whose disk hangs, answers late. */
const ANSWER_MS = 15_000;

export interface Monitor {
  /** What it returns. Throws the error that QEMU tells, and when the connection ends. */
  execute(command: string, options?: Readonly<Record<string, unknown>>): Promise<unknown>;
}

/** Undefined when nobody listens there, on `name` in `folder`: no QEMU runs. Rejects when it does not answer in time. */
export async function withMonitor<T>(
  folder: string,
  name: string,
  use: (monitor: Monitor) => Promise<T>,
  { signal }: CallOptions = {},
): Promise<{ readonly result: T } | undefined> {
  using limit = withTimeout(ANSWER_MS, 'the monitor of QEMU', signal);
  const socket = await connected(folder, name, limit.signal);
  if (!socket) return undefined;
  try {
    const monitor = new QmpMonitor(socket);
    return { result: await unlessAborted(greeted(monitor, use), limit.signal) };
  } finally {
    socket.destroy();
  }
}

async function greeted<T>(monitor: QmpMonitor, use: (monitor: Monitor) => Promise<T>): Promise<T> {
  await monitor.execute('qmp_capabilities');
  return use(monitor);
}

async function connected(folder: string, name: string, signal: AbortSignal): Promise<Socket | undefined> {
  try {
    // By the open folder: whole, the path may be longer than the 107 bytes that the name of a socket has.
    await using opened = await open(folder, constants.O_DIRECTORY);
    return await dialled(`/proc/self/fd/${opened.fd}/${name}`, signal);
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

async function dialled(path: string, signal: AbortSignal): Promise<Socket> {
  const socket = createConnection(path);
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

interface Answer {
  readonly id?: unknown;
  readonly return?: unknown;
  readonly error?: { readonly desc?: string };
}

class QmpMonitor implements Monitor {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #commands = 0;
  #ended: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    const end = (error?: Error): void => this.#end(error ?? new Error('QEMU ended the connection'));
    socket.on('error', end).on('close', () => end());
    createInterface({ input: socket })
      .on('line', (line) => this.#take(line))
      .on('error', end);
  }

  execute(execute: string, options?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = (this.#commands += 1);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.#socket.write(`${JSON.stringify({ execute, id, ...(options ? { arguments: options } : {}) })}\n`);
    return promise;
  }

  #take(line: string): void {
    const answer = parsed(line);
    const waiting = this.#waiting.get(Number(answer?.id));
    if (!answer || !waiting) return;
    this.#waiting.delete(Number(answer.id));
    if (answer.error) waiting.reject(new Error(answer.error.desc ?? 'QEMU refused it'));
    else waiting.resolve(answer.return);
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
    this.#waiting.clear();
  }
}

/** The greeting and events have no id; what is no JSON is of no use either. */
function parsed(line: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
