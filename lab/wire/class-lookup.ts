/** Classes by name, without regard to case, superclasses that only occur in chains included. */
import type { LabClass } from '../cim.ts';
import { factsOf } from './class-facts.ts';

type Classes = ReadonlyMap<string, LabClass>;

/**
 * A class of the provider, or, for a superclass the provider does not list itself, what all its subclasses share: enough
 * to check the names in a query. `undefined` when nothing is of that class.
 */
export function findClass(name: string, classes: Classes): LabClass | undefined {
  const wanted = name.toLowerCase();
  const spelled = classes.get(name);
  if (spelled) return spelled;
  const listed = [...classes.values()];
  return listed.find((cls) => cls.name.toLowerCase() === wanted) ?? sharedBySubclasses(wanted, listed);
}

function sharedBySubclasses(wanted: string, classes: readonly LabClass[]): LabClass | undefined {
  const below = classes.filter((cls) => factsOf(cls).kinds.has(wanted));
  const [first] = below;
  if (!first) return undefined;
  const shared = Object.entries(first.properties).filter(([name]) =>
    below.every((cls) => name in cls.properties),
  );
  const name = first.superclasses.find((one) => one.toLowerCase() === wanted)!;
  return { name, superclasses: [], properties: Object.fromEntries(shared), methods: {} };
}
