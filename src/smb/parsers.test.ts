/**
 * Every parser of server bytes, fed real answers with damage: an answer is read or refused as malformed, nothing else. Whole
 * connections, with damage behind the sealing, are attacked in test/hostile.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readCreate } from './create.ts';
import { readDer } from '../auth/der.ts';
import { Malformed } from './message.ts';
import { readNegotiate } from './negotiate.ts';
import { readData } from './read.ts';
import { readSessionSetup } from './session-setup.ts';
import { readAnswer } from '../auth/spnego.ts';
import { SAMBA_REPLIES, WINDOWS_LOG_ON } from './testing/recorded.fixture.ts';
import { readTreeConnect } from './tree-connect.ts';

const PARSERS: Readonly<Record<string, readonly [Uint8Array, (bytes: Uint8Array) => unknown]>> = {
  'NEGOTIATE of Windows': [WINDOWS_LOG_ON.negotiateReply, readNegotiate],
  'NEGOTIATE of Samba': [SAMBA_REPLIES.negotiate, readNegotiate],
  'SESSION_SETUP of Windows': [
    WINDOWS_LOG_ON.setupReply,
    (bytes) => readAnswer(readSessionSetup(bytes).token),
  ],
  'SESSION_SETUP of Samba': [SAMBA_REPLIES.setup, (bytes) => readAnswer(readSessionSetup(bytes).token)],
  TREE_CONNECT: [SAMBA_REPLIES.treeConnect, readTreeConnect],
  CREATE: [SAMBA_REPLIES.create, readCreate],
  READ: [SAMBA_REPLIES.read, (bytes) => readData(bytes, 100)],
};
const RUNS = 10_000;

/** Up to four bytes overwritten, values that offsets and lengths trip over preferred; sometimes cut. */
function damaged(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  const value = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe, 0xff), fc.integer({ min: 0, max: 255 }));
  const hit = fc.tuple(fc.integer({ min: 64, max: bytes.length - 1 }), value);
  const cut = fc.oneof(
    { arbitrary: fc.constant(bytes.length), weight: 3 },
    { arbitrary: fc.integer({ min: 64, max: bytes.length }), weight: 1 },
  );
  return fc.tuple(fc.array(hit, { maxLength: 4 }), cut).map(([hits, length]) => {
    const copy = Uint8Array.from(bytes);
    for (const [at, byte] of hits) copy[at] = byte;
    return copy.subarray(0, length);
  });
}

for (const [name, [real, parse]] of Object.entries(PARSERS)) {
  test(`${name}: the real answer is read`, () => assert.ok(parse(real)));

  test(`${name}: ${RUNS} damaged answers are read or refused as malformed`, () => {
    let refused = 0;
    fc.assert(
      fc.property(damaged(real), (bytes) => {
        try {
          parse(bytes);
        } catch (error) {
          assert.ok(error instanceof Malformed, String(error));
          refused += 1;
        }
      }),
      { numRuns: RUNS },
    );
    assert.ok(refused > 0, 'the damage did reach the parser');
  });
}

test('what a parser returns lies inside the answer it was given', () => {
  fc.assert(
    fc.property(damaged(SAMBA_REPLIES.read), (bytes) => {
      try {
        const data = readData(bytes, 100);
        assert.ok(data.length >= 1 && data.length <= 100);
        assert.ok(data.byteOffset >= bytes.byteOffset + 64);
        assert.ok(data.byteOffset + data.length <= bytes.byteOffset + bytes.length);
      } catch (error) {
        assert.ok(error instanceof Malformed, String(error));
      }
    }),
    { numRuns: 20_000 },
  );
});

test('DER of any bytes is read or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        const items = readDer(bytes);
        assert.ok(items.every(({ value }) => value.length <= bytes.length));
      } catch (error) {
        assert.ok(error instanceof Malformed, String(error));
      }
    }),
    { numRuns: 20_000 },
  );
});
