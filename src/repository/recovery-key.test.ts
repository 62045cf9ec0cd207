import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../base/index.ts';
import { formatRecoveryKey, parseRecoveryKey } from './recovery-key.ts';

const anyKey = fc.uint8Array({ minLength: 32, maxLength: 32 });

test('a key is read as it was printed, also in lower case, without hyphens, and with O and I for 0 and 1', () => {
  fc.assert(
    fc.property(anyKey, (key) => {
      const text = formatRecoveryKey(key);
      assert.match(text, /^([0-9A-Z]{4}-){13}[0-9A-Z]{4}$/);
      for (const typed of [
        text,
        text.toLowerCase(),
        text.replaceAll('-', ' '),
        text.replaceAll('0', 'o').replaceAll('1', 'l'),
      ]) {
        assert.deepEqual(parseRecoveryKey(typed), key);
      }
    }),
  );
});

test('one mistyped character is told from a wrong key', () => {
  fc.assert(
    fc.property(anyKey, fc.nat({ max: 55 }), fc.integer({ min: 1, max: 31 }), (key, at, shift) => {
      const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
      const plain = formatRecoveryKey(key).replaceAll('-', '');
      const typed = alphabet[(alphabet.indexOf(plain[at]!) + shift) % 32]!;
      assert.throws(
        () => parseRecoveryKey(plain.slice(0, at) + typed + plain.slice(at + 1)),
        (error) => hasCode(error, 'REPO_RECOVERY_KEY_INVALID'),
      );
    }),
  );
});

test('too short, too long and foreign characters are named', () => {
  for (const text of [
    '',
    'ABCD',
    `${formatRecoveryKey(new Uint8Array(32))}0`,
    formatRecoveryKey(new Uint8Array(32)).replace('0', '!'),
  ]) {
    assert.throws(
      () => parseRecoveryKey(text),
      (error) => hasCode(error, 'REPO_RECOVERY_KEY_INVALID'),
    );
  }
});
