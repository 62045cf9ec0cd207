/**
 * What a retention policy comes to, before anybody relies on it: backups at a fixed pace, pruned once a day, for three years.
 *
 * Space is an upper bound: what a kept point holds alone is at most what changed since the kept point before it, and never
 * more than the whole.
 */
import { retain, type RetainablePoint, type RetentionPolicy } from '../repository/index.ts';
import { flowFaults } from './faults.ts';

export interface SimulationRequest {
  readonly keep: RetentionPolicy;
  /** Between two backups of a VM. */
  readonly everyHours: number;
  /** Days for which the store lets nobody delete what was written; default: it does not. */
  readonly lockDays?: number | undefined;
  /** Of one VM, as its points were stored until now. */
  readonly stored?: { readonly fullBytes: number; readonly incrementBytes: number } | undefined;
}

export interface SimulatedMonth {
  /** From 1. */
  readonly month: number;
  readonly points: number;
  readonly oldestDays: number;
  /** Upper bound; absent when nothing is known of what is stored. */
  readonly bytes?: number;
}

export interface Simulation {
  readonly months: readonly SimulatedMonth[];
  readonly pointsMax: number;
  /** The youngest that a point was when it was dropped; absent: none was. */
  readonly droppedAtDays?: number;
}

const MONTHS = 36;
const DAYS_A_MONTH = 30.4375;
const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 0, 1);

/** Throws `FLOW_POLICY_CONTRADICTS_LOCK`. */
export function simulatePolicy(request: SimulationRequest): Simulation {
  const { keep, everyHours, lockDays = 0 } = request;
  const months: SimulatedMonth[] = [];
  let kept: RetainablePoint[] = [];
  let droppedAtDays = Infinity;
  let pointsMax = 0;
  let made = 0;
  for (let day = 1; day <= Math.ceil(MONTHS * DAYS_A_MONTH); day += 1) {
    for (; made * everyHours < day * 24; made += 1) kept.push(pointAt(START + made * everyHours * 3_600_000));
    pointsMax = Math.max(pointsMax, kept.length);
    const verdicts = retain(kept, keep);
    const now = START + day * DAY_MS;
    for (const { point, keptBy } of verdicts)
      if (keptBy.length === 0) droppedAtDays = Math.min(droppedAtDays, ageDays(point, now));
    kept = verdicts.filter(({ keptBy }) => keptBy.length > 0).map(({ point }) => point);
    if (day >= (months.length + 1) * DAYS_A_MONTH)
      months.push(monthOf(months.length + 1, kept, now, request));
  }
  if (droppedAtDays < lockDays)
    throw flowFaults.policyContradictsLock({ dropped: Math.floor(droppedAtDays), locked: lockDays });
  return {
    months,
    pointsMax,
    ...(droppedAtDays === Infinity ? {} : { droppedAtDays: Math.floor(droppedAtDays) }),
  };
}

function pointAt(time: number): RetainablePoint {
  const created = new Date(time).toISOString();
  return { id: created, created, isGood: true, isBaseline: false };
}

function ageDays({ created }: RetainablePoint, now: number): number {
  return (now - Date.parse(created)) / DAY_MS;
}

/** `kept` come newest first. */
function monthOf(
  month: number,
  kept: readonly RetainablePoint[],
  now: number,
  { everyHours, stored }: SimulationRequest,
): SimulatedMonth {
  const oldestDays = Math.floor(ageDays(kept.at(-1)!, now));
  if (!stored) return { month, points: kept.length, oldestDays };
  const { fullBytes, incrementBytes } = stored;
  const between = kept
    .slice(1)
    .map((older, index) => Date.parse(kept[index]!.created) - Date.parse(older.created));
  const own = between.map((gapMs) => Math.min(fullBytes, (gapMs / 3_600_000 / everyHours) * incrementBytes));
  const bytes = Math.round(own.reduce((sum, each) => sum + each, fullBytes));
  return { month, points: kept.length, oldestDays, bytes };
}
