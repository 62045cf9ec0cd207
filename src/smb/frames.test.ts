import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameReader, WholeFrames } from './frames.ts';
import { Malformed } from './message.ts';

function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(message.length);
  return Buffer.concat([prefix, message]);
}

test('however the stream is cut, the same messages come out', () => {
  const message = fc.uint8Array({ minLength: 64, maxLength: 300 });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 200 })),
      (messages, cuts) => {
        const got: Uint8Array[] = [];
        const reader = new FrameReader(300, new WholeFrames((frame) => got.push(frame)));
        const stream = Buffer.concat(messages.map(framed));
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          reader.push(stream.subarray(at, at + cut));
          at += cut;
        }
        assert.deepEqual(got, messages);
      },
    ),
  );
});

test('a length out of bounds is refused when its four bytes are there, before anything is stored', () => {
  for (const length of [0, 63, 301, 0xffffff]) {
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(length);
    const reader = new FrameReader(300, new WholeFrames(() => assert.fail('no frame')));
    reader.push(prefix.subarray(0, 3));
    assert.throws(() => reader.push(prefix.subarray(3)), Malformed, String(length));
  }
});

test('another protocol is noticed by its first byte', () => {
  const reader = new FrameReader(300, new WholeFrames(() => assert.fail('no frame')));
  assert.throws(() => reader.push(Buffer.from('SSH-2.0-OpenSSH\r\n')), /does not speak SMB/);
});
