/**
 * When what was read back last: a ring of pack ids, painted with times.
 *
 *   0 ─────── 10:00 ─────── 4a… ── never ── 7f… ─────── 09:00 ─────── 2³²
 *                            └ a budget goes on here: what was never read, then what was read the longest time ago
 *
 * A pack's position are the first 32 bits of its id, which are random: so a share of the ring is a share of the bytes, a pack
 * that was written after its part was read is counted with it, and what has to be remembered are a few spans, whatever the size
 * of the repository. The time of a span is when reading it began: the oldest one says since when every byte was read.
 */
import type { CallOptions } from '../disk/index.ts';
import { viewOf } from '../base/index.ts';
import { StateRecords, type StateParts } from './state-records.ts';

export const RING = 2 ** 32;

/** Positions `[from, to)`, read from the time `at` on (ISO 8601). */
export interface VerifiedSpan {
  readonly from: number;
  readonly to: number;
  readonly at: string;
}

export function ringPosition(packId: Uint8Array): number {
  return viewOf(packId).getUint32(0, false);
}

/** Lays a span over those there are. Sorted, without overlap; neighbours of one time are one. */
export function paint(spans: readonly VerifiedSpan[], over: VerifiedSpan): VerifiedSpan[] {
  if (over.from >= over.to) return [...spans];
  const left = spans.flatMap((span) => cut(span, 0, over.from));
  const right = spans.flatMap((span) => cut(span, over.to, RING));
  const joined: VerifiedSpan[] = [];
  for (const span of [...left, over, ...right]) {
    const last = joined.at(-1);
    if (last?.at === span.at && last.to === span.from) joined[joined.length - 1] = { ...last, to: span.to };
    else joined.push(span);
  }
  return joined;
}

function cut({ from, to, at }: VerifiedSpan, low: number, high: number): VerifiedSpan[] {
  const part = { from: Math.max(from, low), to: Math.min(to, high), at };
  return part.from < part.to ? [part] : [];
}

/** `[from, to)` of the ring. */
export type RingArc = Pick<VerifiedSpan, 'from' | 'to'>;

/** What has to be remembered stays small; what is left out is read once more. */
const ARCS_MAX = 64;

/** The longest parts of the ring in which every pack was read; from a pack that was, up to the next that was not. */
export function arcsOf(packs: readonly { readonly at: number; readonly isRead: boolean }[]): RingArc[] {
  const arcs: RingArc[] = [];
  let from: number | undefined = packs.every(({ isRead }) => isRead) ? 0 : undefined;
  for (const { at, isRead } of packs.toSorted((a, b) => a.at - b.at || Number(b.isRead) - Number(a.isRead))) {
    if (isRead) from ??= at;
    else if (from !== undefined) {
      if (from < at) arcs.push({ from, to: at });
      from = undefined;
    }
  }
  if (from !== undefined) arcs.push({ from, to: RING });
  return arcs.toSorted((a, b) => b.to - b.from - (a.to - a.from)).slice(0, ARCS_MAX);
}

/** Where to go on: at what was never read, else at what was read the longest time ago. */
export function nextPosition(spans: readonly VerifiedSpan[]): number {
  const gap = gapsOf(spans)[0];
  if (gap) return gap.from;
  return spans.reduce((oldest, span) => (span.at < oldest.at ? span : oldest)).from;
}

/** Since when what is at these positions was read; undefined while there is one that never was, or nothing at all. */
export function verifiedSince(
  spans: readonly VerifiedSpan[],
  positions: readonly number[],
): string | undefined {
  let oldest: string | undefined;
  for (const position of positions) {
    const span = spanAt(spans, position);
    if (!span) return undefined;
    if (oldest === undefined || span.at < oldest) oldest = span.at;
  }
  return oldest;
}

/** Was what is at this position ever read? */
export function isVerified(spans: readonly VerifiedSpan[], position: number): boolean {
  return spanAt(spans, position) !== undefined;
}

function spanAt(spans: readonly VerifiedSpan[], position: number): VerifiedSpan | undefined {
  return spans.find(({ from, to }) => from <= position && position < to);
}

function gapsOf(spans: readonly VerifiedSpan[]): { from: number; to: number }[] {
  const gaps: { from: number; to: number }[] = [];
  let reached = 0;
  for (const { from, to } of spans) {
    if (from > reached) gaps.push({ from: reached, to: from });
    reached = to;
  }
  if (reached < RING) gaps.push({ from: reached, to: RING });
  return gaps;
}

export class VerifiedRing {
  readonly #records: StateRecords;
  #spans: readonly VerifiedSpan[] = [];
  /** Restore points that were read whole by themselves, and when that began. */
  #points: ReadonlyMap<string, string> = new Map();

  constructor(parts: StateParts) {
    this.#records = new StateRecords(parts, 'verified');
  }

  get spans(): readonly VerifiedSpan[] {
    return this.#spans;
  }

  get points(): ReadonlyMap<string, string> {
    return this.#points;
  }

  async load(options: CallOptions = {}): Promise<readonly VerifiedSpan[]> {
    const records = await this.#records.load(options);
    if (!records) return this.#spans;
    const found = records.flatMap(spansOf).toSorted((a, b) => (a.at < b.at ? -1 : 1));
    this.#spans = found.reduce<VerifiedSpan[]>(paint, []);
    this.#points = new Map(records.flatMap(pointsOf).toSorted(([, a], [, b]) => (a < b ? -1 : 1)));
    return this.#spans;
  }

  /** Remembers that `[from, from + length)` of the ring was read, beginning at `at`; around the end where it reaches so far. */
  async mark(from: number, length: number, at: string, options: CallOptions = {}): Promise<void> {
    const end = from + length;
    const first = paint(this.#spans, { from, to: Math.min(end, RING), at });
    this.#spans = end > RING ? paint(first, { from: 0, to: end - RING, at }) : first;
    await this.#replace(options);
  }

  /** Remembers that a point was read whole, and with it some parts of the ring. Points not among `existing` are forgotten. */
  async markPoint(
    { id, at, arcs }: { readonly id: string; readonly at: string; readonly arcs: readonly RingArc[] },
    existing: ReadonlySet<string>,
    options: CallOptions = {},
  ): Promise<void> {
    this.#points = new Map([...this.#points, [id, at] as const].filter(([each]) => existing.has(each)));
    this.#spans = arcs.reduce((spans, arc) => paint(spans, { ...arc, at }), this.#spans);
    await this.#replace(options);
  }

  async #replace(options: CallOptions): Promise<void> {
    const points = [...this.#points].map(([id, at]) => ({ id, at }));
    await this.#records.replace({ spans: this.#spans, ...(points.length > 0 ? { points } : {}) }, options);
  }

  check(name: string, options: CallOptions = {}): Promise<void> {
    return this.#records.check(name, options);
  }
}

/** What is no span is left out: it then counts as never read. */
function spansOf({ spans }: Record<string, unknown>): VerifiedSpan[] {
  if (!Array.isArray(spans)) return [];
  return (spans as VerifiedSpan[]).filter(
    ({ from, to, at }) =>
      Number.isSafeInteger(from) &&
      Number.isSafeInteger(to) &&
      from >= 0 &&
      from < to &&
      to <= RING &&
      typeof at === 'string',
  );
}

function pointsOf({ points }: Record<string, unknown>): [string, string][] {
  if (!Array.isArray(points)) return [];
  return (points as { id: unknown; at: unknown }[]).flatMap(({ id, at }): [string, string][] =>
    typeof id === 'string' && typeof at === 'string' ? [[id, at]] : [],
  );
}
