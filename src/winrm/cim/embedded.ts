/**
 * Instances inside string parameters: CIM-XML (DSP0201) as text.
 *
 *   <INSTANCE CLASSNAME="Msvm_X"><PROPERTY NAME="Path" TYPE="string"><VALUE>D:\a.vhdx</VALUE></PROPERTY>...</INSTANCE>
 *
 * A property without VALUE is null. References in it are object paths (`object-path.ts`) in properties of type string.
 */
import { isFault } from '../../base/index.ts';
import { winrmFaults } from '../faults.ts';
import type {
  CimDatetime,
  CimReference,
  CimType,
  EmbeddedInstance,
  EmbeddedScalar,
  EmbeddedValue,
} from '../schema.ts';
import { escapeAttribute, escapeText } from '../soap/escape.ts';
import { childOf, parseXml, type XmlElement } from '../soap/xml.ts';
import { formatCimDatetime, parseDatetime } from './datetime.ts';
import { formatObjectPath } from './object-path.ts';
import { formatScalar, parseScalar, type PlainType } from './scalar.ts';

const PLAIN_TYPES: ReadonlySet<string> = new Set<PlainType>([
  'boolean',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'sint8',
  'sint16',
  'sint32',
  'sint64',
  'real32',
  'real64',
  'string',
]);

/** Throws `WINRM_BAD_EMBEDDED` for text that is not one instance. Properties come with the type they carried. */
export function decodeEmbedded(text: string): EmbeddedInstance {
  const root = parseInstance(text);
  const className = root.attributes['CLASSNAME'];
  if (root.name !== 'INSTANCE' || className === undefined) throw bad(`it begins with ${root.name}`);
  const properties: [string, EmbeddedValue][] = [];
  const types: [string, CimType][] = [];
  for (const element of root.children) {
    const name = element.attributes['NAME'];
    if (name === undefined || (element.name !== 'PROPERTY' && element.name !== 'PROPERTY.ARRAY')) continue;
    const type = typeOf(element);
    properties.push([
      name,
      element.name === 'PROPERTY' ? decodeValue(element, type) : decodeArray(element, type),
    ]);
    types.push([name, type]);
  }
  return { className, properties: Object.fromEntries(properties), types: Object.fromEntries(types) };
}

function parseInstance(text: string): XmlElement {
  try {
    return parseXml(text);
  } catch (cause) {
    if (!isFault(cause)) throw cause;
    throw winrmFaults.badEmbedded({ reason: cause.message }, { cause });
  }
}

function typeOf(element: XmlElement): 'datetime' | PlainType {
  const type = element.attributes['TYPE'] ?? 'string';
  return type === 'datetime' || PLAIN_TYPES.has(type) ? (type as 'datetime' | PlainType) : 'string';
}

function decodeValue(element: XmlElement, type: 'datetime' | PlainType): EmbeddedValue {
  const value = childOf(element, '', 'VALUE');
  return value ? decodeText(value.text, type, element) : null;
}

function decodeArray(element: XmlElement, type: 'datetime' | PlainType): EmbeddedValue {
  const array = childOf(element, '', 'VALUE.ARRAY');
  if (!array) return null;
  return array.children.map((entry) => {
    const value = decodeText(entry.text, type, element);
    if (value === null) throw bad(`${element.attributes['NAME']} has a null in its array`);
    return value;
  });
}

function decodeText(text: string, type: 'datetime' | PlainType, element: XmlElement): EmbeddedScalar | null {
  const value = type === 'datetime' ? parseDatetime(text) : parseScalar(type, text);
  if (value === undefined) throw bad(`${element.attributes['NAME']} is no ${type}`);
  return value;
}

/** The CIM-XML of an instance made with `embedded(...)` or read with {@link decodeEmbedded}. */
export function encodeEmbedded(instance: EmbeddedInstance): string {
  const properties = Object.entries(instance.properties)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => encodeProperty(instance, name, value!));
  const className = escapeAttribute(instance.className, 'a class name');
  return `<INSTANCE CLASSNAME="${className}">${properties.join('')}</INSTANCE>`;
}

function encodeProperty(instance: EmbeddedInstance, name: string, value: NonNullable<EmbeddedValue>): string {
  const what = `${instance.className}.${name}`;
  const scalars = Array.isArray(value) ? (value as readonly EmbeddedScalar[]) : undefined;
  const type =
    instance.types?.[name] ?? typeFromValue(scalars ? scalars[0] : (value as EmbeddedScalar), what);
  const attributes = `NAME="${escapeAttribute(name, what)}" TYPE="${type === 'ref' || type === 'embedded' ? 'string' : type}"`;
  const encode = (each: unknown): string => `<VALUE>${escapeText(textOf(type, each, what), what)}</VALUE>`;
  if (!scalars) return `<PROPERTY ${attributes}>${encode(value)}</PROPERTY>`;
  return `<PROPERTY.ARRAY ${attributes}><VALUE.ARRAY>${scalars.map(encode).join('')}</VALUE.ARRAY></PROPERTY.ARRAY>`;
}

function textOf(type: CimType, value: unknown, what: string): string {
  if (type === 'datetime') return formatCimDatetime(value as CimDatetime);
  if (type === 'ref') return formatObjectPath(value as CimReference);
  if (type === 'embedded') return encodeEmbedded(value as EmbeddedInstance);
  return formatScalar(type, value, what);
}

/** Without a type of the class only what a value itself tells; a number does not tell its width. */
function typeFromValue(value: EmbeddedScalar | undefined, what: string): CimType {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'object') return 'datetime';
  throw winrmFaults.unsendable({
    what,
    reason: 'its CIM type is not known; make the instance with embedded(...)',
  });
}

function bad(reason: string): Error {
  return winrmFaults.badEmbedded({ reason });
}
