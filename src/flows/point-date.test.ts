import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dateWarnings } from './point-date.ts';

const NOW = Date.UTC(2026, 10, 24, 12);
const vm = { id: 'v', name: 'web01', host: 'HV1', configuration: '' };

test('a point that is dated far ahead of the clock is told of, with both times; clocks may differ a little', () => {
  const codes = (minutes: number): string[] =>
    dateWarnings({ vm, created: new Date(NOW + minutes * 60_000).toISOString() }, NOW).map(
      ({ code }) => code,
    );
  assert.deepEqual([codes(-5), codes(0), codes(59), codes(60)], [[], [], [], ['FLOW_CLOCK_BEHIND']]);
  const [warning] = dateWarnings({ vm, created: '2027-11-24T12:00:00.001Z' }, NOW);
  assert.match(warning!.message, /2026-11-24T12:00:00.000Z.*"web01".*2027-11-24T12:00:00.001Z/);
});
