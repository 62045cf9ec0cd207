/**
 * Ground truth of one virtual disk: what it held when it came, and everything its guest wrote since, with a mark at each
 * seal. It shares no code with VHDX files or with change tracking, so that it can judge both.
 *
 *   base.raw    content at import; absent for a blank disk
 *   data.log    bytes of all writes, one after the other
 *   index.log   48 bytes per event: what happened to which range, and where its bytes lie
 *
 * It is also the journal of the VHDX leaf: after a kill, what follows the last `flushed` event is written to the leaf again.
 * An event counts once its 48 bytes are there; half an event at the end is cut off.
 */
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, guid, struct, u32, u64, type StructOf } from '../../src/base/index.ts';

export const EVENT = { write: 1, zero: 2, seal: 3, resize: 4, flushed: 5, revert: 6 } as const;

const NO_SEAL = '00000000-0000-0000-0000-000000000000';
const EVENT_SIZE = 48;
/** Events read from the index at a time: 192 KiB. */
const EVENTS_PER_READ = 4096;

const event = struct('truth event', EVENT_SIZE, {
  kind: u32(0),
  offset: u64(8),
  length: u64(16),
  /** Of a write: where in data.log its bytes begin. */
  dataOffset: u64(24),
  /** Of a seal: its id; of a revert: to which seal. */
  seal: guid(32),
});
export type TruthEvent = StructOf<typeof event>;

export class TruthLog {
  readonly folder: string;
  readonly #index: FileHandle;
  readonly #data: FileHandle;
  #indexBytes: number;
  #dataBytes: number;
  #size: number;

  private constructor(
    folder: string,
    index: FileHandle,
    data: FileHandle,
    sizes: { index: number; data: number },
  ) {
    this.folder = folder;
    this.#index = index;
    this.#data = data;
    this.#indexBytes = sizes.index;
    this.#dataBytes = sizes.data;
    this.#size = 0;
  }

  /** A new log for a disk of `size` bytes; the caller puts `base.raw` into the folder when there is content. */
  static async create(folder: string, size: number): Promise<TruthLog> {
    await mkdir(folder, { recursive: true });
    const log = await TruthLog.#openFiles(folder, 'wx+');
    await log.resize(size);
    await log.flushed();
    return log;
  }

  static async open(folder: string): Promise<TruthLog> {
    const log = await TruthLog.#openFiles(folder, 'r+');
    for await (const { kind, length } of log.events()) if (kind === EVENT.resize) log.#size = length;
    return log;
  }

  static async #openFiles(folder: string, flags: string): Promise<TruthLog> {
    const index = await open(join(folder, 'index.log'), flags);
    const data = await open(join(folder, 'data.log'), flags);
    const whole = Math.floor((await index.stat()).size / EVENT_SIZE) * EVENT_SIZE;
    return new TruthLog(folder, index, data, { index: whole, data: (await data.stat()).size });
  }

  get basePath(): string {
    return join(this.folder, 'base.raw');
  }

  get dataPath(): string {
    return join(this.folder, 'data.log');
  }

  /** Bytes of the virtual disk now. */
  get size(): number {
    return this.#size;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const dataOffset = this.#dataBytes;
    await writeAll(this.#data, bytes, dataOffset);
    this.#dataBytes += bytes.length;
    await this.#append({ kind: EVENT.write, offset, length: bytes.length, dataOffset });
  }

  zero(offset: number, length: number): Promise<void> {
    return this.#append({ kind: EVENT.zero, offset, length });
  }

  seal(id: string): Promise<void> {
    return this.#append({ kind: EVENT.seal, seal: id });
  }

  async resize(size: number): Promise<void> {
    await this.#append({ kind: EVENT.resize, length: size });
    this.#size = size;
  }

  /** From here on the content is that of the seal `id`, which the VHDX file shows already. */
  async revert(id: string): Promise<void> {
    await this.#append({ kind: EVENT.revert, seal: id });
    await this.flushed();
  }

  /** Everything so far is in the VHDX file, and readable by who opens it. */
  flushed(): Promise<void> {
    return this.#append({ kind: EVENT.flushed });
  }

  /** Every event from the beginning, or from byte `from` of the index. */
  async *events(from = 0): AsyncGenerator<TruthEvent> {
    const page = new Uint8Array(EVENT_SIZE * EVENTS_PER_READ);
    for (let at = from; at < this.#indexBytes;) {
      const length = Math.min(page.length, this.#indexBytes - at);
      const { bytesRead } = await this.#index.read(page, 0, length, at);
      assert(bytesRead === length, 'the index of a truth log does not shrink');
      for (let i = 0; i < length; i += EVENT_SIZE) yield event.read(page, i);
      at += length;
    }
  }

  /** The writes and zeros that may not be in the VHDX file yet. */
  async *unflushed(): AsyncGenerator<TruthEvent> {
    let from = 0;
    let at = 0;
    for await (const { kind } of this.events()) {
      at += EVENT_SIZE;
      if (kind === EVENT.flushed) from = at;
    }
    for await (const change of this.events(from)) {
      if (change.kind === EVENT.write || change.kind === EVENT.zero) yield change;
    }
  }

  async readData(dataOffset: number, into: Uint8Array): Promise<void> {
    const { bytesRead } = await this.#data.read(into, 0, into.length, dataOffset);
    assert(bytesRead === into.length, 'the data of an event is written before the event');
  }

  async close(): Promise<void> {
    await this.#index.close();
    await this.#data.close();
  }

  async #append(values: Partial<TruthEvent> & { kind: number }): Promise<void> {
    const bytes = new Uint8Array(EVENT_SIZE);
    event.write(bytes, { seal: NO_SEAL, ...values });
    await writeAll(this.#index, bytes, this.#indexBytes);
    this.#indexBytes += EVENT_SIZE;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}
