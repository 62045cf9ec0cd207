/**
 * WMI object paths as text, as they stand in properties such as `Parent` and `HostResource`:
 *
 *   \\HOST\root\virtualization\v2:Msvm_VirtualSystemSettingData.InstanceID="Microsoft:6BCD1C6A-..."
 *
 * Inside the quotes a backslash and a quote are written with a backslash before them.
 */
import { winrmFaults } from '../faults.ts';
import type { CimReference } from '../schema.ts';

export interface ObjectPath extends CimReference {
  readonly host?: string;
  /** With slashes: `root/virtualization/v2`. */
  readonly namespace?: string;
}

const PREFIX = /^(?:[\\/]{2}([^\\/]+)[\\/])?([^:"'.=]+):(?=[^:"'.=]+(?:[.=]|$))/;
const CLASS_NAME = /^[A-Za-z_]\w*/;
const KEY = /(\w+)=(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^,"']+))(,|$)/suy;

/** Throws `WINRM_BAD_OBJECT_PATH` for anything else than one instance's path. */
export function parseObjectPath(text: string): ObjectPath {
  const prefix = PREFIX.exec(text);
  const rest = text.slice(prefix?.[0].length ?? 0);
  const className = CLASS_NAME.exec(rest)?.[0];
  if (className === undefined) throw winrmFaults.badObjectPath({ text });
  const keys = parseKeys(rest.slice(className.length));
  if (keys === undefined) throw winrmFaults.badObjectPath({ text });
  return {
    className,
    keys,
    ...(prefix?.[1] === undefined ? {} : { host: prefix[1] }),
    ...(prefix?.[2] === undefined ? {} : { namespace: prefix[2].replaceAll('\\', '/') }),
  };
}

function parseKeys(text: string): Record<string, string> | undefined {
  if (text === '=@') return {};
  if (!text.startsWith('.')) return undefined;
  const keys: [string, string][] = [];
  KEY.lastIndex = 1;
  while (KEY.lastIndex < text.length) {
    const match = KEY.exec(text);
    if (!match) return undefined;
    const [, name, double, single, bare, separator] = match;
    keys.push([name!, bare ?? (double ?? single!).replace(/\\(.)/gsu, '$1')]);
    if (separator === ',' && KEY.lastIndex === text.length) return undefined;
  }
  return keys.length === 0 ? undefined : Object.fromEntries(keys);
}

/** The text of a reference; a class without keys is the singleton `Class=@`. */
export function formatObjectPath(path: ObjectPath): string {
  const keys = Object.entries(path.keys).map(
    ([name, value]) => `${name}="${value.replace(/["\\]/g, '\\$&')}"`,
  );
  const host = path.host === undefined ? '' : `\\\\${path.host}\\`;
  const namespace = path.namespace === undefined ? '' : `${path.namespace.replaceAll('/', '\\')}:`;
  return `${host}${namespace}${path.className}${keys.length === 0 ? '=@' : `.${keys.join(',')}`}`;
}
