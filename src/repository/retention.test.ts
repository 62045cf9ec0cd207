/** Retention against a model that is written otherwise: by asking of each point whether some rule needs it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  RETENTION_RULES,
  retain,
  type RetainablePoint,
  type RetentionPolicy,
  type RetentionRule,
} from './retention.ts';

const HOUR_MS = 3_600_000;
const START = Date.UTC(2024, 11, 20); // weeks, months and a year end soon after

const pointArbitrary = fc.record({
  hours: fc.integer({ min: 0, max: 24 * 900 }),
  isGood: fc.boolean(),
  isVerified: fc.boolean(),
  isPinned: fc.integer({ min: 0, max: 9 }).map((value) => value === 0),
  isBaseline: fc.integer({ min: 0, max: 19 }).map((value) => value === 0),
  isReplaced: fc.integer({ min: 0, max: 9 }).map((value) => value === 0),
});

const pointsArbitrary = fc
  .uniqueArray(pointArbitrary, { maxLength: 60, selector: ({ hours }) => hours })
  .map((drawn) =>
    drawn.map(({ hours, isGood, isVerified, isPinned, isBaseline, isReplaced }, index): RetainablePoint => ({
      id: `p${index}`,
      created: new Date(START + hours * HOUR_MS).toISOString(),
      isGood,
      isVerified,
      isBaseline,
      isReplaced,
      ...(isPinned ? { pin: 'held' } : {}),
    })),
  );

const policyArbitrary: fc.Arbitrary<RetentionPolicy> = fc.record(
  Object.fromEntries([...RETENTION_RULES, 'minGood'].map((rule) => [rule, fc.integer({ min: 0, max: 8 })])),
  { requiredKeys: [] },
);

/** Numbers of periods, counted from a Monday long ago. */
function numberOf(point: RetainablePoint, rule: RetentionRule): number {
  const date = new Date(point.created);
  const hours = (date.getTime() - Date.UTC(2000, 0, 3)) / HOUR_MS;
  const months = date.getUTCFullYear() * 12 + date.getUTCMonth();
  if (rule === 'last') return date.getTime();
  if (rule === 'hourly') return Math.floor(hours);
  if (rule === 'daily') return Math.floor(hours / 24);
  if (rule === 'weekly') return Math.floor(hours / 168);
  return rule === 'monthly' ? months : Math.floor(months / 12);
}

function isNeeded(
  point: RetainablePoint,
  points: readonly RetainablePoint[],
  rule: RetentionRule,
  count: number,
): boolean {
  const own = numberOf(point, rule);
  const same = points.filter((each) => numberOf(each, rule) === own);
  const stand = same.some(({ isGood }) => isGood) ? same.filter(({ isGood }) => isGood) : same;
  const newest = stand.reduce((a, b) => (a.created > b.created ? a : b));
  const later = points.filter((each) => each.isGood && numberOf(each, rule) > own);
  return newest === point && new Set(later.map((each) => numberOf(each, rule))).size < count;
}

function modelKeeps(
  point: RetainablePoint,
  points: readonly RetainablePoint[],
  policy: RetentionPolicy,
): boolean {
  const newer = points.filter(({ created }) => created > point.created);
  const counted = points.filter(({ isReplaced }) => !isReplaced);
  const isCounted = !point.isReplaced;
  const newerCounted = newer.filter((each) => counted.includes(each));
  const isNewest = isCounted && newerCounted.length === 0;
  const held = isNewest || point.pin !== undefined || point.isBaseline;
  const isFree = RETENTION_RULES.every((rule) => policy[rule] === undefined);
  const least = policy.minGood ?? 3;
  const isGood = isCounted && point.isGood;
  const isNewestGood = isGood && newerCounted.filter((each) => each.isGood).length < least;
  const isSound = ({ isGood, isVerified }: RetainablePoint): boolean => isGood && isVerified === true;
  const isNewestVerified = isSound(point) && newer.filter(isSound).length < least;
  return (
    held ||
    isFree ||
    isNewestGood ||
    isNewestVerified ||
    (isCounted && RETENTION_RULES.some((rule) => isNeeded(point, counted, rule, policy[rule] ?? 0)))
  );
}

test('what is kept is what some rule needs, in any mix of rules, pins, baselines and damage', () => {
  fc.assert(
    fc.property(pointsArbitrary, policyArbitrary, (points, policy) => {
      const kept = retain(points, policy).filter(({ keptBy }) => keptBy.length > 0);
      const expected = points.filter((point) => modelKeeps(point, points, policy));
      assert.deepEqual(new Set(kept.map(({ point }) => point.id)), new Set(expected.map(({ id }) => id)));
    }),
    { numRuns: 2000 },
  );
});

test('pruning twice is pruning once', () => {
  fc.assert(
    fc.property(pointsArbitrary, policyArbitrary, (points, policy) => {
      const once = retain(points, policy).filter(({ keptBy }) => keptBy.length > 0);
      const twice = retain(
        once.map(({ point }) => point),
        policy,
      );
      assert.ok(twice.every(({ keptBy }) => keptBy.length > 0));
    }),
    { numRuns: 1000 },
  );
});

test('a new point never revives or endangers more than one point a rule', () => {
  fc.assert(
    fc.property(pointsArbitrary, policyArbitrary, (points, policy) => {
      const kept = retain(points, policy)
        .filter(({ keptBy }) => keptBy.length > 0)
        .map(({ point }) => point);
      const next = {
        id: 'next',
        created: new Date(START + 24_000 * HOUR_MS).toISOString(),
        isGood: false,
        isBaseline: false,
      };
      const dropped = retain([...kept, next], policy).filter(({ keptBy }) => keptBy.length === 0);
      assert.ok(
        dropped.length <= 1,
        'a point that is not good takes no place; only the newest may have been kept as that',
      );
    }),
  );
});

const daily = (
  days: number,
  change: (day: number) => Partial<RetainablePoint> = () => ({}),
): RetainablePoint[] =>
  Array.from({ length: days }, (_, day) => ({
    id: `d${day}`,
    created: new Date(Date.UTC(2026, 0, 1 + day, 22)).toISOString(),
    isGood: true,
    isBaseline: false,
    ...change(day),
  }));

function keptIds(points: readonly RetainablePoint[], policy: RetentionPolicy): string[] {
  return retain(points, policy).flatMap(({ point, keptBy }) => (keptBy.length > 0 ? [point.id] : []));
}

test('a month of failed runs drops nothing', () => {
  const points = daily(10);
  assert.equal(keptIds(points, { daily: 10 }).length, 10);
  const later = { ...points[0]!, id: 'after', created: '2026-03-01T00:00:00.000Z' };
  assert.deepEqual(
    keptIds([...points, later], { daily: 10 }).length,
    10,
    'the one new point replaces one old one',
  );
});

test('grandfather, father, son: 7 days, 4 weeks, 12 months of daily points', () => {
  const kept = keptIds(daily(400), { daily: 7, weekly: 4, monthly: 12 });
  assert.equal(kept.length, 7 + 2 + 10, 'two weeks and two months end among the days');
});

test('points that are dated by another one are not taken for one day, and do not hide the days before', () => {
  const dates = [0, 24, 48, 24 * 365].map((hours) => START + hours * HOUR_MS);
  // The last one is of a clock a year ahead; what follows, a backup a day, is dated just after it.
  for (let run = 1; run <= 30; run += 1) dates.push(dates[3]! + run);
  const points = dates.map((date, index): RetainablePoint => ({
    id: `p${index}`,
    created: new Date(date).toISOString(),
    isGood: true,
    isBaseline: false,
  }));
  const kept = (policy: RetentionPolicy): string[] =>
    retain(points, { minGood: 0, ...policy })
      .filter(({ keptBy }) => keptBy.length > 0)
      .map(({ point }) => point.id);
  assert.deepEqual(kept({ daily: 3 }), ['p33', 'p32', 'p31']);
  assert.deepEqual(kept({ daily: 33 }).slice(-3), ['p3', 'p2', 'p1']);
});

test('damaged points do not count: the good ones behind them stay', () => {
  const points = daily(10, (day) => ({ isGood: day < 6 }));
  assert.deepEqual(keptIds(points, { last: 2 }), ['d9', 'd8', 'd7', 'd6', 'd5', 'd4', 'd3']);
  assert.deepEqual(keptIds(points, { last: 2, minGood: 0 }), ['d9', 'd8', 'd7', 'd6', 'd5', 'd4']);
});

test('points that were verified stay until newer ones are, however many unverified ones there are', () => {
  const points = daily(20, (day) => ({ isVerified: day < 5 }));
  assert.deepEqual(keptIds(points, { last: 2 }), ['d19', 'd18', 'd17', 'd4', 'd3', 'd2']);
  const later = daily(20, (day) => ({ isVerified: day < 18 }));
  assert.deepEqual(keptIds(later, { last: 2 }), ['d19', 'd18', 'd17', 'd16', 'd15']);
  assert.deepEqual(keptIds(daily(20), { last: 2 }), ['d19', 'd18', 'd17'], 'nothing was ever verified');
});
