/** From extents to slots: which cells of which slot have to be read. */
import { alignStream, piecesOf, type ExtentStream } from '../extents/index.ts';
import { fullMask, maskOf } from './cell-mask.ts';
import { CELL_BYTES, SLOT_BYTES } from './format.ts';
import { slotCount } from './map-root.ts';

export interface SlotPlan {
  readonly slot: number;
  /** Bytes of the slot: less than 1 MiB for the last one of a disk. */
  readonly length: number;
  /** Cells to read. */
  readonly dirty: number;
  /** What the base has here must not be used: see {@link slotPlans}. */
  readonly fresh: boolean;
}

export function slotLength(slot: number, sizeBytes: number): number {
  return Math.min(SLOT_BYTES, sizeBytes - slot * SLOT_BYTES);
}

/**
 * Plans in ascending order of slots. `staleTail`: the base holds bytes behind the disk's end, since the disk shrank; the
 * last slot is then read whole and written anew, or those bytes would come back when the disk grows again.
 */
export async function* slotPlans(
  extents: ExtentStream,
  sizeBytes: number,
  staleTail: boolean,
): AsyncGenerator<SlotPlan> {
  const last = slotCount(sizeBytes) - 1;
  let open: { slot: number; dirty: number } | undefined;
  const planOf = ({ slot, dirty }: { slot: number; dirty: number }): SlotPlan => {
    const length = slotLength(slot, sizeBytes);
    const fresh = staleTail && slot === last;
    return { slot, length, fresh, dirty: fresh ? fullMask(length) : dirty };
  };
  for await (const piece of piecesOf(alignStream(extents, CELL_BYTES, sizeBytes), SLOT_BYTES)) {
    const slot = Math.floor(piece.offset / SLOT_BYTES);
    const cell = (piece.offset - slot * SLOT_BYTES) / CELL_BYTES;
    const dirty = maskOf({ cell, count: Math.ceil(piece.length / CELL_BYTES) });
    if (open?.slot === slot) open.dirty |= dirty;
    else {
      if (open) yield planOf(open);
      open = { slot, dirty };
    }
  }
  if (open) yield planOf(open);
  if (staleTail && open?.slot !== last) yield planOf({ slot: last, dirty: 0 });
}
