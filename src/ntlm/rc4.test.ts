import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Rc4 } from './rc4.ts';

/** Key, plaintext, ciphertext: the test vectors every description of RC4 repeats. */
const VECTORS = [
  ['Key', 'Plaintext', 'bbf316e8d940af0ad3'],
  ['Wiki', 'pedia', '1021bf0420'],
  ['Secret', 'Attack at dawn', '45a01f645fc35b383552544b9bf5'],
] as const;

for (const [key, plain, cipher] of VECTORS) {
  test(`RC4 of "${plain}" under "${key}"`, () => {
    assert.equal(Buffer.from(new Rc4(Buffer.from(key)).apply(Buffer.from(plain))).toString('hex'), cipher);
  });
}

test('the stream runs on from call to call: pieces encrypt to what the whole does', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 32 }),
      fc.array(fc.uint8Array({ maxLength: 300 })),
      (key, pieces) => {
        const whole = new Rc4(key).apply(Buffer.concat(pieces));
        const stream = new Rc4(key);
        assert.deepEqual(Buffer.concat(pieces.map((piece) => stream.apply(piece))), Buffer.from(whole));
      },
    ),
  );
});
