import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatScalar, parseScalar, type PlainType } from './scalar.ts';

/** Type, smallest, largest. */
const WHOLE: readonly (readonly [PlainType, bigint, bigint])[] = [
  ['uint8', 0n, 255n],
  ['uint16', 0n, 65535n],
  ['uint32', 0n, 4294967295n],
  ['uint64', 0n, 18446744073709551615n],
  ['sint8', -128n, 127n],
  ['sint16', -32768n, 32767n],
  ['sint32', -2147483648n, 2147483647n],
  ['sint64', -9223372036854775808n, 9223372036854775807n],
];

for (const [type, min, max] of WHOLE) {
  test(`${type} keeps every value exactly and refuses those beyond`, () => {
    fc.assert(
      fc.property(fc.bigInt({ min, max }), (value) => {
        const text = formatScalar(type, value, 'x');
        assert.equal(String(parseScalar(type, text)), String(value));
      }),
    );
    for (const beyond of [min - 1n, max + 1n]) {
      assert.equal(parseScalar(type, String(beyond)), undefined);
      assert.throws(() => formatScalar(type, beyond, 'x'), { code: 'WINRM_UNSENDABLE' });
    }
  });
}

test('64-bit numbers are bigint, the narrower ones number', () => {
  assert.equal(parseScalar('uint64', '5'), 5n);
  assert.equal(parseScalar('uint32', '5'), 5);
});

test('a boolean is read in any case, as OMI writes FALSE', () => {
  assert.equal(parseScalar('boolean', 'FALSE'), false);
  assert.equal(parseScalar('boolean', ' true '), true);
  assert.equal(parseScalar('boolean', 'yes'), undefined);
});

test('names that every object has are no booleans', () => {
  for (const text of ['constructor', 'toString', '__proto__'])
    assert.equal(parseScalar('boolean', text), undefined);
});

test('a number too large for its type is none, not infinity', () => {
  assert.equal(parseScalar('real64', '1e999'), undefined);
  assert.equal(parseScalar('real32', '-1e308'), -1e308);
});

test('a string keeps its blanks', () => assert.equal(parseScalar('string', ' a\n '), ' a\n '));

for (const text of ['', '1.5', '0x10', '1e3', '--1', 'NaN', '1 2', '9'.repeat(100_000)]) {
  test(`"${text.slice(0, 8)}" is no uint32`, () => assert.equal(parseScalar('uint32', text), undefined));
}

test('a value of another type is refused before it is sent', () => {
  for (const [type, value] of [
    ['uint8', '1'],
    ['string', 1],
    ['boolean', 'true'],
    ['uint32', 1.5],
    ['real64', Infinity],
  ] as const) {
    assert.throws(() => formatScalar(type, value, 'x'), { code: 'WINRM_UNSENDABLE' });
  }
});
