import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatCimDatetime, formatWsCimDatetime, parseDatetime } from './datetime.ts';

const at = (iso: string): { date: Date } => ({ date: new Date(iso) });

test('the forms a host was recorded with are read, fractions of any length', () => {
  assert.deepEqual(parseDatetime('2026-07-29T14:10:59.467886Z'), at('2026-07-29T14:10:59.467Z'));
  assert.deepEqual(parseDatetime('2026-10-08T15:15:36.68424Z'), at('2026-10-08T15:15:36.684Z'));
  assert.deepEqual(parseDatetime('2026-10-05T04:23:50Z'), at('2026-10-05T04:23:50.000Z'));
  assert.deepEqual(parseDatetime('P0DT0H0M1.00417S'), { intervalSeconds: 1.00417 });
  assert.deepEqual(parseDatetime('P0DT0H5M0S'), { intervalSeconds: 300 });
  assert.deepEqual(parseDatetime('P0DT0H0M0S'), { intervalSeconds: 0 });
});

test('CIM text is read, its offset in minutes and its asterisks for unknown digits', () => {
  assert.deepEqual(parseDatetime('20260729141059.467886+120'), at('2026-07-29T12:10:59.467Z'));
  assert.deepEqual(parseDatetime('20260729141059.******-060'), at('2026-07-29T15:10:59.000Z'));
  assert.deepEqual(parseDatetime('00000001003000.500000:000'), { intervalSeconds: 86_400 + 1800.5 });
});

test('1601-01-01 is never', () => {
  assert.equal(parseDatetime('1601-01-01T00:00:00Z'), null);
  assert.equal(parseDatetime('16010101000000.000000+000'), null);
});

test('the interval of half an hour is written as the host that refused all other forms wants it', () => {
  assert.equal(formatCimDatetime({ intervalSeconds: 1800 }), '00000000003000.000000:000');
});

for (const text of [
  '',
  'P',
  'PT',
  'yesterday',
  '2026-13-01T00:00:00Z',
  '2026-01-01',
  'P1Y',
  '99999999999999.000000+000',
]) {
  test(`"${text}" is no datetime`, () => assert.equal(parseDatetime(text), undefined));
}

const dates = fc
  .date({ min: new Date('1700-01-01'), max: new Date('9000-01-01'), noInvalidDate: true })
  .map((date) => ({ date }));
const intervals = fc.nat(10 ** 12).map((micros) => ({ intervalSeconds: micros / 1e6 }));

test('what is written in either form is read back', () => {
  fc.assert(
    fc.property(fc.oneof(dates, intervals), (value) => {
      assert.deepEqual(parseDatetime(formatCimDatetime(value)), value);
      assert.deepEqual(parseDatetime(formatWsCimDatetime(value).text), value);
    }),
  );
});

test('what the forms can not express is refused', () => {
  for (const value of [
    { intervalSeconds: -1 },
    { intervalSeconds: Number.NaN },
    { date: new Date(Number.NaN) },
  ]) {
    assert.throws(() => formatCimDatetime(value), { code: 'WINRM_UNSENDABLE' });
    assert.throws(() => formatWsCimDatetime(value), { code: 'WINRM_UNSENDABLE' });
  }
});
