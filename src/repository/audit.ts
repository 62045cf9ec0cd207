/**
 * The audit of an increment: do ranges of which the host reported no change hold what the repository has?
 *
 *   extents of the increment ──watch──► ingest          which cells of the sample were reported
 *                              │
 *   sample ─► not reported ─► read (allocated cells) ─► compare with the base map ─► mismatches
 *
 * Change tracking that forgets a write shows nowhere else: the restore point would be wrong for ever, and so would be every one
 * after it. What is not allocated reads as zeros and costs nothing; that it became so without a report is a mismatch too.
 */
import { mapOrdered } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import { alignOut, alignStream, endOf, normalise, type Extent, type ExtentStream } from '../extents/index.ts';
import { nextAudit, samplesOf, slotsOfBudget } from './audit-sweep.ts';
import type { AuditBudget, AuditMark, AuditSample } from './audit-sweep.ts';
import { BaseContent } from './base-content.ts';
import type { BlockMap } from './block-map.ts';
import { bytesOf, fullMask, gaplessRuns, maskBytes, maskOf } from './cell-mask.ts';
import { CELL_BYTES, SLOT_BYTES } from './format.ts';
import type { MapRoot } from './map-root.ts';
import type { ObjectReader } from './object-reader.ts';
import type { SlotEntry } from './slot.ts';
import { slotLength } from './slot-plan.ts';

export interface AuditRequest {
  /** The frozen disk. */
  readonly reader: Disk;
  /** What the increment is laid over. */
  readonly root: MapRoot;
  readonly budget: AuditBudget | undefined;
  /** Of the restore point that `root` is from. */
  readonly previous: AuditMark | undefined;
}

export interface AuditResult {
  /** For the restore point. */
  readonly mark: AuditMark;
  /** Read from the host for it. */
  readonly readBytes: number;
  /** Where the disk differs although no change was reported; ascending, at most what the budget allows. */
  readonly mismatches: readonly Extent[];
  /** Positions of the sweep with a mismatch. */
  readonly positions: readonly number[];
}

interface Compared {
  readonly sample: AuditSample;
  readonly length: number;
  readonly looked: number;
  readonly read: number;
  readonly changed: number;
}

/** Slots compared at once; each costs 1 MiB and a chunk of the repository. */
const DEPTH = 8;

export class DiskAudit {
  readonly #request: AuditRequest;
  readonly #map: BlockMap;
  readonly #content: BaseContent;
  readonly #mark: AuditMark;
  readonly #samples: readonly AuditSample[];
  /** Cells of the sample that were reported as changed, by slot: as many entries at most as the sample has. */
  readonly #reported: Map<number, number>;

  constructor(request: AuditRequest, parts: { map: BlockMap; objects: ObjectReader }) {
    const { reader, budget, previous } = request;
    this.#request = request;
    this.#map = parts.map;
    this.#content = new BaseContent(parts.objects);
    this.#mark = nextAudit(previous, reader.size, slotsOfBudget(budget, reader.size));
    this.#samples = samplesOf(this.#mark);
    this.#reported = new Map(this.#samples.map(({ slot }) => [slot, 0]));
  }

  /** The same extents; what of them lies in the sample is remembered. The grid is the ingest's, which reads whole cells. */
  async *watch(extents: ExtentStream): AsyncGenerator<Extent> {
    for await (const extent of extents) {
      this.#remember(extent);
      yield extent;
    }
  }

  /** After everything that was watched was read. Throws `REPO_OBJECT_DAMAGED` when the base cannot be read. */
  async run(options: CallOptions = {}): Promise<AuditResult> {
    const mismatches: Extent[] = [];
    const positions: number[] = [];
    const bytes = { read: 0, compared: 0, mismatch: 0 };
    const compared = mapOrdered(this.#samples, DEPTH, (sample) => this.#compare(sample, options));
    for await (const { sample, length, looked, read, changed } of compared) {
      bytes.read += maskBytes(read, length);
      bytes.compared += maskBytes(looked, length);
      bytes.mismatch += maskBytes(changed, length);
      if (changed === 0) continue;
      mismatches.push(...extentsOf(sample.slot, changed, length));
      positions.push(sample.position);
    }
    const mark = { ...this.#mark, comparedBytes: bytes.compared, mismatchBytes: bytes.mismatch };
    return { mark, readBytes: bytes.read, mismatches: normalise(mismatches), positions };
  }

  /** For the restore point of a run in which the audit was not finished: the next one begins where this one did. */
  get unfinished(): AuditMark {
    return { ...this.#mark, count: 0 };
  }

  #remember(extent: Extent): void {
    const [grown] = alignOut([extent], CELL_BYTES, this.#request.reader.size);
    if (!grown || this.#reported.size === 0) return;
    const end = endOf(grown);
    for (let at = grown.offset; at < end;) {
      const slot = Math.floor(at / SLOT_BYTES);
      const next = Math.min(end, (slot + 1) * SLOT_BYTES);
      const known = this.#reported.get(slot);
      if (known !== undefined) {
        this.#reported.set(slot, known | cellsOfPiece({ offset: at, length: next - at }, slot));
      }
      at = next;
    }
  }

  async #compare(sample: AuditSample, options: CallOptions): Promise<Compared> {
    options.signal?.throwIfAborted();
    const { slot } = sample;
    const length = slotLength(slot, this.#request.reader.size);
    const looked = fullMask(length) & ~this.#reported.get(slot)!;
    const base: SlotEntry = await this.#map.entry(this.#request.root, slot);
    const read = looked & (await this.#allocatedCells(slot, length, options));
    if (looked === 0 || (base === null && read === 0)) return { sample, length, looked, read: 0, changed: 0 };
    const content = await this.#read(slot, length, read, options);
    const changed = await this.#content.changedCells(base, content, looked, options);
    return { sample, length, looked, read, changed };
  }

  async #allocatedCells(slot: number, length: number, options: CallOptions): Promise<number> {
    let mask = 0;
    const within = { offset: slot * SLOT_BYTES, length };
    const { reader } = this.#request;
    const allocated = alignStream(reader.allocated(within, options), CELL_BYTES, reader.size);
    for await (const piece of allocated) mask |= cellsOfPiece(piece, slot);
    return mask;
  }

  async #read(slot: number, length: number, mask: number, options: CallOptions): Promise<Uint8Array> {
    const content = new Uint8Array(length);
    for (const run of gaplessRuns(mask)) {
      const offset = slot * SLOT_BYTES + run.cell * CELL_BYTES;
      await this.#request.reader.read(offset, bytesOf(content, run), options);
    }
    return content;
  }
}

function cellsOfPiece({ offset, length }: Extent, slot: number): number {
  const cell = (offset - slot * SLOT_BYTES) / CELL_BYTES;
  return maskOf({ cell, count: Math.ceil(length / CELL_BYTES) });
}

function extentsOf(slot: number, mask: number, length: number): Extent[] {
  return gaplessRuns(mask).map((run) => ({
    offset: slot * SLOT_BYTES + run.cell * CELL_BYTES,
    length: Math.min(run.count * CELL_BYTES, length - run.cell * CELL_BYTES),
  }));
}
