import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { simulatePolicy } from './simulate-policy.ts';

test('7 days, 4 weeks, 12 months of daily backups: the points come to rest, and reach into the twelfth month', () => {
  const { months, pointsMax } = simulatePolicy({
    keep: { daily: 7, weekly: 4, monthly: 12 },
    everyHours: 24,
  });
  assert.equal(months.length, 36);
  const last = months.slice(-24);
  assert.ok(
    last.every(({ points }) => points >= 18 && points <= 23),
    'weeks and months that end among the days',
  );
  assert.ok(last.every(({ oldestDays }) => oldestDays > 300 && oldestDays < 345));
  assert.ok(pointsMax <= 24);
});

test('hourly backups are counted by the hour', () => {
  const { months } = simulatePolicy({ keep: { hourly: 48 }, everyHours: 1 });
  assert.deepEqual(new Set(months.map(({ points }) => points)), new Set([48]));
});

test('space is bounded by what changed between kept points, and by the whole for each', () => {
  const stored = { fullBytes: 1000, incrementBytes: 10 };
  const daily = simulatePolicy({ keep: { daily: 11 }, everyHours: 24, stored }).months.at(-1)!;
  assert.equal(daily.bytes, 1000 + 10 * 10);
  const yearly = simulatePolicy({
    keep: { last: 1, yearly: 3, minGood: 0 },
    everyHours: 24,
    stored,
  }).months.at(-1)!;
  assert.equal(yearly.bytes, 1000 + 1000 + 1000);
});

test('a policy that drops what is still locked is refused', () => {
  const keep = { daily: 7 };
  assert.equal(simulatePolicy({ keep, everyHours: 24, lockDays: 7 }).droppedAtDays, 8);
  assert.throws(
    () => simulatePolicy({ keep, everyHours: 24, lockDays: 30 }),
    (error) => hasCode(error, 'FLOW_POLICY_CONTRADICTS_LOCK'),
  );
});
