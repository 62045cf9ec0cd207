import assert from 'node:assert/strict';
import { test } from 'node:test';
import { md4 } from './md4.ts';

const VECTORS = [
  ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
  ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
  ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
  [
    '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
    'e33b4ddc9c38f2199c3e7b164fcc0536',
  ],
] as const;

test('MD4 gives the digests of RFC 1320, A.5', () => {
  for (const [text, digest] of VECTORS)
    assert.equal(Buffer.from(md4(Buffer.from(text))).toString('hex'), digest);
});

test('MD4 pads at every length around a block: all digests of 0 to 200 bytes differ', () => {
  const digests = Array.from({ length: 200 }, (_, length) =>
    Buffer.from(md4(new Uint8Array(length))).toString('hex'),
  );
  assert.equal(new Set(digests).size, digests.length);
});
