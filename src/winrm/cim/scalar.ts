/** One value of a plain type as text, both ways. References and embedded instances have files of their own. */
import { winrmFaults } from '../faults.ts';
import type { CimType } from '../schema.ts';

export type PlainType = Exclude<CimType, 'ref' | 'embedded' | 'datetime'>;

const RANGES: Readonly<Partial<Record<CimType, readonly [min: bigint, max: bigint]>>> = {
  uint8: [0n, 0xffn],
  uint16: [0n, 0xffffn],
  uint32: [0n, 0xffff_ffffn],
  uint64: [0n, 0xffff_ffff_ffff_ffffn],
  sint8: [-0x80n, 0x7fn],
  sint16: [-0x8000n, 0x7fffn],
  sint32: [-0x8000_0000n, 0x7fff_ffffn],
  sint64: [-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn],
};

/** The value, or `undefined` when `text` is not one of `type`. Strings are kept as they are, blanks included. */
export function parseScalar(type: PlainType, text: string): string | number | bigint | boolean | undefined {
  if (type === 'string') return text;
  const trimmed = text.trim();
  if (type === 'boolean') return BOOLEANS.get(trimmed.toLowerCase());
  if (type === 'real32' || type === 'real64') return parseReal(trimmed);
  if (!/^[+-]?\d{1,20}$/.test(trimmed)) return undefined;
  const value = BigInt(trimmed.replace('+', ''));
  if (!inRange(type, value)) return undefined;
  return type === 'uint64' || type === 'sint64' ? value : Number(value);
}

/** A Map: looked up in an object, `constructor` would be a value too. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

/** `1e999` has the form of a number, and is none. */
function parseReal(text: string): number | undefined {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}

function inRange(type: CimType, value: bigint): boolean {
  const [min, max] = RANGES[type]!;
  return value >= min && value <= max;
}

/** The text of a value for `type`; throws `WINRM_UNSENDABLE` for one the type can not hold. */
export function formatScalar(type: PlainType, value: unknown, what: string): string {
  if (type === 'string' && typeof value === 'string') return value;
  if (type === 'boolean' && typeof value === 'boolean') return String(value);
  if ((type === 'real32' || type === 'real64') && typeof value === 'number' && Number.isFinite(value)) {
    return String(value);
  }
  if (RANGES[type] && isWhole(value) && inRange(type, BigInt(value))) return String(value);
  throw winrmFaults.unsendable({ what, reason: `it is not a ${type}` });
}

function isWhole(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || Number.isSafeInteger(value);
}
