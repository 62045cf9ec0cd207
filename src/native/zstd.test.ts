/** The system's zstd and Node's: each reads what the other wrote, and what is damaged is refused. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { MiB } from '../base/index.ts';
import { systemZstd } from './index.ts';

const zstd = systemZstd();
const needs = zstd ? {} : { skip: 'no libzstd.so.1 of glibc here: the native zstd is not proved' };

/** From all zeros to noise. */
const contents = fc
  .record({
    length: fc.integer({ min: 0, max: 300_000 }),
    noise: fc.integer({ min: 0, max: 100 }),
    seed: fc.nat(255),
  })
  .map(({ length, noise, seed }) => {
    const bytes = Buffer.alloc(length, seed);
    randomBytes(Math.floor((length * noise) / 100)).copy(bytes);
    return bytes;
  });

test('either reads what the other wrote, also from and into memory shared between threads', needs, () => {
  fc.assert(
    fc.property(contents, (raw) => {
      const shared = new Uint8Array(new SharedArrayBuffer(raw.length));
      shared.set(raw);
      const into = Buffer.alloc(raw.length + 1024);
      const length = zstd!.compress(shared, into)!;
      assert.ok(zstdDecompressSync(into.subarray(0, length)).equals(raw));
      const back = new Uint8Array(new SharedArrayBuffer(raw.length));
      assert.equal(zstd!.decompress(zstdCompressSync(raw), back), raw.length);
      assert.ok(raw.equals(back));
    }),
    { numRuns: 50 },
  );
});

test('what does not fit is refused, and nothing is written behind the room there is', needs, () => {
  const raw = randomBytes(10_000);
  const into = Buffer.alloc(10_000, 7);
  assert.equal(zstd!.compress(raw, into.subarray(0, 9_000)), undefined);
  assert.equal(zstd!.decompress(zstdCompressSync(raw), into.subarray(0, 9_999)), undefined);
  const behind = into.subarray(9_999);
  assert.ok(behind.every((byte) => byte === 7));
  // A bomb claims and makes far more than there is room for.
  assert.equal(zstd!.decompress(zstdCompressSync(Buffer.alloc(64 * MiB)), into), undefined);
});

test('a damaged frame is refused, or says what Node reads in it', needs, () => {
  const frame = zstdCompressSync(Buffer.from('what is said twice is said twice '.repeat(400)));
  const into = Buffer.alloc(64 * 1024);
  fc.assert(
    fc.property(
      fc.nat(frame.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.nat(frame.length),
      (at, flip, cut) => {
        const damaged = Buffer.from(frame.subarray(0, cut === 0 ? frame.length : cut));
        if (at < damaged.length) damaged[at]! ^= flip;
        const length = zstd!.decompress(damaged, into);
        if (length === undefined) return;
        assert.ok(zstdDecompressSync(damaged).equals(into.subarray(0, length)));
      },
    ),
    { numRuns: 500 },
  );
});

test('its memory stays while it is needed, however often garbage is collected', needs, () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const raw = Buffer.concat([Buffer.alloc(MiB / 2, 'text'), randomBytes(MiB / 2)]);
  const into = Buffer.alloc(2 * MiB);
  const back = Buffer.alloc(MiB);
  for (let round = 0; round < 20; round += 1) {
    collect();
    randomBytes(8 * MiB).fill(255); // takes what was freed
    const length = zstd!.compress(raw, into)!;
    assert.equal(zstd!.decompress(into.subarray(0, length), back), MiB);
    assert.ok(back.equals(raw));
  }
});
