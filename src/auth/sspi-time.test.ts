import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expiryOf } from './sspi-time.ts';

/** A FILETIME of the local clock. */
function fileTime(date: Date): bigint {
  const wall = date.getTime() - date.getTimezoneOffset() * 60_000;
  return (BigInt(wall) + 11_644_473_600_000n) * 10_000n;
}

test('a time of the local clock becomes universal time, in summer and winter', () => {
  for (const text of ['2026-01-15T10:00:00.250Z', '2026-07-15T10:00:00.250Z']) {
    const end = new Date(text);
    assert.equal(expiryOf(fileTime(end), end.getTime() - 1000), end.getTime());
  }
});

test('no time, the end of time, and one that is over at the log-on mean that Windows will tell', () => {
  const now = Date.parse('2026-07-15T10:00:00Z');
  for (const time of [0n, -1n, 0x7fff_ffff_ffff_ffffn, fileTime(new Date(now - 60_000))]) {
    assert.equal(expiryOf(time, now), Infinity);
  }
});
