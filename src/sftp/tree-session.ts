/** One connection of an {@link SftpTree}. Throws, beyond what is said, what ends a session. */
import { mapOrdered } from '../base/index.ts';
import type { SshServer } from '../ssh/index.ts';
import { sftpFaults } from './faults.ts';
import { ANSWER, FSYNC, OPEN_NEW_FOR_WRITING, STATUS } from './format.ts';
import {
  Malformed,
  readAttributes,
  readEntries,
  readHandle,
  writeExtended,
  writeMakeFolder,
  writeOf,
  writeOpen,
  writeRename,
  writeWrite,
  type Attributes,
  type Entry,
} from './message.ts';
import { openChannel, type OpenChannel } from './open-channel.ts';
import { SftpRequests } from './requests.ts';
import { PIECE_BYTES } from './session.ts';

/** 4 MiB under way: twice the window of the channel, so that it never runs dry. */
const WRITES_AT_ONCE = 64;
/** One read at a time may have so many; the channel bounds those of all. */
const READS_AT_ONCE = 64;
/** A folder of packs has 1/256 of them: 8 PiB of packs would come to this. */
const ENTRIES_MAX = 1_000_000;

export class TreeSession {
  readonly #host: string;
  readonly #open: OpenChannel;
  readonly #requests: SftpRequests;

  private constructor(server: SshServer, open: OpenChannel) {
    this.#host = server.target.host;
    this.#open = open;
    this.#requests = new SftpRequests(server.target, open.channel);
  }

  static async open(server: SshServer, signal: AbortSignal): Promise<TreeSession> {
    return new TreeSession(server, await openChannel(server, signal));
  }

  get usable(): boolean {
    return this.#open.connection.usable && this.#open.channel.usable;
  }

  get syncs(): boolean {
    return this.#open.channel.knows(FSYNC);
  }

  /** No link is followed. */
  async stat(path: string, signal?: AbortSignal): Promise<Attributes> {
    const write = (id: number): Buffer => writeOf('LSTAT', id, path);
    const body = await this.#requests.demand('LSTAT', path, ANSWER.ATTRS, write, signal);
    return this.#requests.parse(() => readAttributes(body));
  }

  async entries(path: string, signal?: AbortSignal): Promise<Entry[]> {
    const handle = await this.#handle('OPENDIR', path, (id) => writeOf('OPENDIR', id, path), signal);
    try {
      const found: Entry[] = [];
      for (let part = await this.#part(path, handle, signal); part;) {
        for (const entry of part) found.push(entry);
        if (found.length > ENTRIES_MAX)
          throw sftpFaults.folderTooLarge({ host: this.#host, path, most: ENTRIES_MAX });
        part = await this.#part(path, handle, signal);
      }
      return found;
    } finally {
      this.#discard(handle);
    }
  }

  async read(path: string, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    const handle = await this.#handle('OPEN', path, (id) => writeOpen(id, path), signal);
    try {
      const bytes = Buffer.allocUnsafeSlow(length);
      let got = 0;
      const filled = mapOrdered(piecesOf(bytes), READS_AT_ONCE, ({ at, piece }) =>
        this.#fill({ handle, path }, offset + at, piece, signal),
      );
      for await (const part of filled) got += part;
      return bytes.subarray(0, got);
    } finally {
      this.#discard(handle);
    }
  }

  async writeNew(path: string, body: Uint8Array, signal?: AbortSignal): Promise<void> {
    const create = (id: number): Buffer => writeOpen(id, path, OPEN_NEW_FOR_WRITING);
    const handle = await this.#handle('OPEN', path, create, signal);
    try {
      const written = mapOrdered(piecesOf(body), WRITES_AT_ONCE, ({ at, piece }) =>
        this.#requests.perform('WRITE', path, (id) => writeWrite(id, handle, at, piece), signal),
      );
      for await (const _ of written);
      const sync = (id: number): Buffer => writeExtended(id, FSYNC, handle);
      if (this.syncs) await this.#requests.perform('EXTENDED', path, sync, signal);
    } catch (error) {
      this.#discard(handle);
      throw error;
    }
    await this.#requests.perform('CLOSE', path, (id) => writeOf('CLOSE', id, handle), signal);
  }

  rename(from: string, to: string, signal?: AbortSignal): Promise<void> {
    return this.#requests.perform('RENAME', from, (id) => writeRename(id, from, to), signal);
  }

  remove(path: string, signal?: AbortSignal): Promise<void> {
    return this.#requests.perform('REMOVE', path, (id) => writeOf('REMOVE', id, path), signal);
  }

  removeFolder(path: string, signal?: AbortSignal): Promise<void> {
    return this.#requests.perform('RMDIR', path, (id) => writeOf('RMDIR', id, path), signal);
  }

  makeFolder(path: string, signal?: AbortSignal): Promise<void> {
    return this.#requests.perform('MKDIR', path, (id) => writeMakeFolder(id, path), signal);
  }

  close(): void {
    this.#open.connection.close();
  }

  async #handle(
    command: 'OPEN' | 'OPENDIR',
    path: string,
    write: (id: number) => Buffer,
    signal?: AbortSignal,
  ): Promise<Buffer> {
    const body = await this.#requests.demand(command, path, ANSWER.HANDLE, write, signal);
    return this.#requests.parse(() => readHandle(body));
  }

  async #part(path: string, handle: Uint8Array, signal?: AbortSignal): Promise<Entry[] | undefined> {
    const write = (id: number): Buffer => writeOf('READDIR', id, handle);
    const answer = await this.#open.channel.request('READDIR', write, signal);
    if (answer.type === ANSWER.NAME) {
      const entries = this.#requests.parse(() => readEntries(answer.body));
      if (entries.length > 0) return entries;
      throw this.#open.channel.broken(new Malformed('a list of no names'));
    }
    const { code, text } = this.#requests.status(answer, 'READDIR');
    if (code === STATUS.EOF) return undefined;
    throw this.#requests.statusFault(code, text, 'READDIR', path);
  }

  /** How many bytes of `into` there are: fewer only at the end of the file. */
  async #fill(
    { handle, path }: { readonly handle: Uint8Array; readonly path: string },
    offset: number,
    into: Uint8Array,
    signal?: AbortSignal,
  ): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const got = await this.#open.channel.read(handle, offset + done, into.subarray(done), signal);
      if (typeof got !== 'number') {
        const { code, text } = this.#requests.status(got, 'READ');
        if (code === STATUS.EOF) return done;
        throw this.#requests.statusFault(code, text, 'READ', path);
      }
      done += got;
    }
    return done;
  }

  #discard(handle: Uint8Array): void {
    const write = (id: number): Buffer => writeOf('CLOSE', id, handle);
    this.#open.channel.request('CLOSE', write).catch(() => undefined);
  }
}

function* piecesOf(bytes: Uint8Array): Generator<{ at: number; piece: Uint8Array }> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    yield { at, piece: bytes.subarray(at, at + PIECE_BYTES) };
  }
}
