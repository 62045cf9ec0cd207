/**
 * A folder of a server that may be changed: the place of a repository. Apart from the client that reads the files of hosts,
 * which has no code that could change anything.
 */
import { hasCode, type Fault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { Slot } from '../remote/index.ts';
import { SshServer } from '../ssh/index.ts';
import type { SftpOptions } from './client.ts';
import { sftpFaults } from './faults.ts';
import type { Attributes, Entry } from './message.ts';
import { TreeSession } from './tree-session.ts';

/** A connection that broke while nothing was under way is made anew, once, without anybody hearing of it. */
const BREAKS = ['SSH_CONNECTION_LOST', 'SFTP_TIMED_OUT'];

export class SftpTree {
  readonly #host: string;
  readonly #slot: Slot<TreeSession>;
  readonly #ending = new AbortController();

  /** Nothing is sent before the first call. */
  constructor(options: Omit<SftpOptions, 'connections' | 'reconnectSeconds'>) {
    const server = new SshServer(options);
    this.#host = options.host;
    this.#slot = new Slot(() => TreeSession.open(server, this.#ending.signal));
  }

  /** What `path` itself is, no link followed; undefined when there is nothing. */
  async stat(path: string, { signal }: CallOptions = {}): Promise<Attributes | undefined> {
    return await absent(this.#using((session) => session.stat(path, signal)));
  }

  /** Undefined when there is no such folder. Throws `SFTP_FOLDER_TOO_LARGE`. */
  async entries(path: string, { signal }: CallOptions = {}): Promise<Entry[] | undefined> {
    return await absent(this.#using((session) => session.entries(path, signal)));
  }

  /** As much of `[offset, offset + length)` as the file has. `SFTP_NOT_FOUND`. */
  read(path: string, offset: number, length: number, { signal }: CallOptions = {}): Promise<Uint8Array> {
    return this.#using((session) => session.read(path, offset, length, signal));
  }

  /** Makes a file that was not there, and returns when its bytes are on the server's disk, if the server can tell. */
  writeNew(path: string, body: Uint8Array, { signal }: CallOptions = {}): Promise<void> {
    // Never twice by itself: the second would find the file of the first.
    return this.#using((session) => session.writeNew(path, body, signal), []);
  }

  /**
   * Gives a file another name unless that is taken; says whether it did. Of OpenSSH's two requests the plain one: it makes a
   * link, which the kernel refuses where the name exists; the other (posix-rename) replaces.
   */
  async rename(from: string, to: string, { signal }: CallOptions = {}): Promise<boolean> {
    try {
      await this.#using((session) => session.rename(from, to, signal), []);
      return true;
    } catch (error) {
      if (hasCode(error, 'SFTP_SERVER_FAILED') && (await this.stat(to, { signal }))) return false;
      throw error;
    }
  }

  /** Removing what is not there is success. */
  async remove(path: string, { signal }: CallOptions = {}): Promise<void> {
    await absent(this.#using((session) => session.remove(path, signal)));
  }

  /** Fails unless it is empty; removing what is not there is success. */
  async removeFolder(path: string, { signal }: CallOptions = {}): Promise<void> {
    await absent(this.#using((session) => session.removeFolder(path, signal)));
  }

  /** One folder; one that exists is success. */
  async makeFolder(path: string, { signal }: CallOptions = {}): Promise<void> {
    try {
      await this.#using((session) => session.makeFolder(path, signal));
    } catch (error) {
      if (!hasCode(error, 'SFTP_SERVER_FAILED') || (await this.stat(path, { signal }))?.kind !== 'folder')
        throw error;
    }
  }

  /** Whether the server makes bytes durable when asked to. */
  syncs(): Promise<boolean> {
    return this.#using(async (session) => session.syncs);
  }

  async close(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(sftpFaults.closed({ host: this.#host }) satisfies Fault);
    await this.#slot.close();
  }

  async #using<T>(work: (session: TreeSession) => Promise<T>, breaks = BREAKS): Promise<T> {
    this.#ending.signal.throwIfAborted();
    return await this.#slot.use(work, breaks);
  }
}

async function absent<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (hasCode(error, 'SFTP_NOT_FOUND')) return undefined;
    throw error;
  }
}
