import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rc4 } from './rc4.ts';
import { Sealing, derivedKey } from './sealing.ts';

const KEY = Buffer.alloc(16, 0x55);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('the four keys are those of MS-NLMP 4.2.4.4', () => {
  assert.equal(hex(derivedKey(KEY, 'client-to-server signing')), '4788dc861b4782f35d43fd98fe1a2d39');
  assert.equal(hex(derivedKey(KEY, 'client-to-server sealing')), '59f600973cc4960a25480a7c196e4c58');
  assert.equal(hex(derivedKey(KEY, 'server-to-client signing')), 'd04d6f10741041d1d246d64188d7a8ad');
  assert.equal(hex(derivedKey(KEY, 'server-to-client sealing')), '9355f3a957c1583d25c4c2f11e40390e');
});

test('"Plaintext" is sealed and signed as in MS-NLMP 4.2.4.4', () => {
  const { sealed, signature } = new Sealing(KEY, 'client').seal(Buffer.from('Plaintext', 'utf16le'));
  assert.equal(hex(sealed), '54e50165bf1936dc996020c1811b0f06fb5f');
  assert.equal(hex(signature), '010000007fb38ec5c55d497600000000');
});

test('RC4 gives the key stream of RFC 6229 for 128 bit, across calls', () => {
  const rc4 = new Rc4(Buffer.from('0102030405060708090a0b0c0d0e0f10', 'hex'));
  const stream = [5, 11, 16].map((length) => hex(rc4.transform(new Uint8Array(length)))).join('');
  assert.equal(stream, '9ac7cc9a609d1ef7b2932899cde41b975248c4959014126a6e8a84f11d1a9e1c');
});

test('messages open in order and both ways; a repeated, reordered or changed one does not', () => {
  const client = new Sealing(KEY, 'client');
  const server = new Sealing(KEY, 'server');
  for (const text of ['one', '', 'three']) {
    assert.equal(Buffer.from(server.unseal(client.seal(Buffer.from(text)))!).toString(), text);
    assert.equal(Buffer.from(client.unseal(server.seal(Buffer.from(text)))!).toString(), text);
  }
  const [first, second] = [client.seal(Buffer.from('first')), client.seal(Buffer.from('second'))];
  assert.equal(server.unseal(second), undefined, 'reordered');
  assert.equal(server.unseal(first), undefined, 'the stream is lost for good');
});

test('one changed bit anywhere in the signature or the sealed bytes is found', () => {
  const length = 16 + 'message'.length;
  for (let bit = 0; bit < 8 * length; bit += 1) {
    const { signature, sealed } = new Sealing(KEY, 'client').seal(Buffer.from('message'));
    const bytes = Buffer.concat([signature, sealed]);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    const changed = { signature: bytes.subarray(0, 16), sealed: bytes.subarray(16) };
    assert.equal(new Sealing(KEY, 'server').unseal(changed), undefined, `bit ${bit}`);
  }
});
