/** Whether an instance fulfils a WHERE clause, after the clause was checked against the class. */
import type { LabClass, LabInstance, LabScalar, LabValue } from '../cim.ts';
import { parseCimDatetime } from './datetime.ts';
import { isA, isInstance } from './object-path.ts';
import type { Condition, Literal, Operator } from './wql-parser.ts';
import { WqlError } from './wql-tokens.ts';

type Predicate = (instance: LabInstance) => boolean;
type Classes = ReadonlyMap<string, LabClass>;

/** Throws a WqlError for what the real host refuses: unknown names, references, arrays. */
export function compileCondition(condition: Condition, cls: LabClass, classes: Classes): Predicate {
  if (condition.kind === 'not') {
    const part = compileCondition(condition.part, cls, classes);
    return (instance) => !part(instance);
  }
  if (condition.kind === 'compare') return compileComparison(condition, cls, classes);
  const parts = condition.parts.map((part) => compileCondition(part, cls, classes));
  return condition.kind === 'and'
    ? (instance) => parts.every((part) => part(instance))
    : (instance) => parts.some((part) => part(instance));
}

function compileComparison(
  { name, operator, literal }: Condition & { kind: 'compare' },
  cls: LabClass,
  classes: Classes,
): Predicate {
  const read = compileName(name, cls);
  if (operator === 'isa') return (instance) => isOfClass(read(instance), String(literal), classes);
  return (instance) => compares(read(instance), operator, literal);
}

/** `__CLASS`, `__THIS` for ISA, a property, or `Embedded.Property`, of which only the first part can be checked here. */
function compileName(name: string, cls: LabClass): (instance: LabInstance) => LabValue {
  const [first, ...rest] = name.toLowerCase().split('.');
  if (first === '__class') return (instance) => instance.className;
  if (first === '__this') return (instance) => instance;
  const key = Object.keys(cls.properties).find((one) => one.toLowerCase() === first);
  const property = key === undefined ? undefined : cls.properties[key]!;
  if (!property) throw new WqlError(`${cls.name} has no property ${name}`);
  if (property.type === 'reference') throw new WqlError(`${name} is a reference and cannot be filtered`);
  if (property.array) throw new WqlError(`${name} is an array and cannot be filtered`);
  return (instance) => rest.reduce<LabValue>(member, instance.properties[key!] ?? null);
}

function member(value: LabValue, name: string): LabValue {
  if (!isInstance(value)) return null;
  const key = Object.keys(value.properties).find((one) => one.toLowerCase() === name);
  return key === undefined ? null : value.properties[key]!;
}

function isOfClass(value: LabValue, className: string, classes: Classes): boolean {
  if (!isInstance(value)) return false;
  const cls = classes.get(value.className);
  return cls !== undefined && isA(cls, className);
}

/** Null equals null and nothing else; against a literal it fulfils no comparison. */
function compares(value: LabValue, operator: Operator, literal: Literal): boolean {
  if (literal === null) return (value === null) === (operator === '=');
  if (value === null) return false;
  if (operator === 'like')
    return typeof value === 'string' && like(value.toLowerCase(), String(literal).toLowerCase());
  const order = compare(value as LabScalar, literal);
  if (order === undefined) return operator === '<>';
  return OUTCOMES[operator as keyof typeof OUTCOMES](order);
}

const OUTCOMES = {
  '=': (order: number) => order === 0,
  '<>': (order: number) => order !== 0,
  '<': (order: number) => order < 0,
  '>': (order: number) => order > 0,
  '<=': (order: number) => order <= 0,
  '>=': (order: number) => order >= 0,
  isa: () => false,
};

/** Negative, zero or positive; `undefined` when the two cannot be compared. A number may be written as a string. */
function compare(value: LabScalar, literal: NonNullable<Literal>): number | undefined {
  if (typeof value === 'string') return order(value.toLowerCase(), String(literal).toLowerCase());
  if (typeof value === 'boolean') return String(value) === String(literal).toLowerCase() ? 0 : undefined;
  if (value instanceof Date) {
    const moment = parseCimDatetime(String(literal));
    return moment instanceof Date ? order(value.getTime(), moment.getTime()) : undefined;
  }
  if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
  return /^[+-]?\d+$/.test(String(literal)) ? order(BigInt(value), BigInt(literal)) : undefined;
}

function order<T extends string | number | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * LIKE with `%`, `_`, `[a-f]`, `[^a-f]`. Walks both texts once and goes back only to the last `%`: a pattern made of many
 * of them costs pattern × text, never more, where a regular expression could run for ever.
 */
export function like(text: string, pattern: string): boolean {
  const parts = patternParts(pattern);
  let at = 0;
  let part = 0;
  let star: { part: number; at: number } | undefined;
  while (at < text.length) {
    const one = parts[part];
    if (one === '%') {
      star = { part, at };
      part += 1;
    } else if (one !== undefined && one(text[at]!)) {
      part += 1;
      at += 1;
    } else if (star) {
      star.at += 1;
      at = star.at;
      part = star.part + 1;
    } else return false;
  }
  return parts.slice(part).every((one) => one === '%');
}

type PatternPart = '%' | ((character: string) => boolean);

function patternParts(pattern: string): PatternPart[] {
  return [...pattern.matchAll(/\[(\^?)([^\]]+)\]|[\s\S]/g)].map(([whole, negated, set]) => {
    if (set !== undefined) return (character) => inSet(character, set) !== (negated === '^');
    if (whole === '%') return '%';
    return whole === '_' ? () => true : (character) => character === whole;
  });
}

function inSet(character: string, set: string): boolean {
  return [...set.matchAll(/([\s\S])-([\s\S])|[\s\S]/g)].some(([whole, from, to]) =>
    from === undefined ? whole === character : from <= character && character <= to!,
  );
}
