/**
 * What every query asks of a class: its keys, references and ancestors. Classes do not change while a lab runs, so each is
 * looked through once; a backup asks some thousand times.
 */
import type { LabClass } from '../cim.ts';

export interface ClassFacts {
  /** The properties that are keys, as declared, by their names in lower case. */
  readonly keys: ReadonlyMap<string, string>;
  readonly referenceNames: readonly string[];
  /** Its own name and those of its superclasses, in lower case. */
  readonly kinds: ReadonlySet<string>;
}

const known = new WeakMap<LabClass, ClassFacts>();

export function factsOf(cls: LabClass): ClassFacts {
  const facts = known.get(cls) ?? lookThrough(cls);
  known.set(cls, facts);
  return facts;
}

function lookThrough(cls: LabClass): ClassFacts {
  const properties = Object.entries(cls.properties);
  const keys = properties.filter(([, property]) => property.key);
  return {
    keys: new Map(keys.map(([name]) => [name.toLowerCase(), name])),
    referenceNames: properties.filter(([, { type }]) => type === 'reference').map(([name]) => name),
    kinds: new Set([cls.name, ...cls.superclasses].map((name) => name.toLowerCase())),
  };
}
