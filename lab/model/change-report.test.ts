import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clip, intersect, normalise, subtract, totalBytes, type Extent } from '../../src/extents/index.ts';
import { reportChanges, type ReportOptions } from './change-report.ts';

const SIZE = 100_000;

const options: fc.Arbitrary<ReportOptions> = fc.record({
  granularityBytes: fc.constantFrom(1, 512, 4096),
  order: fc.constantFrom('sorted', 'reversed', 'shuffled'),
  coalesce: fc.boolean(),
  overlapping: fc.boolean(),
  overReport: fc.constantFrom(0, 0.5, 3),
  underReport: fc.constant(0),
  pastEnd: fc.boolean(),
  rangesMax: fc.constantFrom(0, 1, 5, 50),
  seed: fc.nat(),
});
const changes = fc.array(fc.tuple(fc.nat(SIZE - 1), fc.integer({ min: 1, max: 900 })), { maxLength: 30 });

test('whatever the wording, asking window by window yields every changed byte and comes to an end', () => {
  fc.assert(
    fc.property(changes, options, fc.integer({ min: 1, max: SIZE }), (added, settings, step) => {
      const coarse = settings.granularityBytes === 1 ? { ...settings, coalesce: true } : settings;
      const changed = clip(normalise(added.map(([offset, length]) => ({ offset, length }))), SIZE);
      const answered = [];
      for (let at = 0; at < SIZE;) {
        const window = { offset: at, length: Math.min(step, SIZE - at) };
        const report = reportChanges(intersect(changed, [window]), window, SIZE, coarse);
        assert.ok(report.processedBytes > 0 && report.processedBytes <= window.length);
        answered.push(...report.ranges);
        at += report.processedBytes;
      }
      assert.deepEqual(subtract(changed, normalise(answered)), []);
    }),
    { numRuns: 300 },
  );
});

test('with the plain wording an answer says what changed and not a byte more', () => {
  fc.assert(
    fc.property(changes, (added) => {
      const changed = clip(normalise(added.map(([offset, length]) => ({ offset, length }))), SIZE);
      const plain: ReportOptions = {
        granularityBytes: 512,
        order: 'sorted',
        coalesce: true,
        overlapping: false,
        overReport: 0,
        underReport: 0,
        pastEnd: false,
        rangesMax: 0,
        seed: 0,
      };
      const { ranges } = reportChanges(changed, { offset: 0, length: SIZE }, SIZE, plain);
      assert.deepEqual(ranges, changed);
    }),
  );
});

test('each oddity shows: order, overlap, ranges past the end, unchanged ranges, a short answer, silence', () => {
  const changed = [
    { offset: 4096, length: 8192 },
    { offset: 40_960, length: 4096 },
    { offset: SIZE - 1000, length: 1000 },
  ];
  const plain: ReportOptions = {
    granularityBytes: 4096,
    order: 'sorted',
    coalesce: true,
    overlapping: false,
    overReport: 0,
    underReport: 0,
    pastEnd: false,
    rangesMax: 0,
    seed: 3,
  };
  const ask = (change: Partial<ReportOptions>): ReturnType<typeof reportChanges> =>
    reportChanges(changed, { offset: 0, length: SIZE }, SIZE, { ...plain, ...change });
  assert.deepEqual(ask({ order: 'reversed' }).ranges, changed.toReversed());
  assert.equal(ask({ coalesce: false }).ranges.length, 4);
  assert.ok(totalBytes(ask({ overlapping: true }).ranges) > totalBytes(changed) * 2);
  assert.equal(Math.max(...ask({ pastEnd: true }).ranges.map((r) => r.offset + r.length)), SIZE + 4096);
  assert.ok(totalBytes(normalise(ask({ overReport: 2 }).ranges)) > totalBytes(changed));
  assert.deepEqual(ask({ rangesMax: 1 }), { processedBytes: 40_960, ranges: changed.slice(0, 1) });
  assert.deepEqual(ask({ underReport: 1 }), { processedBytes: SIZE, ranges: [] });
});

test('an under-reporting host keeps back about the share it is told to, the same for every way of asking', () => {
  const changed = [{ offset: 0, length: 2 ** 26 }];
  const options: ReportOptions = {
    granularityBytes: 4096,
    order: 'sorted',
    coalesce: true,
    overlapping: false,
    overReport: 0,
    underReport: 0.005,
    pastEnd: false,
    rangesMax: 0,
    seed: 5,
  };
  const size = 2 ** 26;
  const ask = (window: Extent): Extent[] => [
    ...reportChanges(intersect(changed, [window]), window, size, options).ranges,
  ];
  const told = ask({ offset: 0, length: size });
  const halves = [ask({ offset: 0, length: size / 2 }), ask({ offset: size / 2, length: size / 2 })].flat();
  assert.deepEqual(normalise(halves), told);
  const share = (size - totalBytes(told)) / size;
  assert.ok(share > 0.0035 && share < 0.0065, `${share} is kept back`);
});
