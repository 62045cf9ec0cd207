/** How what a host tells becomes plain JSON: what is not told is absent, numbers get their names, unknown classes are empty. */
import { hasCode, isFault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { parseObjectPath, wql, type CimClass, type CimInstance } from '../winrm/index.ts';
import type { Host } from './host.ts';
import { componentsOf } from './settings.ts';

export type Named<T extends Readonly<Record<number, string>>> = T[keyof T] | number;

/** The devices of one class. */
export type Devices = <C extends CimClass>(cls: C) => Promise<CimInstance<C>[]>;

/** Devices of a class this host does not know are left out: the backup of a VM must not fail for a description of it. */
export async function devicesOf<C extends CimClass>(
  host: Host,
  instanceId: string,
  cls: C,
  options: CallOptions,
): Promise<CimInstance<C>[]> {
  return ifKnown(() => componentsOf(host, instanceId, cls, options));
}

/**
 * Settings that no association of the documents leads to: their ids begin with that of the settings they belong to. It is a GUID
 * behind `Microsoft:`, and nothing in it is wild in a pattern.
 */
export async function ownedBy<C extends CimClass>(
  host: Host,
  instanceId: string,
  cls: C,
  options: CallOptions,
): Promise<CimInstance<C>[]> {
  const query = `SELECT * FROM ${cls.name} ${wql`WHERE InstanceID LIKE ${`${instanceId}%`}`}`;
  return ifKnown(() => Array.fromAsync(host.session.query(cls, query, options)));
}

/** A key in an object path; undefined where there is none, or the text is no object path. */
export function keyOf(path: string | null | undefined, key: string): string | undefined {
  if (!path) return undefined;
  try {
    return parseObjectPath(path).keys[key];
  } catch (error) {
    if (isFault(error)) return undefined;
    throw error;
  }
}

/** Nothing, where the host does not know the class that is asked for. */
export async function ifKnown<T>(ask: () => Promise<T[]>): Promise<T[]> {
  try {
    return await ask();
  } catch (error) {
    if (hasCode(error, 'WINRM_BAD_FILTER', 'WINRM_CLASS_UNKNOWN')) return [];
    throw error;
  }
}

/** The name of a number; one without a name stays the number. */
export function named<T extends Readonly<Record<number, string>>>(
  names: T,
  value: number | null | undefined,
): Named<T> | undefined {
  if (value == null) return undefined;
  return (names[value] as T[keyof T] | undefined) ?? value;
}

export function wholeOf(value: bigint | null | undefined): number | undefined {
  return value == null ? undefined : Number(value);
}

type Present<T> = { [K in keyof T]?: NonNullable<T[K]> };

/** The same object without what is null or undefined. */
export function present<T extends object>(values: T): Present<T> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null && value !== undefined),
  ) as Present<T>;
}
