import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  cimDatetime,
  datetimeElement,
  parseCimDatetime,
  parseIsoDatetime,
  parseIsoInterval,
} from './datetime.ts';

test('durations and moments are written as recorded, trailing zeros dropped (get_response_storagejob_*, pull_vm_off)', () => {
  const cases = [
    [{ intervalSeconds: 1.00417 }, '<cim:Interval>P0DT0H0M1.00417S</cim:Interval>'],
    [{ intervalSeconds: 0.014947 }, '<cim:Interval>P0DT0H0M0.014947S</cim:Interval>'],
    [{ intervalSeconds: 300 }, '<cim:Interval>P0DT0H5M0S</cim:Interval>'],
    [{ intervalSeconds: 90_061 }, '<cim:Interval>P1DT1H1M1S</cim:Interval>'],
    [new Date('1601-01-01T00:00:00Z'), '<cim:Datetime>1601-01-01T00:00:00Z</cim:Datetime>'],
    [new Date('2026-07-29T14:11:00.010Z'), '<cim:Datetime>2026-07-29T14:11:00.01Z</cim:Datetime>'],
  ] as const;
  for (const [value, xml] of cases) assert.equal(datetimeElement(value), xml);
});

test('CIM text has the 25 characters of DSP0004; 30 s is what a real host accepted', () => {
  assert.equal(cimDatetime({ intervalSeconds: 30 }), '00000000000030.000000:000');
  assert.equal(cimDatetime(new Date('2026-07-29T14:11:00.019Z')), '20260729141100.019000+000');
  assert.deepEqual(parseCimDatetime('20260729161100.019000+120'), new Date('2026-07-29T14:11:00.019Z'));
  assert.equal(parseCimDatetime('P0DT0H0M30S'), undefined, 'the ISO form is not CIM text');
});

test('every duration and moment survives both spellings', () => {
  const moments = fc.date({ min: new Date('1601-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
  const durations = fc.integer({ min: 0, max: 2 ** 40 }).map((micro) => ({ intervalSeconds: micro / 1e6 }));
  const text = (xml: string): string => xml.replace(/<[^>]*>/g, '');
  fc.assert(
    fc.property(moments, durations, (moment, duration) => {
      assert.deepEqual(parseCimDatetime(cimDatetime(moment)), moment);
      assert.deepEqual(parseIsoDatetime(text(datetimeElement(moment))), moment);
      const back = [
        parseCimDatetime(cimDatetime(duration)),
        parseIsoInterval(text(datetimeElement(duration))),
      ];
      for (const one of back as { intervalSeconds: number }[]) {
        assert.ok(Math.abs(one.intervalSeconds - duration.intervalSeconds) < 1e-6);
      }
    }),
  );
});
