/**
 * Local files that are read at many places within moments. They stay open between two reads, which is most of what a small
 * read costs, and are closed when nobody has asked for a while: nobody has to close this.
 */
import { open, type FileHandle } from 'node:fs/promises';

/** Questions to an index come in bursts of thousands; between two runs of a service nothing is to stay open. */
const IDLE_MS = 2_000;

interface OpenFile {
  readonly handle: Promise<FileHandle>;
  reads: number;
  isIdle: boolean;
}

export class OpenFiles {
  readonly #files = new Map<string, OpenFile>();
  #timer: NodeJS.Timeout | undefined;

  /** False when the file ends before that, or cannot be read: whoever asks otherwise is told why. */
  async fill(path: string, offset: number, into: Uint8Array): Promise<boolean> {
    const file = this.#use(path);
    try {
      const { bytesRead } = await (await file.handle).read(into, 0, into.length, offset);
      return bytesRead === into.length;
    } catch {
      this.#files.delete(path);
      void file.handle.then((handle) => handle.close()).catch(() => {});
      return false;
    } finally {
      file.reads -= 1;
    }
  }

  #use(path: string): OpenFile {
    const file = this.#files.get(path) ?? { handle: open(path, 'r'), reads: 0, isIdle: false };
    this.#files.set(path, file);
    file.reads += 1;
    file.isIdle = false;
    this.#timer ??= setInterval(() => this.#closeIdle(), IDLE_MS).unref();
    return file;
  }

  #closeIdle(): void {
    for (const [path, file] of this.#files) {
      if (file.reads === 0 && file.isIdle) {
        this.#files.delete(path);
        void file.handle.then((handle) => handle.close()).catch(() => {});
      }
      file.isIdle = true;
    }
    if (this.#files.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
