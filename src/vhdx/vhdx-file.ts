/**
 * One VHDX file being written: its own layer only, never its parent.
 *
 *   write ─► room for the block, state and bits (in memory, in order) ─► data to the file (any number at once)
 *   flush ─► data durable ─► all changes of the tables as one entry of the log, durable ─► tables in place
 *
 * A crash at any write leaves a file that opens. Each sector then reads as it was at the last flush or as a later write or
 * zeroing made it, and what no later call touched reads as it was at the last flush. Between the first write and `close` the
 * headers name the log, so that who opens the file meanwhile must lay it over the tables, as `openVhdx` does.
 */
import { Mutex, newGuid } from '../base/index.ts';
import {
  LocalFile,
  checkRange,
  diskFaults,
  type CallOptions,
  type Disk,
  type FileSpan,
  type RangeWriter,
} from '../disk/index.ts';
import { coalesce, type Extent } from '../extents/index.ts';
import { Allocator } from './allocator.ts';
import { isPresent } from './bat.ts';
import { BlockEdits, partsOf, type BlockPart, type EmptyState } from './block-edits.ts';
import { BlockTable } from './block-table.ts';
import { EditableTable } from './editable-table.ts';
import { inFile, vhdxFaults } from './faults.ts';
import { addSpan } from './file-span.ts';
import { BLOCK, LOG_SECTOR } from './format.ts';
import { HeaderWriter } from './header.ts';
import { Journal } from './journal.ts';
import { PageCache } from './pages.ts';
import { settledStructure } from './settle.ts';
import { infoOf, type Structure, type VhdxInfo } from './structure.ts';

/** Blocks changed under one lock, so that zeroing 64 TiB lets others in. */
const BLOCKS_PER_EDIT = 1024;

export interface OpenWritableOptions {
  /** The DataWriteGuid that the first write sets; default: a new one. A merge announces it in the child first. */
  readonly dataWriteGuid?: string;
}

/** Opens a VHDX to write it; a log left by another writer is replayed into the file first. Any `VHDX_` or `DISK_` fault. */
export async function openVhdxWritable(path: string, options: OpenWritableOptions = {}): Promise<VhdxFile> {
  return writableOver(await LocalFile.open(path), options);
}

/** `file` belongs to the result, and is closed when it cannot be opened. */
export async function writableOver(file: LocalFile, options: OpenWritableOptions = {}): Promise<VhdxFile> {
  try {
    const { structure, ring } = await settledStructure(file);
    const pages = new PageCache().file(structure.reader);
    const table = await inFile(file.path, () => BlockTable.open(structure, pages, {}));
    const journal = new Journal(file, new HeaderWriter(file, structure.header), ring);
    return new VhdxFile(file, structure, table, journal, options.dataWriteGuid ?? newGuid());
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A VHDX open to be written in place; a differencing one holds what was written and leaves the rest to its parent. */
export class VhdxFile implements Disk, RangeWriter {
  readonly path: string;
  /** As it was when opened. */
  readonly info: VhdxInfo;
  readonly #file: LocalFile;
  readonly #firstTableSector: number;
  readonly #journal: Journal;
  readonly #table: EditableTable;
  readonly #allocator: Allocator;
  readonly #blocks: BlockEdits;
  readonly #dataWriteGuid: string;
  readonly #lock = new Mutex();
  readonly #running = new Set<Promise<unknown>>();
  #written = false;
  #closed = false;

  constructor(
    file: LocalFile,
    structure: Structure,
    table: BlockTable,
    journal: Journal,
    dataWriteGuid: string,
  ) {
    this.path = file.path;
    this.info = infoOf(structure);
    this.#file = file;
    this.#firstTableSector = structure.regions.bat.fileOffset;
    this.#journal = journal;
    this.#allocator = new Allocator(file, table.space, table.geometry.blockSize);
    this.#table = new EditableTable(table, this.#allocator, journal);
    this.#blocks = new BlockEdits(file, this.#table, this.#allocator, this.info.kind === 'fixed');
    this.#dataWriteGuid = dataWriteGuid;
  }

  get size(): number {
    return this.info.size;
  }

  get logicalSectorSize(): number {
    return this.info.logicalSectorSize;
  }

  /**
   * What was written before reads back at once, flushed or not. `VHDX_NEEDS_PARENT` of a differencing file, which holds a part
   * of its disk only.
   */
  async read(offset: number, into: Uint8Array, { signal }: CallOptions = {}): Promise<void> {
    this.#checkReadable(offset, into.length);
    signal?.throwIfAborted();
    const reads = await this.#lock.run(() => this.#startReads(offset, into));
    await Promise.all(reads);
  }

  /** By whole blocks. `VHDX_NEEDS_PARENT` of a differencing file. */
  allocated(
    within: Extent = { offset: 0, length: this.size },
    options: CallOptions = {},
  ): AsyncGenerator<Extent> {
    this.#checkReadable(within.offset, within.length);
    return coalesce(this.#presentBlocks(within, options));
  }

  /** Writes whole logical sectors (`VHDX_UNALIGNED_WRITE`). Durable after the next {@link VhdxFile.flush}. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#check(offset, bytes.length);
    const place = (part: BlockPart): Promise<number> => this.#blocks.place(part);
    await this.#change(offset, bytes.length, place, (spans, from) => {
      let done = from - offset;
      return spans.map(({ fileOffset, length }) =>
        this.#file.write(fileOffset, bytes.subarray(done, (done += length))),
      );
    });
  }

  /**
   * Makes whole logical sectors read as zeros, whoever reads the file. Whole blocks give their room back, except in a fixed
   * disk; in a differencing disk they hide the parent, as does every sector of a block that is zeroed in part.
   */
  zero(offset: number, length: number): Promise<void> {
    return this.#empty(offset, length, BLOCK.zero);
  }

  /**
   * As `zero`, for what a guest no longer uses: whole blocks become *unmapped*. They read as zeros here, in qemu and in
   * libvhdi; Hyper-V is free to show anything there (MS-VHDX 2.5.1.1).
   */
  trim(offset: number, length: number): Promise<void> {
    return this.#empty(offset, length, BLOCK.unmapped);
  }

  /**
   * Everything whose promise was fulfilled before the call survives a crash from now on. Two syncs of the file, one when no
   * block changed its state. The room of emptied blocks may be used again.
   */
  async flush(): Promise<void> {
    if (this.#closed) throw diskFaults.closed();
    await this.#lock.run(() => this.#flush());
  }

  /** Flushes, empties the log and closes. When that fails the log stays in force, and the next who opens the file replays it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#lock.run(() => this.#finish());
    } finally {
      await this.#file.close();
    }
  }

  #checkReadable(offset: number, length: number): void {
    if (this.#closed) throw diskFaults.closed();
    checkRange(offset, length, this.size);
    if (this.info.kind === 'differencing') throw vhdxFaults.needsParent({ path: this.path });
  }

  /** They start before the lock is let go, and a flush waits for them: the room of a block is not used again under a read. */
  async #startReads(offset: number, into: Uint8Array): Promise<Promise<void>[]> {
    const reads: Promise<void>[] = [];
    let done = 0;
    for (const part of partsOf(this.#table.geometry, offset, offset + into.length)) {
      const bytes = into.subarray(done, (done += part.to - part.from));
      const { state, fileOffset } = await this.#table.block(part.block);
      if (isPresent(state)) reads.push(this.#track(this.#file.read(fileOffset + part.from, bytes)));
      else bytes.fill(0);
    }
    return reads;
  }

  async *#presentBlocks(within: Extent, { signal }: CallOptions): AsyncGenerator<Extent> {
    const { geometry } = this.#table;
    for (const part of partsOf(geometry, within.offset, within.offset + within.length)) {
      signal?.throwIfAborted();
      const { state } = await this.#lock.run(() => this.#table.block(part.block));
      const offset = part.block * geometry.blockSize + part.from;
      if (isPresent(state)) yield { offset, length: part.to - part.from };
    }
  }

  #check(offset: number, length: number): void {
    if (this.#closed) throw diskFaults.closed();
    checkRange(offset, length, this.size);
    const { sectorSize } = this.#table.geometry;
    if (offset % sectorSize !== 0 || length % sectorSize !== 0) {
      throw vhdxFaults.unalignedWrite({ path: this.path, offset, length, sectorSize });
    }
  }

  async #empty(offset: number, length: number, state: EmptyState): Promise<void> {
    this.#check(offset, length);
    const empty = (part: BlockPart): Promise<number | undefined> => this.#blocks.empty(part, state);
    await this.#change(offset, length, empty, (spans) =>
      spans.map((span) => this.#file.zero(span.fileOffset, span.length)),
    );
  }

  /**
   * Changes the tables for a range, as many blocks at a time as one entry of the log can hold, and starts to write what
   * `place` gave a place. It starts before the lock is let go: a flush never makes a block durable without its data.
   */
  async #change(
    offset: number,
    length: number,
    place: (part: BlockPart) => Promise<number | undefined>,
    start: (spans: readonly FileSpan[], from: number) => Promise<void>[],
  ): Promise<void> {
    const writes: Promise<void>[] = [];
    for (let at = offset; at < offset + length;) {
      const from = at;
      at = await this.#edit(async () => {
        const { spans, reached } = await this.#placed(from, offset + length, place);
        writes.push(...start(spans, from).map((write) => this.#track(write)));
        return reached;
      });
    }
    await Promise.all(writes);
  }

  /** One change of the tables at a time; the first of a session opens the log and gives the file its new identities. */
  #edit<T>(change: () => Promise<T>): Promise<T> {
    return this.#lock.run(async () => {
      if (!this.#written) await this.#begin();
      if (this.#table.isFull) await this.#flush();
      return change();
    });
  }

  /** The first entry repeats a sector of the block table as it is. */
  async #begin(): Promise<void> {
    const bytes = new Uint8Array(LOG_SECTOR);
    await this.#file.read(this.#firstTableSector, bytes);
    await this.#journal.begin([{ fileOffset: this.#firstTableSector, bytes }], {
      fileWriteGuid: newGuid(),
      dataWriteGuid: this.#dataWriteGuid,
    });
    this.#written = true;
  }

  async #placed(
    start: number,
    end: number,
    place: (part: BlockPart) => Promise<number | undefined>,
  ): Promise<{ spans: FileSpan[]; reached: number }> {
    const { geometry } = this.#table;
    const spans: FileSpan[] = [];
    let reached = start;
    const stop = Math.min(end, start + BLOCKS_PER_EDIT * geometry.blockSize);
    for (const part of partsOf(geometry, start, stop)) {
      if (this.#table.isFull) break;
      const length = part.to - part.from;
      const fileOffset = await place(part);
      if (fileOffset !== undefined) addSpan(spans, fileOffset, length);
      reached += length;
    }
    return { spans, reached };
  }

  async #flush(): Promise<void> {
    await Promise.allSettled(this.#running);
    if (!this.#written) return;
    await this.#table.commit();
    this.#allocator.flushed();
  }

  async #finish(): Promise<void> {
    await this.#flush();
    if (this.#written) await this.#journal.end();
  }

  /** A write under way. Its failure is its caller's; a flush only waits for it. */
  #track(write: Promise<void>): Promise<void> {
    const tracked = write.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    tracked.catch(() => undefined);
    return tracked;
  }
}
