/**
 * Reads files of one server by SFTP: {@link createSftpClient} → `open(path)` → a `RangeReader`.
 *
 *   SftpClient           a few slots for sessions
 *     SftpFile           a RangeReader that outlives its sessions
 *       FileLane         the file opened on one session
 *     SftpSession        looks up, opens, reads
 *       SftpChannel      requests and answers
 *         SshConnection  host key, log-on, encryption (src/ssh)
 *
 * Read-only: nothing of this could ask a server to change anything. What may, for repositories, is `tree.ts`.
 */
import { hasCode, unlessAborted } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { Slot } from '../remote/index.ts';
import { SshServer, type SshOptions } from '../ssh/index.ts';
import { sftpFaults } from './faults.ts';
import { SftpFile } from './file.ts';
import type { Attributes } from './message.ts';
import { SftpSession } from './session.ts';

export interface SftpOptions extends SshOptions {
  /** At most; further ones are made when one read is not enough to keep the first busy. Default 2. */
  readonly connections?: number;
  /** How long a read goes on trying to reach a server that went away. Default 60. */
  readonly reconnectSeconds?: number;
}

/** Nothing is sent before the first call. */
export function createSftpClient(options: SftpOptions): SftpClient {
  return new SftpClient(options);
}

export class SftpClient {
  readonly #host: string;
  readonly #reconnectMs: number;
  readonly #slots: readonly [Slot<SftpSession>, ...Slot<SftpSession>[]];
  readonly #files = new Set<RangeReader>();
  readonly #ending = new AbortController();

  constructor(options: SftpOptions) {
    const { host, connections = 2, reconnectSeconds = 60 } = options;
    const server = new SshServer(options);
    this.#host = host;
    this.#reconnectMs = reconnectSeconds * 1000;
    const slot = (): Slot<SftpSession> => new Slot(() => SftpSession.open(server, this.#ending.signal));
    this.#slots = [slot(), ...Array.from({ length: connections - 1 }, slot)];
  }

  /**
   * Opens a file for reading; `path` is absolute, as SFTP writes it (`/C:/VMs/a.vhdx`). Throws the faults of a log-on by SSH,
   * `SFTP_NOT_FOUND`, `SFTP_NOT_A_FILE`, `SFTP_ACCESS_DENIED`, `SFTP_SERVER_FAILED`, `SFTP_CLOSED` and what ends a session.
   */
  async open(path: string, { signal }: CallOptions = {}): Promise<RangeReader> {
    signal?.throwIfAborted();
    const opening = this.#using((session) => this.#openIn(session, path));
    return unlessAborted(opening, signal, (late) => late.close());
  }

  /** What `path` is, or undefined when there is nothing. Throws as `open`. */
  async kindOf(path: string): Promise<Attributes['kind'] | undefined> {
    try {
      return (await this.#using((session) => session.stat(path))).kind;
    } catch (error) {
      if (hasCode(error, 'SFTP_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** The names in a folder. Throws as `open`, and `SFTP_FOLDER_TOO_LARGE`. */
  list(path: string): Promise<string[]> {
    return this.#using((session) => session.list(path));
  }

  /** Closes the files that are still open, then the sessions. Idempotent. */
  async close(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(sftpFaults.closed({ host: this.#host }));
    await Promise.all(Array.from(this.#files, (file) => file.close()));
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #using<T>(work: (session: SftpSession) => Promise<T>): Promise<T> {
    this.#ending.signal.throwIfAborted();
    return await this.#slots[0].use(work, ['SSH_CONNECTION_LOST', 'SFTP_TIMED_OUT']);
  }

  async #openIn(session: SftpSession, path: string): Promise<RangeReader> {
    const handle = await session.open(path);
    const options = { slots: this.#slots, reconnectMs: this.#reconnectMs };
    const file = new SftpFile({ host: this.#host, path }, handle, options);
    this.#files.add(file);
    return { size: file.size, read: file.read.bind(file), close: () => this.#closeFile(file) };
  }

  #closeFile(file: RangeReader): Promise<void> {
    this.#files.delete(file);
    return file.close();
  }
}
