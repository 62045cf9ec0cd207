import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { CELL_BYTES } from './format.ts';
import { HEADER_BYTES, ObjectCodec, ObjectProblem, OVERHEAD_BYTES, newSalt } from './object.ts';
import { sampleBytes } from './repository.fixture.ts';

const salt = newSalt();
const codecs = {
  encrypted: new ObjectCodec({ idKey: randomBytes(32), sealKey: randomBytes(32) }),
  plain: new ObjectCodec({ idKey: randomBytes(32) }),
};

function openedOrProblem(codec: ObjectCodec, bytes: Uint8Array, id: Uint8Array): Buffer | undefined {
  try {
    return codec.open(bytes, { kind: 'data', id });
  } catch (error) {
    assert.ok(error instanceof ObjectProblem, String(error));
    return undefined;
  }
}

for (const [name, codec] of Object.entries(codecs)) {
  const seal = (raw: Uint8Array): Buffer =>
    codec.seal({ kind: 'data', raw, id: codec.idOf('data', raw), salt });

  test(`${name}: what was sealed is opened, whatever its length and content`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3 * CELL_BYTES }),
        fc.nat({ max: 99 }),
        fc.boolean(),
        (length, seed, random) => {
          const raw = random ? randomBytes(length) : sampleBytes(length, seed);
          assert.ok(codec.open(seal(raw), { kind: 'data', id: codec.idOf('data', raw) }).equals(raw));
        },
      ),
      { numRuns: 50 },
    );
  });

  test(`${name}: with any byte changed, the right content is returned or none; every byte that is sealed is found`, () => {
    const raw = sampleBytes(5000, 1);
    const sealed = seal(raw);
    const id = codec.idOf('data', raw);
    for (let at = 0; at < sealed.length; at += at < HEADER_BYTES + 40 ? 1 : 37) {
      for (const flip of [1, 0x80]) {
        const damaged = Buffer.from(sealed);
        damaged[at]! ^= flip;
        const opened = openedOrProblem(codec, damaged, id);
        // A zstd frame says one content in many ways; without a seal, a change from one to another says nothing else.
        const harmless = name === 'plain' && at >= HEADER_BYTES && raw.equals(opened ?? Buffer.alloc(0));
        assert.ok(opened === undefined || harmless, `byte ${at}`);
      }
    }
    for (const length of [0, 95, HEADER_BYTES, sealed.length - 1]) {
      assert.throws(() => codec.open(sealed.subarray(0, length), { kind: 'data', id }), ObjectProblem);
    }
  });

  test(`${name}: an object of another kind or with another id in its place is refused`, () => {
    const raw = sampleBytes(1000, 2);
    assert.throws(() => codec.open(seal(raw), { kind: 'leaf' }), /another kind/);
    assert.throws(
      () => codec.open(seal(raw), { kind: 'data', id: codec.idOf('data', Buffer.from('x')) }),
      /another object/,
    );
    assert.notDeepEqual(codec.idOf('leaf', raw), codec.idOf('data', raw));
  });
}

test('what does not compress is stored as it is, what does is smaller', () => {
  const codec = codecs.encrypted;
  const sealedLength = (raw: Uint8Array): number =>
    codec.seal({ kind: 'data', raw, id: codec.idOf('data', raw), salt }).length;
  assert.equal(sealedLength(randomBytes(CELL_BYTES)), CELL_BYTES + OVERHEAD_BYTES);
  assert.ok(sealedLength(sampleBytes(CELL_BYTES, 3)) < 0.7 * CELL_BYTES);
});

test('the same content is sealed differently each time, and under another key has another id', () => {
  const raw = sampleBytes(1000, 4);
  const [a, b] = [0, 1].map(() =>
    codecs.encrypted.seal({ kind: 'data', raw, id: codecs.encrypted.idOf('data', raw), salt }),
  );
  assert.ok(!a!.equals(b!));
  assert.notDeepEqual(codecs.encrypted.idOf('data', raw), codecs.plain.idOf('data', raw));
});

test('a repository with encryption refuses an object without', () => {
  const raw = sampleBytes(1000, 5);
  const plain = codecs.plain.seal({ kind: 'data', raw, id: codecs.plain.idOf('data', raw), salt });
  assert.throws(() => codecs.encrypted.open(plain, { kind: 'data' }), /not encrypted/);
});
