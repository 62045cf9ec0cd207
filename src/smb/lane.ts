/**
 * A file opened on one of the client's connections. The handle dies with its session; the lane then asks for a new session
 * and opens the file again, provided it is the same file: same number on its volume, same size, same last
 * write. The time of creation says nothing: Samba derives one from the time of the last access.
 */
import { unlessAborted } from '../base/index.ts';
import type { FileIdentity } from './create.ts';
import { smbFaults } from './faults.ts';
import type { FileHandle, SmbSession } from './session.ts';

/** Where sessions come from: always one that works, or the reason why there is none. */
export interface SessionSource {
  readonly host: string;
  session(): Promise<SmbSession>;
}

export interface FilePlace {
  readonly share: string;
  /** Relative to the share, with backslashes. */
  readonly path: string;
}

export class FileLane {
  /** Pieces being read through this lane. */
  running = 0;
  readonly #source: SessionSource;
  readonly #place: FilePlace;
  readonly #identity: FileIdentity;
  #handle: FileHandle | undefined;
  #opening: Promise<FileHandle> | undefined;

  constructor(source: SessionSource, place: FilePlace, identity: FileIdentity, handle?: FileHandle) {
    this.#source = source;
    this.#place = place;
    this.#identity = identity;
    this.#handle = handle;
  }

  /** Throws what opening a session or a file throws, and `SMB_FILE_CHANGED`. */
  async usableHandle(signal: AbortSignal): Promise<FileHandle> {
    if (this.#handle?.session.usable) return this.#handle;
    signal.throwIfAborted();
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return unlessAborted(this.#opening, signal);
  }

  async close(): Promise<void> {
    // Should a handle still be on its way, it is closed whenever it comes.
    this.#opening?.then(closeHandle, () => undefined);
    if (this.#handle) await closeHandle(this.#handle);
  }

  async #open(): Promise<FileHandle> {
    const session = await this.#source.session();
    const handle = await session.open(this.#place.share, this.#place.path);
    const reason = difference(this.#identity, handle.identity);
    if (reason !== undefined) {
      await closeHandle(handle);
      throw smbFaults.fileChanged({ host: this.#source.host, path: handle.path, reason });
    }
    this.#handle = handle;
    return handle;
  }
}

function closeHandle(handle: FileHandle): Promise<void> {
  return handle.session.close(handle);
}

function difference(before: FileIdentity, now: FileIdentity): string | undefined {
  if (before.onDisk !== now.onDisk) return 'another file has taken its name';
  if (before.size !== now.size) return `it had ${before.size} bytes and now has ${now.size}`;
  return before.lastWriteTime === now.lastWriteTime ? undefined : 'it was written to';
}
