/** One SSH connection with SFTP on it: looks files up, opens and reads them. Nothing here could change a file. */
import { createHash } from 'node:crypto';
import { KiB } from '../base/index.ts';
import { diskFaults } from '../disk/index.ts';
import type { SshConnection, SshServer } from '../ssh/index.ts';
import type { SftpChannel } from './channel.ts';
import { sftpFaults } from './faults.ts';
import { ANSWER, STATUS } from './format.ts';
import {
  Malformed,
  readAttributes,
  readEntries,
  readHandle,
  writeOf,
  writeOpen,
  type Attributes,
} from './message.ts';
import { openChannel, type OpenChannel } from './open-channel.ts';
import { SftpRequests } from './requests.ts';

/** An open file of one session. */
export interface FileHandle {
  readonly session: SftpSession;
  readonly handle: Uint8Array;
  readonly path: string;
  readonly identity: FileIdentity;
}

/**
 * What tells a file from another of the same name. SFTP says neither the number of a file nor fractions of a second, so the
 * beginning counts too: a VHDX has identifiers there that change whenever it is opened for writing.
 */
export interface FileIdentity {
  readonly size: number;
  readonly modified: number;
  /** Digest of the first {@link BEGINNING_BYTES}. */
  readonly beginning: string;
}

/** One request each: the least any OpenSSH answers in full; that of Windows 2019 and 2022 gives no more. */
export const PIECE_BYTES = 64 * KiB;
const BEGINNING_BYTES = 4 * PIECE_BYTES;
/** A folder of a host holds thousands of files at most; the rest is somebody who means harm. */
const ENTRIES_MAX = 100_000;

export class SftpSession {
  readonly #host: string;
  readonly #connection: SshConnection;
  readonly #channel: SftpChannel;
  readonly #requests: SftpRequests;

  private constructor(server: SshServer, { connection, channel }: OpenChannel) {
    this.#host = server.target.host;
    this.#connection = connection;
    this.#channel = channel;
    this.#requests = new SftpRequests(server.target, channel);
  }

  /** Throws the faults of a log-on by SSH, `SSH_SUBSYSTEM_REFUSED`, `SFTP_TIMED_OUT`, `SFTP_PROTOCOL_BROKEN`. */
  static async open(server: SshServer, signal: AbortSignal): Promise<SftpSession> {
    return new SftpSession(server, await openChannel(server, signal));
  }

  get usable(): boolean {
    return this.#connection.usable && this.#channel.usable;
  }

  /** Throws `SFTP_NOT_FOUND`, `SFTP_ACCESS_DENIED`, `SFTP_SERVER_FAILED` and what ends a session. */
  async stat(path: string, signal?: AbortSignal): Promise<Attributes> {
    const body = await this.#requests.demand(
      'STAT',
      path,
      ANSWER.ATTRS,
      (id) => writeOf('STAT', id, path),
      signal,
    );
    return this.#requests.parse(() => readAttributes(body));
  }

  /** The names in a folder. Throws as `stat`, and `SFTP_FOLDER_TOO_LARGE`. */
  async list(path: string): Promise<string[]> {
    const body = await this.#requests.demand('OPENDIR', path, ANSWER.HANDLE, (id) =>
      writeOf('OPENDIR', id, path),
    );
    const handle = this.#requests.parse(() => readHandle(body));
    const names: string[] = [];
    try {
      for (let part = await this.#names(path, handle); part; part = await this.#names(path, handle)) {
        names.push(...part);
        if (names.length > ENTRIES_MAX) {
          throw sftpFaults.folderTooLarge({ host: this.#host, path, most: ENTRIES_MAX });
        }
      }
    } finally {
      this.#discard(handle);
    }
    return names;
  }

  /**
   * Looks before it opens: the opening of a named pipe would hang the server, and a folder can be opened like a file. Throws
   * as `stat`, and `SFTP_NOT_A_FILE`.
   */
  async open(path: string): Promise<FileHandle> {
    this.#demandFile(path, await this.stat(path));
    const body = await this.#requests.demand('OPEN', path, ANSWER.HANDLE, (id) => writeOpen(id, path));
    const handle = this.#requests.parse(() => readHandle(body));
    try {
      return { session: this, handle, path, identity: await this.#identity(handle, path) };
    } catch (error) {
      this.#discard(handle);
      throw error;
    }
  }

  /** At least one byte at `offset` into `into`, at most all; says how many. Throws `DISK_TRUNCATED` when the file ends there. */
  async read(
    { handle, path }: Pick<FileHandle, 'handle' | 'path'>,
    offset: number,
    into: Uint8Array,
    signal?: AbortSignal,
  ): Promise<number> {
    const got = await this.#channel.read(handle, offset, into, signal);
    if (typeof got === 'number') return got;
    const { code, text } = this.#requests.status(got, 'READ');
    if (code === STATUS.EOF) {
      throw diskFaults.truncated({ path: `${this.#host}:${path}`, end: offset, missing: into.length });
    }
    throw this.#requests.statusFault(code, text, 'READ', path);
  }

  /** Does not wait: a handle of a broken session is gone anyway. */
  closeFile({ handle }: FileHandle): void {
    this.#discard(handle);
  }

  /** Breaks what is under way. Idempotent. */
  close(): void {
    this.#connection.close();
  }

  async #identity(handle: Uint8Array, path: string): Promise<FileIdentity> {
    const body = await this.#requests.demand('FSTAT', path, ANSWER.ATTRS, (id) =>
      writeOf('FSTAT', id, handle),
    );
    const attributes = this.#requests.parse(() => readAttributes(body));
    this.#demandFile(path, attributes);
    const { size, modified } = attributes;
    const beginning = Buffer.alloc(Math.min(size, BEGINNING_BYTES));
    // All at once: over a path of 200 ms one after the other would cost each opening most of a second.
    const starts = Array.from(
      { length: Math.ceil(beginning.length / PIECE_BYTES) },
      (_, i) => i * PIECE_BYTES,
    );
    await Promise.all(
      starts.map((at) => this.#readWhole({ handle, path }, at, beginning.subarray(at, at + PIECE_BYTES))),
    );
    return { size, modified, beginning: createHash('sha256').update(beginning).digest('hex') };
  }

  async #readWhole(
    file: Pick<FileHandle, 'handle' | 'path'>,
    offset: number,
    into: Uint8Array,
  ): Promise<void> {
    for (let done = 0; done < into.length;) {
      done += await this.read(file, offset + done, into.subarray(done));
    }
  }

  #demandFile(path: string, { kind, size }: Attributes): void {
    if (kind !== 'file') throw sftpFaults.notAFile({ host: this.#host, path });
    if (size < 0) throw this.#channel.broken(new Malformed('a file without a size'));
  }

  async #names(path: string, handle: Uint8Array): Promise<string[] | undefined> {
    const answer = await this.#channel.request('READDIR', (id) => writeOf('READDIR', id, handle));
    if (answer.type === ANSWER.NAME) {
      const entries = this.#requests.parse(() => readEntries(answer.body));
      if (entries.length > 0) return entries.map(({ name }) => name);
      throw this.#channel.broken(new Malformed('a list of no names'));
    }
    const { code, text } = this.#requests.status(answer, 'READDIR');
    if (code === STATUS.EOF) return undefined;
    throw this.#requests.statusFault(code, text, 'READDIR', path);
  }

  #discard(handle: Uint8Array): void {
    this.#channel.request('CLOSE', (id) => writeOf('CLOSE', id, handle)).catch(() => undefined);
  }
}
