import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AnswerStream } from './answer-stream.ts';
import { answer, data, status, u32 } from './answers.fixture.ts';
import { Malformed } from './message.ts';

/** What a stream makes of bytes that arrive in these chunks. */
function seen(chunks: readonly Uint8Array[]): { type: number; id: number; body: string }[] {
  const found: { type: number; id: number; body: string }[] = [];
  let arriving = Buffer.alloc(0);
  const stream = new AnswerStream({
    dataBegins: (_id, length) => void (arriving = Buffer.alloc(length)),
    data: (_id, bytes, at) => arriving.set(bytes, at),
    dataEnds: (id) => void found.push({ type: 103, id, body: arriving.toString('hex') }),
    answer: (type, id, body) => void found.push({ type, id, body: body.toString('hex') }),
  });
  for (const chunk of chunks) stream.push(Uint8Array.from(chunk));
  return found;
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [
    0,
    ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b),
    bytes.length,
  ];
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

test('answers are the same however the stream is cut', () => {
  const one = fc.oneof(
    fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 300 })).map(([id, bytes]) => data(id, bytes)),
    fc.tuple(fc.nat(), fc.nat(9), fc.string()).map(([id, code, words]) => status(id, code, words)),
    fc.nat().map((id) => answer(2, id)),
  );
  fc.assert(
    fc.property(fc.array(one, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 20 }), (answers, places) => {
      const stream = Buffer.concat(answers);
      assert.deepEqual(seen(cut(stream, places)), seen([stream]));
      assert.equal(seen([stream]).length, answers.length);
    }),
    { numRuns: 2000 },
  );
});

test('lengths that cannot be are refused before memory is given to them', () => {
  for (const wrong of [
    Buffer.concat([u32(0xffff_ffff), Buffer.of(101), u32(1)]),
    Buffer.concat([u32(4), Buffer.of(101), u32(1)]),
    Buffer.concat([u32(0), Buffer.of(101), u32(1)]),
    Buffer.concat([u32(8), Buffer.of(103), u32(1)]),
    Buffer.concat([u32(12), Buffer.of(103), u32(1), u32(4)]),
    Buffer.concat([u32(9), Buffer.of(103), u32(1), u32(0xffff_ffff)]),
  ]) {
    assert.throws(() => seen([wrong]), Malformed);
  }
});
