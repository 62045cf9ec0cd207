/**
 * A file opened on one of the client's connections. The handle dies with its session; the lane then asks for a new session
 * and opens the file again, provided it is the same file.
 */
import { unlessAborted } from '../base/index.ts';
import type { Slot } from '../ssh/index.ts';
import { sftpFaults } from './faults.ts';
import type { FileHandle, FileIdentity, SftpSession } from './session.ts';

export interface FilePlace {
  readonly host: string;
  readonly path: string;
}

export class FileLane {
  /** Pieces being read through this lane. */
  running = 0;
  readonly #slot: Slot<SftpSession>;
  readonly #place: FilePlace;
  readonly #identity: FileIdentity;
  #handle: FileHandle | undefined;
  #opening: Promise<FileHandle> | undefined;

  constructor(slot: Slot<SftpSession>, place: FilePlace, identity: FileIdentity, handle?: FileHandle) {
    this.#slot = slot;
    this.#place = place;
    this.#identity = identity;
    this.#handle = handle;
  }

  /** The handle when there is one that works; no promise, because each piece of each read asks. */
  get handle(): FileHandle | undefined {
    return this.#handle?.session.usable ? this.#handle : undefined;
  }

  /** Throws what opening a session or a file throws, and `SFTP_FILE_CHANGED`. */
  async reopen(signal: AbortSignal): Promise<FileHandle> {
    signal.throwIfAborted();
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return unlessAborted(this.#opening, signal);
  }

  close(): void {
    // Should a handle still be on its way, it is closed whenever it comes.
    this.#opening?.then(closeHandle, () => undefined);
    if (this.#handle) closeHandle(this.#handle);
  }

  async #open(): Promise<FileHandle> {
    const session = await this.#slot.get();
    const { host, path } = this.#place;
    const handle = await session.open(path);
    const reason = difference(this.#identity, handle.identity);
    if (reason !== undefined) {
      closeHandle(handle);
      throw sftpFaults.fileChanged({ host, path, reason });
    }
    this.#handle = handle;
    return handle;
  }
}

function closeHandle(handle: FileHandle): void {
  handle.session.closeFile(handle);
}

function difference(before: FileIdentity, now: FileIdentity): string | undefined {
  if (before.size !== now.size) return `it had ${before.size} bytes and now has ${now.size}`;
  if (before.modified !== now.modified) return 'it was written to, or another file has taken its name';
  return before.beginning === now.beginning ? undefined : 'it begins with other bytes';
}
