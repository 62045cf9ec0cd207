/**
 * A disk that can be written without changing the one below it: what is written goes to a folder, what was not is read from
 * below.
 *
 *   overlay.json     what it lies over
 *   states.bin       two bits a block of 64 KiB: below, data, zeros
 *   data-N.bin       sparse; the bytes of the Nth TiB of the disk, at their places (ext4 has files up to 16 TiB)
 *
 * A flush makes data durable first and the states afterwards, so after a crash every block is as it was at some moment since the
 * last flush, and never a mixture with what lay there before. docs/formats/overlay.md.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Mutex, TiB } from '../base/index.ts';
import {
  checkRange,
  InUse,
  LocalFile,
  localFileFault,
  type CallOptions,
  type Disk,
  type RangeWriter,
} from '../disk/index.ts';
import { coalesce, type Extent } from '../extents/index.ts';
import { BLOCK_BYTES, BlockStates, STATE, type StateRun } from './block-states.ts';
import { overlayFaults } from './faults.ts';

/** What an overlay lies over. It means nothing over anything else. */
export interface OverlayBase {
  readonly disk: Disk;
  /** Names the content for ever, such as a restore point and a disk in it. */
  readonly identity: string;
}

/** A run of what an overlay holds itself. */
export interface WrittenRun extends Extent {
  readonly isZero: boolean;
}

const FORMAT = 'hvlift-overlay';
const VERSION = 1;
const PART_BYTES = TiB;

export class OverlayDisk implements Disk, RangeWriter {
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly #below: Disk;
  readonly #folder: string;
  readonly #stateFile: LocalFile;
  readonly #states: BlockStates;
  readonly #parts = new Map<number, Promise<LocalFile>>();
  readonly #unsynced = new Set<number>();
  /** Blocks being written in part: their other bytes must not be filled in twice. */
  readonly #blocks = new Map<number, { lock: Mutex; users: number }>();
  readonly #flushes = new Mutex();
  readonly #use = new InUse();

  private constructor(folder: string, below: Disk, stateFile: LocalFile) {
    this.#folder = folder;
    this.#below = below;
    this.#stateFile = stateFile;
    this.#states = new BlockStates(stateFile);
    this.size = below.size;
    this.logicalSectorSize = below.logicalSectorSize;
  }

  /** A new overlay in `folder`, which must not exist. Throws `OVERLAY_EXISTS`. Closing it closes the disk below. */
  static async create(folder: string, { disk, identity }: OverlayBase): Promise<OverlayDisk> {
    try {
      await mkdir(folder);
    } catch (error) {
      const taken = (error as NodeJS.ErrnoException).code === 'EEXIST';
      throw taken ? overlayFaults.exists({ path: folder }, { cause: error }) : localFileFault(folder, error);
    }
    const about = { format: FORMAT, version: VERSION, size: disk.size, over: identity };
    await writeFile(join(folder, 'overlay.json'), `${JSON.stringify(about, null, 2)}\n`, { flag: 'wx' });
    const states = await LocalFile.create(join(folder, 'states.bin'), overlayFaults.exists);
    return new OverlayDisk(folder, disk, states);
  }

  /** The overlay that is in `folder`. Throws `OVERLAY_NOT_ONE`, `OVERLAY_OTHER_BASE`. */
  static async open(folder: string, { disk, identity }: OverlayBase): Promise<OverlayDisk> {
    await checkAbout(folder, identity, disk.size);
    const states = await LocalFile.open(join(folder, 'states.bin'));
    const overlay = new OverlayDisk(folder, disk, states);
    await overlay.#states.load();
    return overlay;
  }

  read(offset: number, into: Uint8Array, options: CallOptions = {}): Promise<void> {
    return this.#inUse(offset, into.length, () => this.#read(offset, into, options));
  }

  /** Durable after {@link flush}. Throws `DISK_NO_SPACE` when the volume of the overlay is full; what was flushed stays. */
  write(offset: number, bytes: Uint8Array, options: CallOptions = {}): Promise<void> {
    return this.#inUse(offset, bytes.length, async () => {
      const whole = wholeBlocks(offset, bytes.length);
      const part = (from: number, to: number): Uint8Array => bytes.subarray(from - offset, to - offset);
      const end = offset + bytes.length;
      if (!whole) return this.#writeParts(offset, bytes, options);
      await this.#writeParts(offset, part(offset, whole.offset), options);
      await this.#put(whole.offset, part(whole.offset, whole.offset + whole.length));
      await this.#writeParts(whole.offset + whole.length, part(whole.offset + whole.length, end), options);
    });
  }

  /** Whole blocks become zeros by their state alone. */
  zero(offset: number, length: number, options: CallOptions = {}): Promise<void> {
    return this.#inUse(offset, length, async () => {
      const whole = wholeBlocks(offset, length);
      if (!whole) return this.#writeParts(offset, new Uint8Array(length), options);
      const after = whole.offset + whole.length;
      await this.#writeParts(offset, new Uint8Array(whole.offset - offset), options);
      for (let at = whole.offset; at < after; at += BLOCK_BYTES)
        this.#states.set(at / BLOCK_BYTES, STATE.zero);
      await this.#writeParts(after, new Uint8Array(offset + length - after), options);
    });
  }

  flush(): Promise<void> {
    return this.#inUse(0, 0, () => this.#flushes.run(() => this.#flush()));
  }

  async *allocated(
    within: Extent = { offset: 0, length: this.size },
    options: CallOptions = {},
  ): AsyncGenerator<Extent> {
    checkRange(within.offset, within.length, this.size);
    yield* coalesce(this.#allocated(within, options));
  }

  /** What differs from the disk below or may: runs of whole blocks, clipped to the disk. Writing behind them meanwhile is allowed. */
  *written(): Generator<WrittenRun> {
    this.#use.check();
    for (const { offset, length, state } of this.#states.runs({ offset: 0, length: this.size })) {
      if (state !== STATE.below) yield { offset, length, isZero: state === STATE.zero };
    }
  }

  /** Flushes, and closes the disk below. The folder stays. */
  async close(): Promise<void> {
    if (this.#use.closed) return;
    const flushed = this.flush();
    await this.#use.end();
    for (const part of this.#parts.values()) await (await part).close();
    await this.#stateFile.close();
    await this.#below.close();
    await flushed;
  }

  /** What is written meanwhile is for the next flush: its states must not become durable before its data. */
  async #flush(): Promise<void> {
    const states = this.#states.takeChanged();
    const parts = [...this.#unsynced];
    this.#unsynced.clear();
    try {
      for (const part of parts) await (await this.#parts.get(part)!).sync();
      await this.#states.store(states);
    } catch (error) {
      for (const part of parts) this.#unsynced.add(part);
      this.#states.putBack(states);
      throw error;
    }
  }

  async #read(offset: number, into: Uint8Array, options: CallOptions): Promise<void> {
    for (const run of this.#states.runs({ offset, length: into.length })) {
      const target = into.subarray(run.offset - offset, run.offset - offset + run.length);
      if (run.state === STATE.zero) target.fill(0);
      else if (run.state === STATE.below) await this.#below.read(run.offset, target, options);
      else await this.#readData(run, target);
    }
  }

  async #readData(run: StateRun, into: Uint8Array): Promise<void> {
    for (const { part, at, from, length } of partsOf(run)) {
      await (await this.#part(part)).read(at, into.subarray(from, from + length));
    }
  }

  /** Bytes that fill their blocks only in part. */
  async #writeParts(offset: number, bytes: Uint8Array, options: CallOptions): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const at = offset + done;
      const block = Math.floor(at / BLOCK_BYTES);
      const count = Math.min(bytes.length - done, (block + 1) * BLOCK_BYTES - at);
      await this.#inBlock(block, () =>
        this.#writePart(block, at, bytes.subarray(done, done + count), options),
      );
      done += count;
    }
  }

  async #writePart(block: number, at: number, bytes: Uint8Array, options: CallOptions): Promise<void> {
    const start = block * BLOCK_BYTES;
    if (this.#states.get(block) === STATE.data) return this.#put(at, bytes);
    const whole = new Uint8Array(Math.min(BLOCK_BYTES, this.size - start));
    if (bytes.length < whole.length) await this.#read(start, whole, options);
    whole.set(bytes, at - start);
    await this.#put(start, whole);
  }

  /** Bytes whose blocks are all in the data, or are filled by them. */
  async #put(offset: number, bytes: Uint8Array): Promise<void> {
    for (const { part, at, from, length } of partsOf({ offset, length: bytes.length })) {
      await (await this.#part(part)).write(at, bytes.subarray(from, from + length));
      this.#unsynced.add(part);
    }
    const last = Math.floor((offset + bytes.length - 1) / BLOCK_BYTES);
    for (let block = Math.floor(offset / BLOCK_BYTES); block <= last; block += 1) {
      if (this.#states.get(block) !== STATE.data) this.#states.set(block, STATE.data);
    }
  }

  #part(index: number): Promise<LocalFile> {
    const opened = this.#parts.get(index) ?? openPart(join(this.#folder, `data-${index}.bin`));
    this.#parts.set(index, opened);
    return opened;
  }

  async #inBlock(block: number, work: () => Promise<void>): Promise<void> {
    const entry = this.#blocks.get(block) ?? { lock: new Mutex(), users: 0 };
    this.#blocks.set(block, entry);
    entry.users += 1;
    try {
      await entry.lock.run(work);
    } finally {
      entry.users -= 1;
      if (entry.users === 0) this.#blocks.delete(block);
    }
  }

  async *#allocated(within: Extent, options: CallOptions): AsyncGenerator<Extent> {
    for (const run of this.#states.runs(within)) {
      if (run.state === STATE.below) yield* this.#below.allocated(run, options);
      else if (run.state === STATE.data) yield { offset: run.offset, length: run.length };
    }
  }

  #inUse(offset: number, length: number, work: () => Promise<void>): Promise<void> {
    return this.#use.run(async () => {
      checkRange(offset, length, this.size);
      await work();
    });
  }
}

async function checkAbout(folder: string, identity: string, size: number): Promise<void> {
  const about = await readAbout(folder);
  if (about['format'] !== FORMAT)
    throw overlayFaults.notOne({ path: folder, reason: 'overlay.json is of something else' });
  if (about['version'] !== VERSION) {
    throw overlayFaults.notOne({ path: folder, reason: `version ${String(about['version'])} is not known` });
  }
  const found = String(about['over']);
  if (found !== identity || about['size'] !== size) {
    throw overlayFaults.otherBase({ path: folder, found, expected: identity });
  }
}

async function readAbout(folder: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    const about: unknown = JSON.parse(await readFile(join(folder, 'overlay.json'), 'utf8'));
    if (typeof about === 'object' && about !== null) return about as Record<string, unknown>;
    throw new Error('overlay.json has no object');
  } catch (error) {
    throw overlayFaults.notOne({ path: folder, reason: (error as Error).message }, { cause: error });
  }
}

async function openPart(path: string): Promise<LocalFile> {
  try {
    return await LocalFile.open(path);
  } catch {
    return await LocalFile.create(path, overlayFaults.exists);
  }
}

/** The blocks that `[offset, offset + length)` fills; undefined when it fills none. The last block of a disk may be short. */
function wholeBlocks(offset: number, length: number): Extent | undefined {
  const from = Math.ceil(offset / BLOCK_BYTES) * BLOCK_BYTES;
  const to = Math.floor((offset + length) / BLOCK_BYTES) * BLOCK_BYTES;
  return to > from ? { offset: from, length: to - from } : undefined;
}

interface Part {
  readonly part: number;
  /** Byte in the file. */
  readonly at: number;
  /** Byte in the run. */
  readonly from: number;
  readonly length: number;
}

function* partsOf({ offset, length }: Extent): Generator<Part> {
  for (let from = 0; from < length;) {
    const part = Math.floor((offset + from) / PART_BYTES);
    const at = offset + from - part * PART_BYTES;
    const count = Math.min(length - from, PART_BYTES - at);
    yield { part, at, from, length: count };
    from += count;
  }
}
