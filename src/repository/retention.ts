/**
 * Which restore points of one VM are kept: counted in points, never in days.
 *
 *   newest ──► oldest        last 3      ● ● ●
 *                            daily 2     ●     ●          the newest of each day, of the two newest days that have one
 *                            yearly 1    ●
 *
 * Rules count what is there, so a week without a backup drops nothing: a run that failed makes no point, and no point falls due
 * because time went by. A point that is not good (damaged, or suspect of lacking changes) stands for its hour, day or year only
 * where no good one does, and is not counted.
 *
 * Nobody knows of a good point that it restores before it was read back. So where anything ever was, the newest that were stay
 * too, until newer ones have been verified.
 *
 * A point that was made while the clock stood behind the newest point is dated just after that one (points.ts): when it was really made
 * nobody knows. A clock that once ran a year ahead would put every backup of that year into one day, so such points stand each for
 * itself.
 *
 * A point that was folded into another one is counted no more, and goes when nobody holds it; but where it was verified and the other
 * one was not, it stays as long as it is one of the newest that were.
 */

export const RETENTION_RULES = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
export type RetentionRule = (typeof RETENTION_RULES)[number];

/** How many to keep by each rule. No rule at all keeps everything. */
export type RetentionPolicy = { readonly [Rule in RetentionRule]?: number | undefined } & {
  /** Good points that are never gone below, whatever the rules say, and as many that were verified; default 3. */
  readonly minGood?: number | undefined;
};

export const MIN_GOOD_DEFAULT = 3;

/** A point as retention sees it. */
export interface RetainablePoint {
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  readonly isGood: boolean;
  /** All that it needs was read back since it was made. */
  readonly isVerified?: boolean | undefined;
  /** Somebody holds it: the reason. */
  readonly pin?: string | undefined;
  /** The next increment of a consumer is laid over it. */
  readonly isBaseline: boolean;
  /** Another point that is good has the very same content: see fold.ts. */
  readonly isReplaced?: boolean | undefined;
}

export type KeepReason =
  | RetentionRule
  | 'newest'
  | 'pinned'
  | 'baseline'
  | 'min-good'
  | 'min-verified'
  | 'no-policy';

export interface RetentionVerdict<P extends RetainablePoint = RetainablePoint> {
  readonly point: P;
  /** Empty: it is dropped. */
  readonly keptBy: readonly KeepReason[];
}

/** Of the points of one VM and consumer, in any order. Newest first. Days and weeks are those of UTC; weeks begin on Monday. */
export function retain<P extends RetainablePoint>(
  points: readonly P[],
  policy: RetentionPolicy,
): RetentionVerdict<P>[] {
  const sorted = points.toSorted((a, b) => (a.created < b.created ? 1 : a.created > b.created ? -1 : 0));
  const keptBy = new Map(sorted.map((point) => [point, [] as KeepReason[]]));
  const keep = (point: P, reason: KeepReason): unknown => keptBy.get(point)!.push(reason);
  const counted = sorted.filter(({ isReplaced }) => !isReplaced);
  if (counted[0]) keep(counted[0], 'newest');
  for (const point of sorted) {
    if (point.pin !== undefined) keep(point, 'pinned');
    if (point.isBaseline) keep(point, 'baseline');
    if (isEmpty(policy)) keep(point, 'no-policy');
  }
  for (const rule of RETENTION_RULES) {
    for (const point of keptByRule(counted, rule, policy[rule] ?? 0)) keep(point, rule);
  }
  const good = counted.filter(({ isGood }) => isGood);
  const verified = sorted.filter(({ isGood, isVerified }) => isGood && isVerified);
  for (const [reason, points] of [
    ['min-good', good],
    ['min-verified', verified],
  ] as const) {
    for (const point of points.slice(0, policy.minGood ?? MIN_GOOD_DEFAULT))
      if (keptBy.get(point)!.length === 0) keep(point, reason);
  }
  return sorted.map((point) => ({ point, keptBy: keptBy.get(point)! }));
}

export function isEmpty(policy: RetentionPolicy): boolean {
  return RETENTION_RULES.every((rule) => policy[rule] === undefined);
}

/** Two runs of one VM do not end so close to each other, not even those of a few consumers. */
const DATED_BY_ANOTHER_MS = 10;

/** Points whose time is that of the point before them, and not their own. `points` come newest first. */
function datedByOthers<P extends RetainablePoint>(points: readonly P[]): Set<P> {
  return new Set(
    points.filter((point, index) => {
      const before = points[index + 1];
      return before && Date.parse(point.created) - Date.parse(before.created) < DATED_BY_ANOTHER_MS;
    }),
  );
}

/** `points` come newest first. Once `count` good ones are counted, nothing older is kept by this rule. */
function keptByRule<P extends RetainablePoint>(
  points: readonly P[],
  rule: RetentionRule,
  count: number,
): P[] {
  const kept: P[] = [];
  let counted = 0;
  const undated = datedByOthers(points);
  const period = (point: P): string => periodOf(point, undated.has(point) ? 'last' : rule);
  for (const same of Map.groupBy(points, period).values()) {
    if (counted >= count) break;
    const good = same.find(({ isGood }) => isGood);
    kept.push(good ?? same[0]!);
    if (good) counted += 1;
  }
  return kept;
}

/** What two points of one period share. */
function periodOf({ id, created }: RetainablePoint, rule: RetentionRule): string {
  if (rule === 'last') return id;
  if (rule === 'weekly') return mondayOf(created);
  const lengths = { hourly: 13, daily: 10, monthly: 7, yearly: 4 };
  return new Date(created).toISOString().slice(0, lengths[rule]);
}

function mondayOf(created: string): string {
  const day = new Date(created);
  day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  return day.toISOString().slice(0, 10);
}
