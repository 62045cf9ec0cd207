/** The text of CIM values that have the same text in WS-CIM and in CIM-XML: booleans, numbers, strings. */
import type { LabCimType, LabScalar } from '../cim.ts';

type PlainType = Exclude<LabCimType, 'datetime' | 'reference' | 'embedded' | 'object' | 'string'>;

export function isPlain(type: LabCimType): type is PlainType {
  return type === 'boolean' || type.startsWith('uint') || type.startsWith('sint');
}

/** Throws a TypeError when the model gives a value that is not of the declared type. */
export function plainText(type: PlainType, value: LabScalar): string {
  if (typeof value !== 'boolean' && typeof value !== 'number' && typeof value !== 'bigint') {
    throw new TypeError(`a ${typeof value} is no ${type}`);
  }
  const text = String(value);
  const good = (typeof value === 'boolean') === (type === 'boolean') && parsePlain(type, text) !== undefined;
  if (!good) throw new TypeError(`${text} is no ${type}`);
  return text;
}

/** `undefined` when the text is not of the type or out of its range. 64-bit numbers are bigints. */
export function parsePlain(type: PlainType, text: string): boolean | number | bigint | undefined {
  if (type === 'boolean') return parseBoolean(text);
  if (!/^[+-]?\d{1,20}$/.test(text)) return undefined;
  const value = BigInt(text);
  const bits = BigInt(type.slice(4));
  const [least, most] = type.startsWith('u')
    ? [0n, 2n ** bits - 1n]
    : [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
  if (value < least || value > most) return undefined;
  return bits === 64n ? value : Number(value);
}

function parseBoolean(text: string): boolean | undefined {
  const lower = text.toLowerCase();
  return lower === 'true' ? true : lower === 'false' ? false : undefined;
}
