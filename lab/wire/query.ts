/** Runs a WQL text: from query to instances. */
import type { LabInstance } from '../cim.ts';
import { associators, references, type InstanceSource } from './associators.ts';
import { findClass } from './class-lookup.ts';
import { SoapFault } from './soap-fault.ts';
import { compileCondition } from './wql-filter.ts';
import { parseWql, type Query } from './wql-parser.ts';
import { WqlError } from './wql-tokens.ts';

export interface QueryResult {
  readonly instances: readonly LabInstance[];
  /** Selected properties, lower case; undefined for all. */
  readonly only: ReadonlySet<string> | undefined;
}

/** Every failure of the query itself is n:CannotProcessFilter with the cause in the inner message (recorded). */
export async function runQuery(text: string, source: InstanceSource): Promise<QueryResult> {
  try {
    const query = parseWql(text);
    if (query.kind === 'select') return await select(query, source);
    const walk = query.kind === 'associators' ? associators : references;
    return { instances: await walk(query.path, query.restrictions, source), only: undefined };
  } catch (error) {
    if (!(error instanceof WqlError)) throw error;
    const status = { operation: 'ExecQuery', parameterInfo: text, statusCode: null };
    throw new SoapFault('cannotProcessFilter', error.message, status);
  }
}

async function select(query: Query & { kind: 'select' }, source: InstanceSource): Promise<QueryResult> {
  const cls = findClass(query.className, source.classes);
  if (!cls) throw new WqlError(`there is no class ${query.className}`);
  const only = query.properties && new Set(query.properties.map((name) => name.toLowerCase()));
  const known = new Set(Object.keys(cls.properties).map((name) => name.toLowerCase()));
  const unknown = only && [...only].find((name) => !known.has(name));
  if (unknown !== undefined) throw new WqlError(`${cls.name} has no property ${unknown}`);
  const predicate = query.where && compileCondition(query.where, cls, source.classes);
  const instances = await source.instances(cls.name);
  return { instances: predicate ? instances.filter(predicate) : instances, only };
}
