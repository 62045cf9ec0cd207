/**
 * Which slots of a disk an audit looks at, run after run.
 *
 *   position 0, 1, 2, …  ──stride──►  slot = position × stride mod slots
 *
 * Every run takes the next `count` positions, around and around. The stride is random and has no divisor in common with the
 * number of slots, so a round meets each slot once: slots come in an order that nobody can foresee, the least recently audited
 * first, and after ⌈slots / count⌉ runs every byte was looked at. That bound is why there are no dice in each run.
 */
import { randomInt } from 'node:crypto';
import { MiB, assert } from '../base/index.ts';
import { SLOT_BYTES } from './format.ts';
import { slotCount } from './map-root.ts';

/** How much of a disk one run compares. */
export type AuditBudget =
  | 'off'
  | { readonly bytes: number }
  /** Of the disk: 0.1 is a thousandth. */
  | { readonly percent: number };

/** What a restore point says about the audit of one disk; see docs/formats/repository.md. */
export interface AuditMark {
  /** Of the disk. With another number the sweep begins anew. */
  readonly slots: number;
  readonly stride: number;
  /** First position of this run. */
  readonly from: number;
  /** Positions of this run; 0: the run looked at nothing and the next begins at `from`. */
  readonly count: number;
  /** Bytes that no change was reported of and that were compared. */
  readonly comparedBytes: number;
  /** Of these, bytes that differed. */
  readonly mismatchBytes: number;
}

export interface AuditSample {
  readonly slot: number;
  readonly position: number;
}

/** At 0.1 % of a disk a round takes a thousand runs; below 64 GiB the second term makes it shorter. */
const DEFAULT_PERCENT = 0.1;
const DEFAULT_BYTES_MIN = 64 * MiB;
/** 64 TiB, the largest VHDX: products of two slot numbers stay exact below 2⁵³. */
const SLOTS_MAX = 2 ** 26;

/** Slots of one run: at least one, at most all. */
export function slotsOfBudget(budget: AuditBudget | undefined, sizeBytes: number): number {
  const slots = slotCount(sizeBytes);
  if (budget === 'off') return 0;
  const share = (percent: number): number => Math.ceil((slots * percent) / 100);
  const wanted =
    budget === undefined
      ? Math.max(share(DEFAULT_PERCENT), DEFAULT_BYTES_MIN / SLOT_BYTES)
      : 'bytes' in budget
        ? Math.ceil(budget.bytes / SLOT_BYTES)
        : share(budget.percent);
  return Math.min(slots, Math.max(1, wanted));
}

/** After so many audited runs in a row every byte was looked at; undefined when none looks at anything. */
export function auditBound({ slots, count }: Pick<AuditMark, 'slots' | 'count'>): number | undefined {
  return count === 0 ? undefined : Math.ceil(slots / count);
}

/** The next run of the sweep. A disk of another size, or never audited, begins a new one. */
export function nextAudit(previous: AuditMark | undefined, sizeBytes: number, count: number): AuditMark {
  const slots = slotCount(sizeBytes);
  const nothing = { comparedBytes: 0, mismatchBytes: 0 };
  if (previous?.slots !== slots) {
    const from = slots === 0 ? 0 : randomInt(slots);
    return { slots, stride: randomStride(slots), from, count, ...nothing };
  }
  const { stride } = previous;
  return { slots, stride, from: (previous.from + previous.count) % Math.max(slots, 1), count, ...nothing };
}

/** In ascending order of slots, as the disk is best read. */
export function samplesOf({ slots, stride, from, count }: AuditMark): AuditSample[] {
  assert(slots <= SLOTS_MAX && stride < Math.max(slots, 2), 'a sweep multiplies slot numbers exactly');
  const samples = Array.from({ length: count }, (_, index): AuditSample => {
    const position = (from + index) % slots;
    return { position, slot: (position * stride) % slots };
  });
  return samples.sort((a, b) => a.slot - b.slot);
}

/** Did the run of `mark` look at the slot that `sweep` has at this position? */
export function audited(mark: AuditMark | undefined, sweep: AuditMark, position: number): boolean {
  if (mark?.slots !== sweep.slots || mark.stride !== sweep.stride) return false;
  return (position - mark.from + mark.slots) % mark.slots < mark.count;
}

function randomStride(slots: number): number {
  if (slots < 3) return 1;
  for (;;) {
    const stride = randomInt(1, slots);
    if (greatestCommonDivisor(stride, slots) === 1) return stride;
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  let [low, high] = [a, b];
  while (low !== 0) [low, high] = [high % low, low];
  return high;
}
