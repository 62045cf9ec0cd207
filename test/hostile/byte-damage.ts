/** Damage to bytes: at random places, and in the fields of a structure, with values that lengths and offsets trip over. */
import type { Struct } from '../../src/base/index.ts';
import type { Random } from '../../lab/model/random.ts';

type Change = (bytes: Buffer, random: Random) => Buffer;

const pick = <T>(random: Random, items: readonly T[]): T => items[random.below(items.length)]!;

/** One to four changes anywhere. What comes back is another buffer. */
export function damaged(bytes: Uint8Array, random: Random): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let left = 1 + random.below(4); left > 0; left -= 1) {
    if (changed.length === 0) return Buffer.from(random.bytes(1 + random.below(16)));
    changed = pick(random, CHANGES)(changed, random);
  }
  return changed;
}

const CHANGES: readonly Change[] = [
  overwriteNumber,
  overwriteNumber,
  overwriteNumber,
  (bytes, random) => {
    bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    return bytes;
  },
  (bytes, random) => {
    bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  (bytes, random) => {
    const { from, to } = stretch(bytes, random);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  (bytes, random) => {
    const { from, to } = stretch(bytes, random);
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  },
  (bytes, random) => {
    const at = random.below(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(20)), bytes.subarray(at)]);
  },
  (bytes, random) => {
    const { from, to } = stretch(bytes, random);
    return bytes.fill(pick(random, [0, 0xff, 0x41]), from, to);
  },
];

function stretch(bytes: Buffer, random: Random): { from: number; to: number } {
  const from = random.below(bytes.length);
  return {
    from,
    to: Math.min(bytes.length, from + 1 + random.below(random.chance(0.1) ? bytes.length : 24)),
  };
}

function overwriteNumber(bytes: Buffer, random: Random): Buffer {
  const size = pick(
    random,
    [1, 2, 2, 4, 4, 8].filter((each) => each <= bytes.length),
  );
  const at = random.below(bytes.length - size + 1);
  writeNumber(bytes, at, size, unlikely(size, bytes.length, random), random.chance(0.5));
  return bytes;
}

/** A number of `size` bytes that is at an end of its range, a power of two, or near the length of the message. */
function unlikely(size: number, length: number, random: Random): bigint {
  const end = 1n << BigInt(8 * size);
  const small = BigInt(random.below(20)) - 2n;
  const value = pick(random, [
    small,
    end - 1n - BigInt(random.below(3)),
    end / 2n + small,
    BigInt(length) + small - BigInt(random.below(2) * 64),
    1n << BigInt(random.below(8 * size)),
    (1n << BigInt(random.below(8 * size))) - 1n,
    BigInt(random.next()),
  ]);
  return ((value % end) + end) % end;
}

function writeNumber(bytes: Buffer, at: number, size: number, value: bigint, little: boolean): void {
  for (let i = 0; i < size; i += 1) {
    const shift = BigInt(8 * (little ? i : size - 1 - i));
    bytes[at + i] = Number((value >> shift) & 0xffn);
  }
}

/** One or two fields of a structure at `at`, little-endian; those in `spared` keep their values. */
export function damageFields<T extends object>(
  kind: Struct<T>,
  bytes: Buffer,
  at: number,
  random: Random,
  spared: readonly (keyof T & string)[] = [],
): void {
  const fields = (Object.entries(kind.fields) as [keyof T & string, { offset: number; size: number }][])
    .filter(([name]) => !spared.includes(name))
    .filter(([, { offset, size }]) => at + offset + size <= bytes.length);
  for (let left = 1 + random.below(2); left > 0 && fields.length > 0; left -= 1) {
    const { offset, size } = pick(random, fields)[1];
    const width = Math.min(size, 8);
    writeNumber(bytes, at + offset, width, unlikely(width, bytes.length, random), true);
  }
}

/** Cut into up to four pieces, as a network does. */
export function pieces(bytes: Uint8Array, random: Random): Uint8Array[] {
  if (random.chance(0.7)) return [bytes];
  const places = Array.from({ length: 1 + random.below(3) }, () => random.below(bytes.length + 1)).sort(
    (a, b) => a - b,
  );
  return [0, ...places].map((from, index) => bytes.subarray(from, [...places, bytes.length][index]));
}
