import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseObjectPath } from './object-path.ts';
import { wql } from './wql.ts';

test('quotes and backslashes of a value are escaped, the query around it is not', () => {
  assert.equal(
    wql`SELECT * FROM Msvm_ComputerSystem WHERE ElementName = ${`O'Brien "x" C:\\a`}`,
    `SELECT * FROM Msvm_ComputerSystem WHERE ElementName = 'O\\'Brien \\"x\\" C:\\\\a'`,
  );
});

test('numbers and booleans are written as WQL has them', () => {
  assert.equal(
    wql`WHERE A = ${5} AND B = ${18446744073709551615n} AND C = ${true}`,
    'WHERE A = 5 AND B = 18446744073709551615 AND C = TRUE',
  );
});

test('a reference becomes an object path in braces', () => {
  const job = { className: 'Msvm_ConcreteJob', keys: { InstanceID: 'a\\b' } };
  assert.equal(
    wql`ASSOCIATORS OF ${job} WHERE AssocClass = Msvm_AffectedJobElement`,
    'ASSOCIATORS OF {Msvm_ConcreteJob.InstanceID="a\\\\b"} WHERE AssocClass = Msvm_AffectedJobElement',
  );
});

/** What a WQL server makes of a literal: MS-WMI 2.2.1, the backslash escapes. */
function readLiteral(text: string): { value: string; rest: string } {
  let value = '';
  for (let at = 1; at < text.length; at += 1) {
    if (text[at] === "'") return { value, rest: text.slice(at + 1) };
    if (text[at] === '\\') at += 1;
    value += text[at];
  }
  throw new Error('the literal does not end');
}

test('no value ends its literal early, and the host reads what was meant', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab\'"\\%_;-{}='.split('')) }), (value) => {
      assert.deepEqual(readLiteral(wql`${value} AND 1 = 1`), { value, rest: ' AND 1 = 1' });
    }),
  );
});

test('no key ends the path of a reference early', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab\'"\\{}.='.split('')) }), (value) => {
      const reference = { className: 'Msvm_X', keys: { Name: value } };
      assert.deepEqual(parseObjectPath(wql`${reference}`.slice(1, -1)), reference);
    }),
  );
});

test('control characters and half characters are refused', () => {
  for (const value of ['a\nb', 'a\0b', '\x7f', '\u0085', '\ud800']) {
    assert.throws(() => wql`SELECT * FROM X WHERE A = ${value}`, { code: 'WINRM_UNSENDABLE' });
    assert.throws(() => wql`ASSOCIATORS OF ${{ className: 'X', keys: { A: value } }}`, {
      code: 'WINRM_UNSENDABLE',
    });
  }
  assert.throws(() => wql`${1.5}`, { code: 'WINRM_UNSENDABLE' });
});
