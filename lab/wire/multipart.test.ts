import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readFrame, writeFrame } from './multipart.ts';

const signature = Buffer.alloc(16, 7);

test('a frame reads back as it was written, whatever the sealed bytes hold', () => {
  const boundary = Buffer.from('\r\n--Encrypted Boundary--\r\n--Encrypted Boundary\r\n');
  const payload = fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.concat([bytes, boundary, bytes]));
  fc.assert(
    fc.property(payload, (sealed) => {
      const read = readFrame(writeFrame({ signature, sealed }))!;
      assert.deepEqual([Buffer.from(read.signature), Buffer.from(read.sealed)], [signature, sealed]);
    }),
  );
});

test('the tabulators of the description may be missing, as some clients leave them out (WinRb does)', () => {
  const frame = writeFrame({ signature, sealed: Buffer.from('x') }).toString('latin1');
  assert.ok(readFrame(Buffer.from(frame.replaceAll('\t', ''), 'latin1')));
});

test('a frame cut anywhere, longer, or with another length is refused', () => {
  const frame = writeFrame({ signature, sealed: Buffer.from('sealed') });
  for (let length = 0; length < frame.length; length += 1)
    assert.equal(readFrame(frame.subarray(0, length)), undefined);
  assert.equal(readFrame(Buffer.concat([frame, Buffer.from('x')])), undefined);
  const text = frame.toString('latin1');
  for (const length of ['5', '7', '9999999999', '-6', '6e0', '']) {
    assert.equal(
      readFrame(Buffer.from(text.replace('Length=6', `Length=${length}`), 'latin1')),
      undefined,
      length,
    );
  }
});

test('a signature length other than 16 is refused', () => {
  assert.equal(
    readFrame(writeFrame({ signature: Buffer.alloc(17), sealed: Buffer.from('sealed') })),
    undefined,
  );
});
