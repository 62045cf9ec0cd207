import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFault } from '../../base/index.ts';
import { readEncryptedBody, writeEncryptedBody } from './encrypted-body.ts';

const signature = Buffer.alloc(16, 7);
const frame = (ciphertext: Uint8Array): Buffer =>
  Buffer.from(writeEncryptedBody({ signature, ciphertext }, 'Negotiate'));

test('any ciphertext survives, even one that holds the boundary', () => {
  const nasty = Buffer.from(
    '--Encrypted Boundary--\r\n--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n',
  );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(nasty)), (ciphertext) => {
      const body = readEncryptedBody(frame(ciphertext));
      assert.deepEqual(Buffer.from(body.ciphertext), Buffer.from(ciphertext));
      assert.deepEqual(Buffer.from(body.signature), signature);
    }),
  );
});

test('the head is written byte by byte as MS-WSMV 2.2.9.1 has it', () => {
  assert.equal(
    frame(Buffer.from('abc')).toString('latin1'),
    '--Encrypted Boundary\r\n' +
      '\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n' +
      '\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=3\r\n' +
      '--Encrypted Boundary\r\n' +
      `\tContent-Type: application/octet-stream\r\n\x10\0\0\0${'\x07'.repeat(16)}abc--Encrypted Boundary--\r\n`,
  );
});

test('peers that leave out the tab or put a blank after the dashes are read', () => {
  const text = frame(Buffer.from('abc')).toString('latin1');
  for (const variant of [
    text.replaceAll('\t', ''),
    text.replaceAll('--Encrypted', '-- Encrypted'),
    text.replace(/\r\n$/, ''),
  ]) {
    assert.equal(Buffer.from(readEncryptedBody(Buffer.from(variant, 'latin1')).ciphertext).toString(), 'abc');
  }
});

test('bytes changed or cut anywhere give a fault or the same lengths, never a crash', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(),
      fc.nat(255),
      fc.boolean(),
      (ciphertext, at, value, cut) => {
        const whole = frame(ciphertext);
        const position = at % whole.length;
        if (!cut) whole[position] = value;
        try {
          const body = readEncryptedBody(cut ? whole.subarray(0, position) : whole);
          assert.equal(body.ciphertext.length, ciphertext.length);
        } catch (error) {
          assert.ok(isFault(error), String(error));
        }
      },
    ),
  );
});
