/**
 * Embedded instances: CIM-XML (DSP0201) inside a string. Recorded from GetVirtualHardDiskSettingData: a null property is
 * there without VALUE and with PROPAGATED="true"; an empty string is an empty VALUE; durations are CIM text.
 */
import type { LabCimType, LabClass, LabInstance, LabProperty, LabScalar, LabValue } from '../cim.ts';
import { cimDatetime, parseCimDatetime, type Datetime } from './datetime.ts';
import { formatPath, isInstance, isPath, type PathContext } from './object-path.ts';
import { isPlain, parsePlain, plainText } from './scalar.ts';
import { XmlError, parseXml, type XmlElement } from './xml-reader.ts';
import { element, escapeXml } from './xml-writer.ts';

export interface EmbeddingContext extends PathContext {
  readonly classes: ReadonlyMap<string, LabClass>;
}

/** The CIM-XML text of an instance, every property of its class named. */
export function encodeEmbedded(instance: LabInstance, context: EmbeddingContext): string {
  const cls = context.classes.get(instance.className);
  if (!cls) throw new TypeError(`the provider has no class ${instance.className}`);
  const properties = Object.keys(cls.properties)
    .sort()
    .map((name) => propertyXml(name, cls.properties[name]!, instance.properties[name] ?? null, context));
  return element('INSTANCE', { CLASSNAME: instance.className }, properties.join(''));
}

function propertyXml(
  name: string,
  { type, array }: LabProperty,
  value: LabValue,
  context: EmbeddingContext,
): string {
  const tag = array ? 'PROPERTY.ARRAY' : 'PROPERTY';
  const TYPE = xmlType(type);
  if (value === null) return element(tag, { NAME: name, PROPAGATED: 'true', TYPE }, '');
  const values = (array ? (value as readonly LabScalar[]) : [value as LabScalar]).map((one) =>
    one === null ? '<VALUE.NULL></VALUE.NULL>' : element('VALUE', {}, escapeXml(text(type, one, context))),
  );
  const content = array ? element('VALUE.ARRAY', {}, values.join('')) : values.join('');
  return element(tag, { NAME: name, TYPE }, content);
}

/** References and instances inside an embedded instance travel as strings: object paths and CIM-XML once more. */
function xmlType(type: LabCimType): string {
  return isPlain(type) || type === 'datetime' ? type : 'string';
}

function text(type: LabCimType, value: LabScalar, context: EmbeddingContext): string {
  if (isPlain(type)) return plainText(type, value);
  if (type === 'datetime') return cimDatetime(value as Datetime);
  return stringText(value, context);
}

/** What a property of type string holds: text, the path of an object, or an embedded instance. */
export function stringText(value: LabScalar, context: EmbeddingContext): string {
  if (isPath(value)) return formatPath(value, context);
  if (isInstance(value)) return encodeEmbedded(value, context);
  if (typeof value !== 'string') throw new TypeError(`a ${typeof value} is no string`);
  return value;
}

/**
 * The instance a text holds; `undefined` when it is no CIM-XML. Values are read by the TYPE each property carries; a
 * datetime that is not CIM text stays a string, so that the model can refuse it as a real host does (ErrorCode 32768).
 */
export function decodeEmbedded(text: string): LabInstance | undefined {
  const root = parsed(text);
  const className = root?.attribute('CLASSNAME');
  if (!root || root.local !== 'INSTANCE' || className === undefined) return undefined;
  const properties: Record<string, LabValue> = {};
  for (const child of root.children) {
    const name = child.attribute('NAME');
    const value = decodedProperty(child);
    if (name === undefined || value === 'malformed') return undefined;
    if (value) properties[name] = value.value;
  }
  return { className, properties };
}

function parsed(text: string): XmlElement | undefined {
  try {
    return parseXml(text);
  } catch (error) {
    if (error instanceof XmlError) return undefined;
    throw error;
  }
}

/** `undefined` for a null property, which is one without VALUE. */
function decodedProperty(property: XmlElement): { value: LabValue } | 'malformed' | undefined {
  const type = property.attribute('TYPE') ?? 'string';
  if (property.local === 'PROPERTY') {
    const value = property.child('', 'VALUE');
    return value && decodedOr(value, type);
  }
  if (property.local !== 'PROPERTY.ARRAY') return 'malformed';
  const list = property.child('', 'VALUE.ARRAY');
  if (!list) return undefined;
  const values = list.children.map((value) =>
    value.local === 'VALUE.NULL' ? { value: null } : decodedOr(value, type),
  );
  return values.includes('malformed')
    ? 'malformed'
    : { value: values.map((one) => (one as { value: LabScalar }).value) };
}

function decodedOr(value: XmlElement, type: string): { value: LabScalar } | 'malformed' {
  if (type === 'string') return { value: value.text };
  if (type === 'datetime') return { value: parseCimDatetime(value.text) ?? value.text };
  const plain = isPlain(type as LabCimType) ? parsePlain(type as 'uint8', value.text) : undefined;
  return plain === undefined ? 'malformed' : { value: plain };
}
