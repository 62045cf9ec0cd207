/** Canonical JSON: keys in ascending order of their UTF-16 units, no blanks, `undefined` left out. One value, one text. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Not by sorting the keys of an object: those that look like numbers come first in every object, whatever their order. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((each) => canonicalJson(each)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, each]) => `${JSON.stringify(key)}:${canonicalJson(each)}`);
  return `{${members.join(',')}}`;
}

/** Ours nest five deep. A file of nothing but brackets would overflow the stack of whoever walks through it. */
const DEPTH_MAX = 64;

/** The object that `text` holds, or undefined: what is not an object is damage to every caller here. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const known =
      typeof value === 'object' && value !== null && !Array.isArray(value) && isShallow(value, DEPTH_MAX);
    return known ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((each) => isShallow(each, depth - 1));
}
