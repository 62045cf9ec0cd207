/**
 * The shape all recorded instances of a real host have, checked over recordings and over the lab's own answers: properties
 * in alphabetical order, repeated ones together, null scalars nil and empty, datetimes in cim: children with trimmed
 * fractions, references unwrapped, no XML declaration, instances of `Class_Type` in the namespace of their class.
 */
import { NS } from './names.ts';
import { parseXml, type XmlElement } from './xml-reader.ts';

const DATETIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z$/;
const INTERVAL = /^P\d+DT\d+H\d+M\d+(\.\d{0,5}[1-9])?S$/;

/** What is wrong about the envelope; empty when nothing is. */
export function shapeErrors(xml: string): string[] {
  const root = parseXml(xml);
  const start = xml.startsWith('<s:Envelope xml:lang="')
    ? []
    : ['the envelope does not begin with its language'];
  return [...start, ...instancesIn(root).flatMap(instanceErrors)];
}

/** Elements whose xsi:type says they are an instance of a WMI class. */
export function instancesIn(element: XmlElement): XmlElement[] {
  const isInstance =
    element.uri.includes('/wsman/1/wmi/') && element.attribute('type', NS.xsi)?.endsWith('_Type');
  return isInstance ? [element] : element.children.flatMap(instancesIn);
}

function instanceErrors(instance: XmlElement): string[] {
  const names = instance.children.map((child) => child.local);
  const errors: string[] = [];
  if (instance.attribute('type', NS.xsi) !== `p:${instance.local}_Type`) errors.push('xsi:type');
  if (!instance.uri.endsWith(`/${instance.local}`)) errors.push('the namespace is not that of the class');
  if (names.join() !== [...names].sort().join()) errors.push(`not in alphabetical order: ${names.join(' ')}`);
  return [...errors, ...instance.children.flatMap(propertyErrors)].map(
    (error) => `${instance.local}: ${error}`,
  );
}

function propertyErrors(property: XmlElement): string[] {
  const [child] = property.children;
  const nil = property.attribute('nil', NS.xsi);
  if (nil !== undefined)
    return nil === 'true' && !child && property.text === '' ? [] : [`${property.local}: nil`];
  if (!child) return [];
  if (child.is(NS.cim, 'Datetime'))
    return DATETIME.test(child.text) ? [] : [`${property.local}: ${child.text}`];
  if (child.is(NS.cim, 'Interval'))
    return INTERVAL.test(child.text) ? [] : [`${property.local}: ${child.text}`];
  const names = property.children.map((one) => one.local).join();
  return names === 'Address,ReferenceParameters' ? [] : [`${property.local} holds ${names}`];
}
