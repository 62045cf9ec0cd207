/**
 * One VHDX file being written: its own layer only, never its parent.
 *
 *   write ─► room for the block, state and bits (in memory, in order) ─► data to the file (any number at once)
 *   flush ─► data durable ─► sector bitmaps ─► block table ─► durable
 *
 * Readers of the same file see a write after the next flush. The tables are written in place, without the log: a process
 * that dies leaves a sound file, a power cut in the middle of a flush may not. Only the lab writes VHDX this way; restores
 * fill new files (see placed.ts).
 */
import { Mutex, NIL_GUID, newGuid } from '../base/index.ts';
import { checkRange, diskFaults, type FileSpan, type RangeWriter } from '../disk/index.ts';
import { Allocator } from './allocator.ts';
import { isPresent } from './bat.ts';
import { BlockTable } from './block-table.ts';
import { EditableTable, type Block } from './editable-table.ts';
import { inFile, vhdxFaults } from './faults.ts';
import { BLOCK } from './format.ts';
import { HeaderWriter } from './header.ts';
import { addSpan } from './file-span.ts';
import { LocalFile } from './local-file.ts';
import { PageCache } from './pages.ts';
import { writeReplay } from './replay.ts';
import { infoOf, readStructure, type Structure, type VhdxInfo } from './structure.ts';

/** 16 MiB of changed table pages: then they are flushed without being asked. */
const DIRTY_PAGES_MAX = 256;
/** Blocks zeroed under one lock, so that zeroing 64 TiB lets others in and keeps to the bound above. */
const ZERO_BLOCKS = 1024;

export interface OpenWritableOptions {
  /** The DataWriteGuid that the first write sets; default: a new one. A merge announces it in the child first. */
  readonly dataWriteGuid?: string;
}

/** Opens a VHDX to write it; a log left by another writer is replayed into the file first. Any `VHDX_` or `DISK_` fault. */
export async function openVhdxWritable(path: string, options: OpenWritableOptions = {}): Promise<VhdxFile> {
  const file = await LocalFile.open(path);
  try {
    const structure = await cleanStructure(file);
    const pages = new PageCache().file(structure.reader);
    const table = await inFile(path, () => BlockTable.open(structure, pages, {}));
    return new VhdxFile(file, structure, table, options.dataWriteGuid ?? newGuid());
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function cleanStructure(file: LocalFile): Promise<Structure> {
  const structure = await readStructure(file, file.path);
  if (!structure.replay) return structure;
  await writeReplay(file, structure.replay);
  await file.sync();
  await new HeaderWriter(file, structure.header).update({ logGuid: NIL_GUID });
  return readStructure(file, file.path);
}

export class VhdxFile implements RangeWriter {
  readonly path: string;
  /** As it was when opened. */
  readonly info: VhdxInfo;
  readonly #file: LocalFile;
  readonly #headers: HeaderWriter;
  readonly #table: EditableTable;
  readonly #allocator: Allocator;
  readonly #dataWriteGuid: string;
  readonly #lock = new Mutex();
  readonly #running = new Set<Promise<void>>();
  #written = false;
  #closed = false;

  constructor(file: LocalFile, structure: Structure, table: BlockTable, dataWriteGuid: string) {
    this.path = file.path;
    this.info = infoOf(structure);
    this.#file = file;
    this.#headers = new HeaderWriter(file, structure.header);
    this.#allocator = new Allocator(file, table.space, table.geometry.blockSize);
    this.#table = new EditableTable(file, table, this.#allocator);
    this.#dataWriteGuid = dataWriteGuid;
  }

  get size(): number {
    return this.info.size;
  }

  /** Writes whole logical sectors (`VHDX_UNALIGNED_WRITE`). */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#check(offset, bytes.length);
    const spans = await this.#edit(() => this.#placeRange(offset, bytes.length));
    let done = 0;
    const writes = spans.map(({ fileOffset, length }) => {
      const part = bytes.subarray(done, (done += length));
      return this.#file.write(fileOffset, part);
    });
    await this.#track(Promise.all(writes));
  }

  /**
   * Makes whole logical sectors read as zeros. Whole blocks give their room back, except in a fixed disk; in a differencing
   * disk they hide the parent, as does every sector of a block that is zeroed in part.
   */
  async zero(offset: number, length: number): Promise<void> {
    this.#check(offset, length);
    const { blockSize } = this.#table.geometry;
    const step = ZERO_BLOCKS * blockSize;
    for (let at = offset; at < offset + length;) {
      const end = Math.min(offset + length, (Math.floor(at / step) + 1) * step);
      const spans = await this.#edit(() => this.#zeroRange(at, end));
      for (const span of spans) await this.#track(this.#file.zero(span.fileOffset, span.length));
      at = end;
    }
  }

  /** What was written before is durable, and seen by readers that open the file afterwards. */
  async flush(): Promise<void> {
    if (this.#closed) throw diskFaults.closed();
    await this.#lock.run(() => this.#flush());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#lock.run(() => this.#flush());
    } finally {
      await this.#file.close();
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

  /** One change of the tables at a time; the first of a session gives the file its new identities (MS-VHDX 2.2.2). */
  #edit<T>(change: () => Promise<T>): Promise<T> {
    return this.#lock.run(async () => {
      if (!this.#written) {
        await this.#headers.update({ fileWriteGuid: newGuid(), dataWriteGuid: this.#dataWriteGuid });
        this.#written = true;
      }
      const result = await change();
      if (this.#table.dirtyPages > DIRTY_PAGES_MAX) await this.#flush();
      return result;
    });
  }

  async #flush(): Promise<void> {
    await Promise.allSettled(this.#running);
    if (!this.#written) return;
    await this.#file.sync();
    await this.#table.commit(() => this.#file.sync());
    this.#allocator.flushed();
  }

  async #track(work: Promise<unknown>): Promise<void> {
    const tracked: Promise<void> = work.then(() => {}).finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    await tracked;
  }

  async #placeRange(offset: number, length: number): Promise<FileSpan[]> {
    const spans: FileSpan[] = [];
    for (const part of this.#parts(offset, offset + length)) {
      const fileOffset = await this.#placePart(part, await this.#table.block(part.block));
      addSpan(spans, fileOffset + part.from, part.to - part.from);
    }
    return spans;
  }

  async #zeroRange(start: number, end: number): Promise<FileSpan[]> {
    const spans: FileSpan[] = [];
    for (const part of this.#parts(start, end)) {
      const block = await this.#table.block(part.block);
      if (this.#readsZero(block.state)) continue;
      if (part.whole && this.info.kind !== 'fixed') {
        if (isPresent(block.state)) this.#allocator.release(block.fileOffset);
        await this.#table.setBlock(part.block, BLOCK.zero, 0);
      } else {
        addSpan(spans, (await this.#placePart(part, block)) + part.from, part.to - part.from);
      }
    }
    return spans;
  }

  /** True when the block holds nothing and nothing of a parent shows through. */
  #readsZero(state: number): boolean {
    return !isPresent(state) && (state !== BLOCK.notPresent || !this.#table.geometry.hasParent);
  }

  /** Gives a part of a block its place in this file; the file offset of the block. */
  async #placePart(part: BlockPart, { state, fileOffset }: Block): Promise<number> {
    const { hasParent } = this.#table.geometry;
    if (state === BLOCK.partiallyPresent && hasParent) {
      await this.#addSectors(part, fileOffset);
      return fileOffset;
    }
    if (isPresent(state)) return fileOffset;
    const room = await this.#allocator.block();
    if (state === BLOCK.notPresent && hasParent && !part.whole) {
      await this.#table.clearSectors(part.block);
      await this.#table.setBlock(part.block, BLOCK.partiallyPresent, room.fileOffset);
      await this.#addSectors(part, room.fileOffset);
    } else {
      // The rest of the block reads as zeros from now on, so nothing older may lie there.
      if (!room.zeroed && !part.whole) await this.#file.zero(room.fileOffset, this.#table.geometry.blockSize);
      await this.#table.setBlock(part.block, BLOCK.fullyPresent, room.fileOffset);
    }
    return room.fileOffset;
  }

  async #addSectors(part: BlockPart, fileOffset: number): Promise<void> {
    const { sectorSize } = this.#table.geometry;
    const complete = await this.#table.setSectors(part.block, part.from / sectorSize, part.to / sectorSize);
    if (complete) await this.#table.setBlock(part.block, BLOCK.fullyPresent, fileOffset);
  }

  *#parts(start: number, end: number): Generator<BlockPart> {
    const { blockSize } = this.#table.geometry;
    for (let at = start; at < end;) {
      const block = Math.floor(at / blockSize);
      const from = at - block * blockSize;
      const to = Math.min(end - block * blockSize, blockSize);
      yield { block, from, to, whole: from === 0 && to === this.#table.geometry.virtualLength(block) };
      at = block * blockSize + to;
    }
  }
}

/** The bytes `[from, to)` of a block. */
interface BlockPart {
  readonly block: number;
  readonly from: number;
  readonly to: number;
  /** The part is all of the block that belongs to the virtual disk. */
  readonly whole: boolean;
}
