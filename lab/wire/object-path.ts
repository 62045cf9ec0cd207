/** WMI object paths as text: `\\HOST\root\virtualization\v2:Class.Key="…"`, with backslashes and quotes in keys escaped. */
import type { LabClass, LabInstance, LabPath, LabValue } from '../cim.ts';
import { factsOf } from './class-facts.ts';

export interface PathContext {
  readonly hostName: string;
  /** With forward slashes. */
  readonly namespace: string;
}

export function formatPath(path: LabPath, context: PathContext): string {
  const keys = Object.entries(path.keys).map(
    ([name, value]) => `${name}="${value.replace(/["\\]/g, '\\$&')}"`,
  );
  const namespace = context.namespace.replaceAll('/', '\\');
  return `\\\\${context.hostName}\\${namespace}:${path.className}.${keys.join(',')}`;
}

const KEY = /([A-Za-z_]\w*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\d+|true|false))/iy;

/** Host and namespace are optional and may be spelled with either slash (both were accepted by a real host). */
export function parsePath(text: string): LabPath | undefined {
  const match = /^(?:[^:"'=]*:)?([A-Za-z_]\w*)\.(.+)$/s.exec(text.trim());
  if (!match) return undefined;
  const keys = parseKeys(match[2]!);
  return keys && { className: match[1]!, keys };
}

function parseKeys(text: string): Record<string, string> | undefined {
  const keys: Record<string, string> = {};
  KEY.lastIndex = 0;
  for (;;) {
    const match = KEY.exec(text);
    if (!match) return undefined;
    const quoted = match[2] ?? match[3];
    keys[match[1]!] = quoted === undefined ? match[4]! : quoted.replace(/\\(.)/gs, '$1');
    if (KEY.lastIndex === text.length) return keys;
    if (text[KEY.lastIndex] !== ',') return undefined;
    KEY.lastIndex += 1;
  }
}

export function isPath(value: LabValue | undefined): value is LabPath {
  return typeof value === 'object' && value !== null && 'keys' in value && 'className' in value;
}

export function isInstance(value: LabValue | undefined): value is LabInstance {
  return typeof value === 'object' && value !== null && 'properties' in value && 'className' in value;
}

/** The path of an instance by the keys of its class; reference keys (of associations) have no text form here. */
export function pathOf(cls: LabClass, instance: LabInstance): LabPath {
  const keys = [...factsOf(cls).keys.values()]
    .filter((name) => cls.properties[name]!.type !== 'reference')
    .map((name) => [name, keyText(instance.properties[name])] as const);
  return { className: cls.name, keys: Object.fromEntries(keys) };
}

/**
 * Whether the keys given are those of the instance; keys left out match any. Names and values are compared as WMI does,
 * without regard to case.
 */
export function hasKeys(cls: LabClass, instance: LabInstance, keys: LabPath['keys']): boolean {
  return Object.entries(keys).every(([name, value]) => {
    const key = keyNamed(cls, name);
    return key !== undefined && keyText(instance.properties[key]).toLowerCase() === value.toLowerCase();
  });
}

/** Keys are strings, numbers or booleans; a key that is none of them designates nothing. */
function keyText(value: LabValue | undefined): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
    ? String(value)
    : '';
}

export function keyNamed(cls: LabClass, name: string): string | undefined {
  return factsOf(cls).keys.get(name.toLowerCase());
}

export function isA(cls: LabClass, name: string): boolean {
  return factsOf(cls).kinds.has(name.toLowerCase());
}
