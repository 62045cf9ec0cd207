/** A raw image file that is written in place: sparse, its zeros punched out where the file system can do that. */
import { open, type FileHandle } from 'node:fs/promises';
import { InUse, LocalFile, checkRange, localFileFault, type CallOptions } from '../disk/index.ts';
import { endOf, type Extent } from '../extents/index.ts';
import { nextData, punchHole } from '../native/index.ts';
import type { TargetDisk, TargetDiskSpec } from './port.ts';

export class RawTargetDisk implements TargetDisk {
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly isNew: boolean;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #file: LocalFile;
  readonly #use = new InUse();
  /** Bytes of the file; other than `size` until the size is settled. */
  #fileSize: number;

  private constructor(
    path: string,
    spec: TargetDiskSpec,
    opened: { handle: FileHandle; size: number; isNew: boolean },
  ) {
    this.#path = path;
    this.#handle = opened.handle;
    this.#fileSize = opened.size;
    this.#file = new LocalFile(path, opened.handle, opened.size);
    this.size = spec.size;
    this.logicalSectorSize = spec.logicalSectorSize;
    this.isNew = opened.isNew;
  }

  static async open(path: string, spec: TargetDiskSpec, isNew: boolean): Promise<RawTargetDisk> {
    const handle = await attempt(path, () => open(path, isNew ? 'wx+' : 'r+'));
    try {
      const { size } = await handle.stat();
      const disk = new RawTargetDisk(path, spec, { handle, size, isNew });
      if (isNew) await disk.settleSize();
      return disk;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#inUse(offset, into.length, async () => {
      const held = Math.max(0, Math.min(into.length, this.#fileSize - offset));
      await this.#file.read(Math.min(offset, this.#fileSize), into.subarray(0, held));
      into.fill(0, held);
    });
  }

  *allocated(within: Extent = { offset: 0, length: this.size }): Generator<Extent> {
    checkRange(within.offset, within.length, this.size);
    const end = Math.min(endOf(within), this.#fileSize);
    for (let at = within.offset; at < end;) {
      this.#use.check();
      const found = nextData(this.#handle.fd, at, end);
      if (!found) return;
      const data = found === 'all' ? { offset: at, length: end - at } : found;
      yield data;
      at = endOf(data);
    }
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#inUse(offset, bytes.length, () => this.#file.write(offset, bytes));
  }

  zero(offset: number, length: number, options: CallOptions = {}): Promise<void> {
    return this.#inUse(offset, length, async () => {
      if (length > 0 && !punchHole(this.#handle.fd, offset, length)) {
        await this.#file.zero(offset, length, options);
      }
    });
  }

  flush(): Promise<void> {
    return this.#inUse(0, 0, () => this.#file.sync());
  }

  settleSize(): Promise<void> {
    return this.#inUse(0, 0, async () => {
      if (this.#fileSize < this.size) await this.#file.extend(this.size);
      if (this.#fileSize > this.size) await attempt(this.#path, () => this.#handle.truncate(this.size));
      this.#fileSize = this.size;
    });
  }

  async close(): Promise<void> {
    if (await this.#use.end()) await this.#handle.close();
  }

  #inUse(offset: number, length: number, work: () => Promise<void>): Promise<void> {
    return this.#use.run(async () => {
      checkRange(offset, length, this.size);
      await work();
    });
  }
}

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw localFileFault(path, error);
  }
}
