import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { joinWrapToken, splitWrapToken } from './wrap-token.ts';

/** RFC 4121 4.2.6.2: TOK_ID 05 04, sealed, filler FF, EC, RRC, sequence number; then what gss_wrap would have encrypted. */
function wrapToken(confounder: Uint8Array, message: Uint8Array, tail: Uint8Array): Buffer {
  const header = Buffer.from('050406ff00000000000000000000002a', 'hex');
  return Buffer.concat([header, confounder, message, tail]);
}

const tail = fc.uint8Array({ minLength: 28, maxLength: 60 });
const confounder = fc.uint8Array({ minLength: 16, maxLength: 16 });

test('header, tail and confounder go in front, and the rotation is that of RFC 4121 4.2.5', () => {
  fc.assert(
    fc.property(confounder, fc.uint8Array({ maxLength: 200 }), tail, (first, message, last) => {
      const split = splitWrapToken(wrapToken(first, message, last), message.length)!;
      assert.deepEqual(Buffer.from(split.ciphertext), Buffer.from(message));
      const joined = Buffer.from(joinWrapToken(split));
      const rotation = joined.readUInt16BE(6);
      const turnedBack = Buffer.concat([joined.subarray(16 + rotation), joined.subarray(16, 16 + rotation)]);
      assert.deepEqual(turnedBack, Buffer.concat([first, message, last]));
    }),
  );
});

test('AES with SHA-1 has a signature of 60 bytes, as WinRM sends it', () => {
  const token = wrapToken(Buffer.alloc(16, 1), Buffer.alloc(100, 2), Buffer.alloc(28, 3));
  assert.equal(splitWrapToken(token, 100)!.signature.length, 60);
});

test('tokens of RC4, signed only, rotated already, or cut short are not split', () => {
  const good = wrapToken(Buffer.alloc(16), Buffer.alloc(10), Buffer.alloc(28));
  const changed = (at: number, value: number): Buffer => {
    const copy = Buffer.from(good);
    copy[at] = value;
    return copy;
  };
  for (const token of [
    changed(0, 0x60),
    changed(1, 0x05),
    changed(7, 28),
    good.subarray(0, 40),
    good.subarray(0, 3),
  ]) {
    assert.equal(splitWrapToken(token, 10), undefined);
  }
});

test('a message that was filled up is turned back by its lengths, though RRC leaves the filling out', () => {
  // MS-KILE 3.4.5.4.1: EC 16, RRC 28, rotated by 44.
  const [confounderBytes, message, filling, tail] = [1, 2, 3, 4].map((value) => Buffer.alloc(16, value)) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  const checksum = Buffer.alloc(12, 5);
  const header = Buffer.from('050406ff0010001c000000000000002a', 'hex');
  const signature = Buffer.concat([header, filling, tail, checksum, confounderBytes]);
  const joined = Buffer.from(joinWrapToken({ signature, ciphertext: message }));
  const rotation = joined.readUInt16BE(6);
  assert.deepEqual(
    Buffer.concat([joined.subarray(16 + rotation), joined.subarray(16, 16 + rotation)]),
    Buffer.concat([confounderBytes, message, filling, tail, checksum]),
  );
});

test('a signature too short for a header and a confounder is joined as it is', () => {
  for (const length of [0, 8, 31, 32]) {
    const signature = Buffer.alloc(length, 7);
    assert.deepEqual(
      Buffer.from(joinWrapToken({ signature, ciphertext: Buffer.of(1) })),
      Buffer.concat([signature, Buffer.of(1)]),
    );
  }
});
