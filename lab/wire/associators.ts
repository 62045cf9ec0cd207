/**
 * ASSOCIATORS OF and REFERENCES OF. An association is a class with two reference properties; its instances are walked from
 * the end that designates the given object to the other end.
 */
import type { LabClass, LabInstance, LabPath } from '../cim.ts';
import { factsOf } from './class-facts.ts';
import { findClass } from './class-lookup.ts';
import { hasKeys, isA, isPath, pathOf } from './object-path.ts';
import { WqlError } from './wql-tokens.ts';

/** What a query may read: the instances the caller sees, each class asked for once. */
export interface InstanceSource {
  readonly classes: ReadonlyMap<string, LabClass>;
  instances(className: string): Promise<readonly LabInstance[]>;
}

type Restrictions = ReadonlyMap<string, string>;
interface Link {
  readonly association: LabInstance;
  readonly others: readonly { role: string; path: LabPath }[];
}

export async function associators(
  path: LabPath,
  restrictions: Restrictions,
  source: InstanceSource,
): Promise<LabInstance[]> {
  const found = new Map<string, LabInstance>();
  const links = await linksOf(path, restrictions.get('assocclass'), restrictions.get('role'), source);
  for (const end of links.flatMap((link) => link.others)) {
    if (!matches(end.role, restrictions.get('resultrole'))) continue;
    const instance = await lookUp(end.path, source);
    if (instance && isResult(instance, restrictions, source)) found.set(identity(instance, source), instance);
  }
  return [...found.values()];
}

export async function references(
  path: LabPath,
  restrictions: Restrictions,
  source: InstanceSource,
): Promise<LabInstance[]> {
  const links = await linksOf(path, restrictions.get('resultclass'), restrictions.get('role'), source);
  return links.map((link) => link.association);
}

/** The one instance a path designates; `undefined` when there is none or the caller does not see it. */
async function lookUp(path: LabPath, source: InstanceSource): Promise<LabInstance | undefined> {
  const cls = findClass(path.className, source.classes);
  if (!cls) return undefined;
  const instances = await source.instances(cls.name);
  return instances.find((instance) => designates(path, instance, source));
}

async function linksOf(
  path: LabPath,
  associationClass: string | undefined,
  role: string | undefined,
  source: InstanceSource,
): Promise<Link[]> {
  const object = await lookUp(path, source);
  if (!object) throw new WqlError('the object does not exist');
  const links: Link[] = [];
  for (const cls of associationClasses(associationClass, source)) {
    for (const association of await source.instances(cls.name)) {
      // A subclass's instances come with its own class: taken here too, they would be found twice.
      if (association.className === cls.name) links.push(...linksIn(association, cls, object, role, source));
    }
  }
  return links;
}

function linksIn(
  association: LabInstance,
  cls: LabClass,
  object: LabInstance,
  role: string | undefined,
  source: InstanceSource,
): Link[] {
  const ends = factsOf(cls).referenceNames.flatMap((name) => {
    const path = association.properties[name];
    return isPath(path) ? [{ role: name, path }] : [];
  });
  return ends
    .filter((end) => matches(end.role, role) && designates(end.path, object, source))
    .map((end) => ({ association, others: ends.filter((other) => other !== end) }));
}

function associationClasses(name: string | undefined, source: InstanceSource): LabClass[] {
  if (name !== undefined && !findClass(name, source.classes)) throw new WqlError(`there is no class ${name}`);
  return [...source.classes.values()].filter(
    (cls) => factsOf(cls).referenceNames.length >= 2 && (name === undefined || isA(cls, name)),
  );
}

function designates(path: LabPath, instance: LabInstance, source: InstanceSource): boolean {
  const cls = source.classes.get(instance.className)!;
  return isA(cls, path.className) && hasKeys(cls, instance, path.keys);
}

function isResult(instance: LabInstance, restrictions: Restrictions, source: InstanceSource): boolean {
  const wanted = restrictions.get('resultclass');
  return wanted === undefined || isA(source.classes.get(instance.className)!, wanted);
}

function identity(instance: LabInstance, source: InstanceSource): string {
  return JSON.stringify(pathOf(source.classes.get(instance.className)!, instance)).toLowerCase();
}

function matches(role: string, wanted: string | undefined): boolean {
  return wanted === undefined || role.toLowerCase() === wanted.toLowerCase();
}
