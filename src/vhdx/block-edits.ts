/** What a write or a zeroing does to the blocks it touches: room, state, sector bits. Calls must not overlap. */
import type { LocalFile } from '../disk/index.ts';
import { isPresent, type BatGeometry } from './bat.ts';
import type { Allocator } from './allocator.ts';
import type { Block, EditableTable } from './editable-table.ts';
import { BLOCK } from './format.ts';

/** The bytes `[from, to)` of a block. */
export interface BlockPart {
  readonly block: number;
  readonly from: number;
  readonly to: number;
  /** The part is all of the block that belongs to the virtual disk. */
  readonly whole: boolean;
}

/** The blocks of `[start, end)` of the virtual disk, in order. */
export function* partsOf(geometry: BatGeometry, start: number, end: number): Generator<BlockPart> {
  const { blockSize } = geometry;
  for (let at = start; at < end;) {
    const block = Math.floor(at / blockSize);
    const from = at - block * blockSize;
    const to = Math.min(end - block * blockSize, blockSize);
    yield { block, from, to, whole: from === 0 && to === geometry.virtualLength(block) };
    at = block * blockSize + to;
  }
}

/** How a whole block reads as zeros without room in the file. */
export type EmptyState = typeof BLOCK.zero | typeof BLOCK.unmapped;

export class BlockEdits {
  readonly #file: LocalFile;
  readonly #table: EditableTable;
  readonly #allocator: Allocator;
  /** A fixed disk keeps the room of its blocks. */
  readonly #keepsRoom: boolean;

  constructor(file: LocalFile, table: EditableTable, allocator: Allocator, keepsRoom: boolean) {
    this.#file = file;
    this.#table = table;
    this.#allocator = allocator;
    this.#keepsRoom = keepsRoom;
  }

  /** Gives `part` its place; where in the file it is to be written. */
  async place(part: BlockPart): Promise<number> {
    return this.#place(part, await this.#table.block(part.block));
  }

  /** Makes `part` read as zeros: a whole block by `state`, else by zeros to be written where the result says. */
  async empty(part: BlockPart, state: EmptyState): Promise<number | undefined> {
    const block = await this.#table.block(part.block);
    if (this.#readsZero(block.state)) return undefined;
    if (!part.whole || this.#keepsRoom) return this.#place(part, block);
    if (isPresent(block.state)) this.#allocator.release(block.fileOffset);
    await this.#table.setBlock(part.block, state, 0);
    return undefined;
  }

  /** True when the block holds nothing and nothing of a parent shows through. */
  #readsZero(state: number): boolean {
    return !isPresent(state) && (state !== BLOCK.notPresent || !this.#table.geometry.hasParent);
  }

  async #place(part: BlockPart, { state, fileOffset }: Block): Promise<number> {
    const { hasParent } = this.#table.geometry;
    if (state === BLOCK.partiallyPresent && hasParent) await this.#addSectors(part, fileOffset);
    if (isPresent(state)) return fileOffset + part.from;
    const partial = state === BLOCK.notPresent && hasParent && !part.whole;
    return (await (partial ? this.#placePartly(part) : this.#placeWhole(part))) + part.from;
  }

  async #placePartly(part: BlockPart): Promise<number> {
    const { fileOffset } = await this.#allocator.block();
    await this.#table.clearSectors(part.block);
    await this.#table.setBlock(part.block, BLOCK.partiallyPresent, fileOffset);
    await this.#addSectors(part, fileOffset);
    return fileOffset;
  }

  async #placeWhole(part: BlockPart): Promise<number> {
    const { fileOffset, zeroed } = await this.#allocator.block();
    // The rest of the block reads as zeros from now on, so nothing older may lie there.
    if (!zeroed && !part.whole) await this.#file.zero(fileOffset, this.#table.geometry.blockSize);
    await this.#table.setBlock(part.block, BLOCK.fullyPresent, fileOffset);
    return fileOffset;
  }

  async #addSectors(part: BlockPart, fileOffset: number): Promise<void> {
    const { sectorSize } = this.#table.geometry;
    const complete = await this.#table.setSectors(part.block, part.from / sectorSize, part.to / sectorSize);
    if (complete) await this.#table.setBlock(part.block, BLOCK.fullyPresent, fileOffset);
  }
}
