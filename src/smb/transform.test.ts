import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { CIPHERS, type CipherName } from './cipher.ts';
import { transformHeader } from './format.ts';
import { deriveSessionKeys } from './session-keys.ts';
import { openBox } from './testing/false-server.fixture.ts';
import { Sealing } from './transform.ts';

const SESSION = 0xfedcba9876543210n;

function pair(cipher: CipherName): { client: Sealing; server: Sealing } {
  const keys = deriveSessionKeys(cipher, randomBytes(32), randomBytes(64));
  const client = new Sealing(keys, SESSION);
  const server = new Sealing({ ...keys, sealing: keys.opening, opening: keys.sealing }, SESSION);
  return { client, server };
}

for (const cipher of Object.keys(CIPHERS) as CipherName[]) {
  test(`${cipher}: what one side seals the other opens`, () => {
    const { client, server } = pair(cipher);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (message) => {
        assert.deepEqual(Uint8Array.from(openBox(server, client.seal(message))!), message);
        assert.deepEqual(Uint8Array.from(openBox(client, server.seal(message))!), message);
      }),
    );
  });

  test(`${cipher}: a box with any one bit changed, cut or lengthened stays shut`, () => {
    const { client, server } = pair(cipher);
    const box = Buffer.from(client.seal(randomBytes(40)));
    for (let bit = 0; bit < box.length * 8; bit += 1) {
      const changed = Buffer.from(box);
      changed[bit >>> 3]! ^= 1 << (bit & 7);
      // MS-SMB2 2.2.41 leaves two bytes and the end of the nonce unused; they are authenticated all the same.
      assert.equal(openBox(server, changed), undefined, `bit ${bit}`);
    }
    for (let length = 0; length < box.length; length += 1) {
      assert.equal(openBox(server, box.subarray(0, length)), undefined, `cut to ${length}`);
    }
    assert.equal(openBox(server, Buffer.concat([box, Buffer.alloc(1)])), undefined);
  });
}

test('a box of another session, or our own sent back, stays shut', () => {
  const { client, server } = pair('aes-128-gcm');
  const box = client.seal(randomBytes(64));
  assert.equal(openBox(client, box), undefined, 'reflected');
  transformHeader.write(box, { sessionId: SESSION + 1n });
  assert.equal(openBox(server, box), undefined, 'other session');
});

test('no nonce comes twice', () => {
  const { client } = pair('aes-256-gcm');
  const nonces = Array.from({ length: 2000 }, () => {
    const { nonce } = transformHeader.read(client.seal(new Uint8Array(64)));
    return Buffer.from(nonce).toString('hex');
  });
  assert.equal(new Set(nonces).size, nonces.length);
});
