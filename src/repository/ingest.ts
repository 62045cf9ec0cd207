/**
 * Reading a disk into the repository.
 *
 *   extents ─► slot plans ─► read ─► hash (worker) ─► new? ─► encode (worker) ─► pack ─► map
 *              └────────── at most `readDepth` slots at once, each in a shared buffer ──┘  └ in disk order ┘
 *
 * A full and a delta are the same thing: cells laid over a base, which for a first full is nothing. What is read is hashed
 * before it is compressed, so that nothing is compressed twice or in vain. A compare reads all that is allocated, and lays over
 * its base only the cells that hold other bytes; what is allocated no more becomes zeros.
 */
import { Mutex, isFault, mapOrdered, silentProgress, type Progress } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import type { ExtentStream } from '../extents/index.ts';
import { BaseContent } from './base-content.ts';
import type { BlockMap } from './block-map.ts';
import { comparePlans } from './compare-plans.ts';
import { bitCount, bytesOf, fullMask, gaplessRuns, isMostOf, maskBytes, type Run } from './cell-mask.ts';
import { FoldCredit, isWorthFolding, type FoldBudget } from './fold.ts';
import { CELLS, CELL_BYTES, SLOT_BYTES, hexOf } from './format.ts';
import { SLOT_BUFFER_BYTES, type HashReply, type RepositoryPool } from './jobs.ts';
import { MapPatch } from './map-patch.ts';
import { emptyRoot, slotCount, type MapRoot } from './map-root.ts';
import type { ObjectReader } from './object-reader.ts';
import type { SessionObjects } from './session-objects.ts';
import { cellsOf, entryOf, sameCell, type Cell, type SlotEntry } from './slot.ts';
import { slotLength, slotPlans, type SlotPlan } from './slot-plan.ts';

export interface IngestRequest extends CallOptions {
  readonly reader: RangeReader;
  /** What to read, sorted: what is allocated for a full, what changed for a delta. What `base` lacks elsewhere is zeros. */
  readonly extents: ExtentStream;
  /** Bytes of the disk. */
  readonly size: number;
  /** Map of the same disk in a committed restore point. */
  readonly base?: MapRoot;
  /** The extents are all that is allocated: everything is compared with `base`, and what it has elsewhere is zeros now. */
  readonly compare?: boolean;
  /** Advanced by the bytes read. */
  readonly progress?: Progress;
  /** Slots in work at once; each costs 2 MiB. */
  readonly readDepth?: number;
  /** How much may be stored so that slots of many pieces become whole: see fold.ts. Default: `off`. */
  readonly fold?: FoldBudget;
  /** Nothing of the extents has changed: their slots are taken from `base`, and only folded. */
  readonly refold?: boolean;
}

export interface IngestStats {
  /** Read from the source. */
  readBytes: number;
  /** Read, and other than in the base; for a first full, read and not zeros. */
  changedBytes: number;
  /** Read, and only zeros. */
  zeroBytes: number;
  /** Content the repository did not have, before compression. */
  newRawBytes: number;
  /** What that takes in the packs. */
  newStoredBytes: number;
  /** Changed content the repository had already. */
  dedupBytes: number;
  newChunks: number;
  dedupChunks: number;
  /** Pages of the map written for it. */
  metadataBytes: number;
  /** Slots of many pieces that were stored whole, and what of that had not changed. */
  foldedSlots: number;
  foldedBytes: number;
}

export interface IngestResult {
  readonly root: MapRoot;
  readonly stats: IngestStats;
}

export interface IngestParts {
  readonly map: BlockMap;
  readonly objects: ObjectReader;
  readonly pool: RepositoryPool;
  readonly session: SessionObjects;
}

const READ_DEPTH = 16;
/** Fetching a base chunk of up to 1 MiB to find out that less than 256 KiB did not change costs more than it saves. */
const COMPARE_CELLS_MIN = 4;

interface Hashed {
  readonly dirty: number;
  readonly hash: HashReply;
  readonly cells: readonly Cell[];
  /** Cells with other bytes than in the base, where that was looked at. */
  readonly changed?: number;
}

interface FoldedSlot {
  readonly base: SlotEntry;
  readonly found: Hashed;
  readonly changed: number;
  /** Cells whose content is in the buffer. */
  readonly laidOver: number;
}

interface SlotResult {
  readonly plan: SlotPlan;
  readonly buffer: SharedArrayBuffer;
  readonly entry: SlotEntry;
  readonly unchanged: boolean;
  readonly readMask: number;
  readonly zeros: number;
  readonly changed: number;
  readonly runs: HashReply['runs'];
  readonly fresh: readonly {
    readonly id: Uint8Array;
    readonly rawLength: number;
    readonly at: number;
    readonly length: number;
  }[];
}

export class DiskIngest {
  readonly #request: IngestRequest;
  readonly #parts: IngestParts;
  readonly #base: MapRoot;
  readonly #content: BaseContent;
  readonly #progress: Progress;
  readonly #credit: FoldCredit;
  /** One slot at a time: each may take 16 chunks of 1 MiB. */
  readonly #folding = new Mutex();
  readonly #buffers: SharedArrayBuffer[] = [];
  readonly #stats: IngestStats = {
    readBytes: 0,
    changedBytes: 0,
    zeroBytes: 0,
    newRawBytes: 0,
    newStoredBytes: 0,
    dedupBytes: 0,
    newChunks: 0,
    dedupChunks: 0,
    metadataBytes: 0,
    foldedSlots: 0,
    foldedBytes: 0,
  };

  constructor(request: IngestRequest, parts: IngestParts) {
    this.#request = request;
    this.#parts = parts;
    this.#base = request.base ?? emptyRoot(request.size);
    this.#content = new BaseContent(parts.objects);
    this.#progress = request.progress ?? silentProgress;
    this.#credit = new FoldCredit(request.fold ?? 'off');
  }

  async run(): Promise<IngestResult> {
    try {
      return await this.#run();
    } finally {
      this.#parts.session.disown(this);
    }
  }

  async #run(): Promise<IngestResult> {
    const { extents, size, readDepth = READ_DEPTH } = this.#request;
    const plans = this.#plans(slotPlans(extents, size, await this.#tailIsStale()));
    const patch = await MapPatch.start(
      this.#parts.map,
      (kind, raw) => this.#storePage(kind, raw),
      size,
      this.#base,
    );
    for await (const result of mapOrdered(plans, readDepth, (plan) => this.#process(plan))) {
      await this.#store(result);
      if (!result.unchanged) await patch.update({ slot: result.plan.slot, entry: result.entry });
      this.#buffers.push(result.buffer);
    }
    return { root: await patch.finish(), stats: this.#stats };
  }

  #plans(plans: AsyncGenerator<SlotPlan>): AsyncGenerator<SlotPlan> {
    const { compare, size } = this.#request;
    if (!compare) return plans;
    const inBase = this.#parts.map.walk(this.#base, 0, slotCount(size));
    return comparePlans(plans, inBase, (slot) => slotLength(slot, size));
  }

  async #tailIsStale(): Promise<boolean> {
    const { size } = this.#request;
    const last = slotCount(size) - 1;
    if (this.#base.id === null || size % SLOT_BYTES === 0) return false;
    const entry = await this.#parts.map.entry(this.#base, last);
    return entry !== null && this.#content.reachesBeyond(entry, slotLength(last, size));
  }

  async #process(plan: SlotPlan): Promise<SlotResult> {
    this.#request.signal?.throwIfAborted();
    const buffer = this.#buffers.pop() ?? new SharedArrayBuffer(SLOT_BUFFER_BYTES);
    const base = plan.fresh ? null : await this.#parts.map.entry(this.#base, plan.slot);
    const readMask = this.#cellsToRead(plan);
    await this.#read(plan, readMask, buffer);
    const baseCells = cellsOf(base);
    const laidOver = this.#request.compare && base !== null ? fullMask(plan.length) : readMask;
    zeroCells(new Uint8Array(buffer, 0, plan.length), laidOver & ~readMask);
    const read = await this.#hash(plan, buffer, laidOver, baseCells);
    const found = await this.#withoutUnchanged(plan, buffer, base, read);
    const changed = found.changed ?? changedMask(found, baseCells);
    const isSame = !plan.fresh && found.cells.every((cell, index) => sameCell(cell, baseCells[index]!));
    const hashed =
      isSame && !this.#request.refold
        ? found
        : await this.#folded(plan, buffer, { base, found, changed, laidOver });
    const unchanged = isSame && hashed === found;
    const runs = unchanged ? [] : hashed.hash.runs;
    const fresh = await this.#encode(plan, buffer, runs);
    const entry = entryOf(hashed.cells);
    return {
      plan,
      buffer,
      entry,
      unchanged,
      readMask,
      zeros: read.hash.zeros & readMask,
      changed,
      runs,
      fresh,
    };
  }

  #cellsToRead({ dirty, length, fresh }: SlotPlan): number {
    if (this.#request.refold && !fresh) return 0;
    return isMostOf(dirty, length) ? fullMask(length) : dirty;
  }

  async #read(plan: SlotPlan, mask: number, buffer: SharedArrayBuffer): Promise<void> {
    const slot = new Uint8Array(buffer, 0, plan.length);
    for (const run of gaplessRuns(mask)) {
      const into = bytesOf(slot, run);
      const offset = plan.slot * SLOT_BYTES + run.cell * CELL_BYTES;
      await this.#request.reader.read(offset, into, { signal: this.#request.signal });
      this.#progress.advance(into.length);
    }
  }

  /** The cells of the slot once `dirty` is laid over the base. */
  async #hash(
    plan: SlotPlan,
    buffer: SharedArrayBuffer,
    dirty: number,
    baseCells: readonly Cell[],
  ): Promise<Hashed> {
    const whole = dirty === fullMask(plan.length);
    const hash = await this.#parts.pool.run('hash', { buffer, dirty, length: plan.length, whole });
    const cells = whole ? Array.from({ length: CELLS }, (): Cell => null) : [...baseCells];
    for (const { cell } of gaplessCells(dirty)) cells[cell] = null;
    for (const run of hash.runs) layOver(cells, run, plan.length);
    return { dirty, hash, cells };
  }

  /** Compares with the base where that pays, and leaves out what did not change although it was reported. */
  async #withoutUnchanged(
    plan: SlotPlan,
    buffer: SharedArrayBuffer,
    base: SlotEntry,
    read: Hashed,
  ): Promise<Hashed> {
    const baseCells = cellsOf(base);
    const same = read.cells.every((cell, index) => sameCell(cell, baseCells[index]!));
    const tooFew = bitCount(read.dirty) < COMPARE_CELLS_MIN && !this.#request.compare;
    if (base === null || same || tooFew) return read;
    const slot = new Uint8Array(buffer, 0, plan.length);
    const changed = await this.#content.changedCells(base, slot, read.dirty, {
      signal: this.#request.signal,
    });
    // What is all zeros now costs nothing as it was read, and leaves no chunk behind of which nothing is used.
    const emptied = changed !== 0 && read.hash.runs.length === 0;
    const asRead = emptied || changed === read.dirty || isMostOf(changed, plan.length);
    return { ...(asRead ? read : await this.#hash(plan, buffer, changed, baseCells)), changed };
  }

  /** The slot as one chunk, where that is worth it and the budget allows; as it was found, where the base cannot be read. */
  async #folded(
    plan: SlotPlan,
    buffer: SharedArrayBuffer,
    { base, found, changed, laidOver }: FoldedSlot,
  ): Promise<Hashed> {
    if (base === null || this.#credit.isOff) return found;
    const asked = found.hash.runs.reduce((sum, run) => sum + runBytes(run, plan.length), 0);
    this.#credit.note(maskBytes(changed, plan.length), asked);
    const cost = plan.length - asked;
    if (!isWorthFolding(found.cells, plan.length) || !this.#credit.take(cost)) return found;
    const whole = fullMask(plan.length);
    const slot = new Uint8Array(buffer, 0, plan.length);
    try {
      await this.#folding.run(() => this.#content.fill(base, slot, whole & ~laidOver, this.#request));
    } catch (error) {
      if (!isFault(error) || error.kind !== 'corrupt') throw error;
      this.#credit.giveBack(cost);
      return found;
    }
    this.#stats.foldedSlots += 1;
    this.#stats.foldedBytes += cost;
    if (this.#request.refold) this.#progress.advance(plan.length);
    return this.#hash(plan, buffer, whole, cellsOf(base));
  }

  /** Seals what the repository does not have. */
  async #encode(
    plan: SlotPlan,
    buffer: SharedArrayBuffer,
    runs: HashReply['runs'],
  ): Promise<SlotResult['fresh']> {
    const { session, pool } = this.#parts;
    const claimed: (typeof runs)[number][] = [];
    for (const run of runs) if (await session.claim(run.id, this)) claimed.push(run);
    if (claimed.length === 0) return [];
    const job = { buffer, length: plan.length, salt: session.salt, runs: claimed };
    const { lengths } = await pool.run('encode', job);
    let at = SLOT_BYTES;
    return claimed.map((run, index) => {
      const length = lengths[index]!;
      at += length;
      return { id: run.id, rawLength: runBytes(run, plan.length), at: at - length, length };
    });
  }

  async #store(result: SlotResult): Promise<void> {
    for (const { id, rawLength, at, length } of result.fresh) {
      const bytes = new Uint8Array(result.buffer, at, length);
      await this.#parts.session.append({ kind: 'data', id, rawLength, bytes });
      this.#stats.newRawBytes += rawLength;
      this.#stats.newStoredBytes += length;
    }
    const { length } = result.plan;
    const stored = result.fresh.reduce((sum, { rawLength }) => sum + rawLength, 0);
    const asked = result.runs.reduce((sum, run) => sum + runBytes(run, length), 0);
    this.#stats.readBytes += maskBytes(result.readMask, length);
    this.#stats.zeroBytes += maskBytes(result.zeros, length);
    this.#stats.changedBytes += maskBytes(result.changed & fullMask(length), length);
    this.#stats.dedupBytes += asked - stored;
    this.#stats.newChunks += result.fresh.length;
    this.#stats.dedupChunks += result.runs.length - result.fresh.length;
  }

  async #storePage(kind: 'leaf' | 'node', raw: Uint8Array): Promise<string> {
    const { id, storedBytes } = await this.#parts.session.store(kind, raw);
    this.#stats.metadataBytes += storedBytes;
    return id;
  }
}

/** The buffer was used for another slot before. */
function zeroCells(slot: Uint8Array, mask: number): void {
  for (const run of gaplessRuns(mask)) bytesOf(slot, run).fill(0);
}

function layOver(cells: Cell[], run: Run & { readonly id: Uint8Array }, length: number): void {
  const id = hexOf(run.id);
  // A chunk of a whole short slot stands for all 16 cells: behind its end it reads as zeros, and the entry stays a CHUNK.
  const count = run.cell === 0 && run.count * CELL_BYTES >= length ? CELLS : run.count;
  for (let i = 0; i < count; i += 1) cells[run.cell + i] = { id, cell: i };
}

function gaplessCells(mask: number): Run[] {
  return gaplessRuns(mask).flatMap((run) =>
    Array.from({ length: run.count }, (_, i) => ({ cell: run.cell + i, count: 1 })),
  );
}

/** Cells that come from elsewhere than in the base and are not zeros in both. */
function changedMask({ cells, hash }: Hashed, baseCells: readonly Cell[]): number {
  let mask = 0;
  for (let index = 0; index < CELLS; index += 1) {
    const bothZero = baseCells[index] === null && (hash.zeros >>> index) & 1;
    if (!bothZero && !sameCell(cells[index]!, baseCells[index]!)) mask |= 1 << index;
  }
  return mask;
}

function runBytes(run: Run, length: number): number {
  return Math.min(run.count * CELL_BYTES, length - run.cell * CELL_BYTES);
}
