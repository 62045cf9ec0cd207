/**
 * How a class of the emulated host is written down: properties grouped by CIM type, as in the published class pages.
 *
 *   labClass('Msvm_X', { isA: [...MANAGED], keys: 'InstanceID', properties: [{ string: 'InstanceID Name', 'uint16[]': 'BootOrder' }] })
 */
import type { LabCimType, LabClass, LabMethod, LabProperty } from '../cim.ts';

type TypeName = LabCimType | `${LabCimType}[]`;
/** Names separated by blanks, by type. */
export type PropertyTable = { readonly [T in TypeName]?: string };

export interface ClassTable {
  /** Superclasses, nearest first. */
  readonly isA: readonly string[];
  /** Names of the key properties. */
  readonly keys?: string;
  readonly properties: readonly PropertyTable[];
  readonly methods?: Readonly<Record<string, LabMethod>>;
}

export function labClass(name: string, table: ClassTable): LabClass {
  const keys = new Set(words(table.keys ?? ''));
  const properties = Object.assign({}, ...table.properties.map((group) => propertiesOf(group, keys)));
  for (const key of keys) if (!(key in properties)) throw new TypeError(`${name} has no key property ${key}`);
  return { name, superclasses: table.isA, properties, methods: table.methods ?? {} };
}

/** Parameters in the same notation. */
export function method(input: PropertyTable, output: PropertyTable = {}): LabMethod {
  return { in: propertiesOf(input, new Set()), out: propertiesOf(output, new Set()) };
}

/** What nearly every method of Hyper-V returns beside its number. */
export const JOB = { reference: 'Job' } as const;

export function association(
  name: string,
  ends: readonly [from: string, to: string],
  extra: PropertyTable = {},
): LabClass {
  return labClass(name, {
    isA: [],
    keys: ends.join(' '),
    properties: [{ reference: ends.join(' ') }, extra],
  });
}

function propertiesOf(table: PropertyTable, keys: ReadonlySet<string>): Record<string, LabProperty> {
  const properties: Record<string, LabProperty> = {};
  for (const [typeName, names] of Object.entries(table)) {
    const array = typeName.endsWith('[]');
    const type = (array ? typeName.slice(0, -2) : typeName) as LabCimType;
    for (const name of words(names)) {
      properties[name] = { type, ...(array ? { array } : {}), ...(keys.has(name) ? { key: true } : {}) };
    }
  }
  return properties;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}
