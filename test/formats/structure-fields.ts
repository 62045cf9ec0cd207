/**
 * Fields of structures and areas of bytes, and changes of them.
 *
 * A *field* is set to values that mean something (nothing, everything, one more, places of other structures), and its
 * structure may be sealed again. An *area* is bytes of which all changes mean the same.
 */
import type { Expectation } from './expectation.ts';
import type { MutableImage, Patch, Seal } from './mutable-image.ts';
import type { Random } from './random.ts';
import type { Mutant, Mutator } from './subject.ts';

export type Rule = (value: bigint, before: bigint) => Expectation;

export const always =
  (expectation: Expectation): Rule =>
  () =>
    expectation;

export interface FieldOf {
  readonly name: string;
  /** From the start of the structure. */
  readonly at: number;
  readonly size: number;
  readonly rule: Rule;
  /** Values worth a try. */
  readonly values?: readonly (number | bigint)[];
}

export interface StructureOf {
  readonly name: string;
  /** Where its copies begin that are changed alike. */
  readonly copies: readonly number[];
  readonly fields: readonly FieldOf[];
  readonly endian: 'little' | 'big';
  readonly weight: number;
  readonly seals?: readonly Seal[];
  /** Of a change of one copy of several: what it means when the others do not count any more. */
  readonly amongOthers?: (expect: Expectation) => Expectation;
  /** Replaces what the field's rule says. */
  readonly expect?: (byRule: Expectation, field: FieldOf) => Expectation;
}

export const numberAt = (bytes: Uint8Array, at: number, size: number, endian: 'little' | 'big'): bigint => {
  const digits = Array.from(bytes.subarray(at, at + size), (byte) => byte.toString(16).padStart(2, '0'));
  return BigInt(`0x${(endian === 'little' ? digits.toReversed() : digits).join('')}`);
};

const bytesOf = (value: bigint, size: number, endian: 'little' | 'big'): Uint8Array => {
  const bytes = Buffer.from(value.toString(16).padStart(2 * size, '0'), 'hex');
  return endian === 'little' ? bytes.toReversed() : bytes;
};

export function fieldMutator(image: MutableImage, structure: StructureOf): Mutator {
  const { name, weight, fields } = structure;
  return { name, weight, make: (random) => fieldMutant(image, structure, random.pick(fields), random) };
}

function fieldMutant(
  image: MutableImage,
  { name, copies, endian, seals, expect, amongOthers }: StructureOf,
  field: FieldOf,
  random: Random,
): Mutant {
  const before = numberAt(image.bytes, copies[0]! + field.at, field.size, endian);
  const value = otherValue(before, field, random);
  const bytes = bytesOf(value, field.size, endian);
  const byRule = field.rule(value, before);
  const expected = expect?.(byRule, field) ?? byRule;
  return {
    what: `${name}, ${field.name}: 0x${before.toString(16)} becomes 0x${value.toString(16)}`,
    patches: copies.map((copy) => ({ offset: copy + field.at, bytes })),
    ...(seals ? { seals } : {}),
    expect: expected,
    ...(amongOthers ? { amongOthers: amongOthers(byRule) } : {}),
  };
}

function otherValue(before: bigint, { size, values = [] }: FieldOf, random: Random): bigint {
  const mask = (1n << BigInt(8 * size)) - 1n;
  const bit = 1n << BigInt(random.below(8 * size));
  const candidates = [
    before ^ bit,
    before + 1n,
    before - 1n,
    0n,
    mask,
    bit,
    numberAt(random.bytes(size), 0, size, 'big'),
    ...(values.length > 0 ? [random.pick(values), random.pick(values), random.pick(values)] : []),
  ];
  const value = BigInt(random.pick(candidates)) & mask;
  return value === before ? before ^ bit : value;
}

export interface AreaOf {
  readonly name: string;
  readonly at: number;
  readonly length: number;
  readonly expect: Expectation;
  readonly amongOthers?: Expectation;
  readonly weight: number;
  /** Every other change is in so many bytes at the beginning, where the fields are. */
  readonly focus?: number;
}

/** One bit, one byte, a few bytes, or a whole sector that was not written. */
export function areaMutator(image: MutableImage, area: AreaOf): Mutator {
  const { name, weight, expect, amongOthers } = area;
  return {
    name,
    weight,
    make: (random) => {
      const patch = changeIn(image, area, random);
      const what = `${name}: ${patch.bytes.length} bytes at ${patch.offset}`;
      return { what, patches: [patch], expect, ...(amongOthers ? { amongOthers } : {}) };
    },
  };
}

/** Bytes of the area that are certainly others than before. */
export function changeIn(
  image: MutableImage,
  { at, length, focus = length }: Pick<AreaOf, 'at' | 'length' | 'focus'>,
  random: Random,
): Patch {
  const offset = at + random.below(random.oneIn(2) ? focus : length);
  const end = at + length;
  const count = Math.min(end - offset, random.pick([1, 1, 1, 2, 4, 8, random.between(1, 64)]));
  const bytes = Buffer.from(image.bytes.subarray(offset, offset + count));
  if (random.oneIn(2)) bytes[0]! ^= 1 << random.below(8);
  else bytes.forEach((byte, i) => (bytes[i] = byte ^ random.between(1, 256)));
  return { offset, bytes };
}
