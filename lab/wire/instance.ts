/**
 * Instances and out parameters as WS-CIM XML, in the shape all 18 recorded instances have: properties in alphabetical
 * order, a null scalar as `xsi:nil`, a null array as no element at all, arrays as repeated elements.
 */
import type { LabClass, LabInstance, LabPath, LabProperty, LabScalar, LabValue } from '../cim.ts';
import { datetimeElement, type Datetime } from './datetime.ts';
import { stringText, type EmbeddingContext } from './embedded.ts';
import { bodyNamespaces } from './envelope.ts';
import { ANONYMOUS, NS, classUri } from './names.ts';
import { pathOf } from './object-path.ts';
import { isPlain, plainText } from './scalar.ts';
import type { WireTraits } from './traits.ts';
import { element, escapeXml, namespaces } from './xml-writer.ts';

/** `<p:Class xsi:type="p:Class_Type">`; with `only`, the properties a query selected. */
export function instanceXml(
  instance: LabInstance,
  context: EmbeddingContext,
  only?: ReadonlySet<string>,
): string {
  const cls = classOf(instance, context);
  const attributes = { ...bodyNamespaces(context.namespace, cls.name), 'xsi:type': `p:${cls.name}_Type` };
  return element(`p:${cls.name}`, attributes, propertiesXml(cls, instance, context, only));
}

export function classOf(instance: LabInstance, context: EmbeddingContext): LabClass {
  const cls = context.classes.get(instance.className);
  if (!cls) throw new TypeError(`the provider has no class ${instance.className}`);
  const unknown = Object.keys(instance.properties).find((name) => !(name in cls.properties));
  if (unknown !== undefined) throw new TypeError(`${cls.name} has no property ${unknown}`);
  return cls;
}

function propertiesXml(
  cls: LabClass,
  instance: LabInstance,
  context: EmbeddingContext,
  only?: ReadonlySet<string>,
): string {
  return Object.keys(cls.properties)
    .filter((name) => only === undefined || only.has(name.toLowerCase()))
    .sort()
    .map((name) => valueXml(name, cls.properties[name]!, instance.properties[name] ?? null, context))
    .join('');
}

/** `<p:Method_OUTPUT>` with every out parameter: what is null is nil, as ResultingSnapshot at 4096 was seen. */
export function outputXml(
  cls: LabClass,
  method: string,
  result: { returnValue: number; out: Readonly<Record<string, LabValue>> },
  context: EmbeddingContext,
  traits: WireTraits,
): string {
  const declared = cls.methods[method]!.out;
  const unknown = Object.keys(result.out).find((name) => !(name in declared));
  if (unknown !== undefined) throw new TypeError(`${cls.name}.${method} has no out parameter ${unknown}`);
  const parameters = Object.keys(declared)
    .sort()
    .map((name) => valueXml(name, declared[name]!, result.out[name] ?? null, context));
  const returnValue = element('p:ReturnValue', {}, plainText('uint32', result.returnValue));
  if (traits.returnValue === 'first') parameters.unshift(returnValue);
  else parameters.push(returnValue);
  return element(`p:${method}_OUTPUT`, bodyNamespaces(context.namespace, cls.name), parameters.join(''));
}

function valueXml(name: string, property: LabProperty, value: LabValue, context: EmbeddingContext): string {
  if (property.array) {
    const values = (value ?? []) as readonly LabScalar[];
    return values.map((one) => scalarXml(name, property, one, context)).join('');
  }
  return scalarXml(name, property, value as LabScalar, context);
}

function scalarXml(name: string, { type }: LabProperty, value: LabScalar, context: EmbeddingContext): string {
  const tag = `p:${name}`;
  if (value === null) return `<${tag} xsi:nil="true"/>`;
  if (isPlain(type)) return element(tag, {}, plainText(type, value));
  if (type === 'datetime') return element(tag, {}, datetimeElement(value as Datetime));
  if (type === 'reference') return referenceXml(tag, value as LabPath, context);
  if (type === 'object') return objectXml(tag, value as LabInstance, context);
  return element(tag, {}, escapeXml(stringText(value, context)));
}

/** Recorded: the children of an endpoint reference stand directly in the property, prefixes declared again. */
function referenceXml(tag: string, path: LabPath, context: EmbeddingContext): string {
  return element(tag, namespaces({ a: NS.addressing, w: NS.wsman }), referenceChildren(path, context));
}

function referenceChildren(path: LabPath, context: EmbeddingContext): string {
  const selectors = Object.entries(path.keys).map(([Name, value]) =>
    element('w:Selector', { Name }, escapeXml(value)),
  );
  const parameters =
    element('w:ResourceURI', {}, classUri(context.namespace, path.className)) +
    element('w:SelectorSet', {}, selectors.join(''));
  return element('a:Address', {}, ANONYMOUS) + element('a:ReferenceParameters', {}, parameters);
}

/** What EnumerateEPR and EnumerateObjectAndEPR answer for an instance. */
export function endpointReferenceXml(instance: LabInstance, context: EmbeddingContext): string {
  const path = pathOf(classOf(instance, context), instance);
  return element('a:EndpointReference', {}, referenceChildren(path, context));
}

function objectXml(tag: string, instance: LabInstance, context: EmbeddingContext): string {
  const cls = classOf(instance, context);
  return element(tag, { 'xsi:type': `p:${cls.name}_Type` }, propertiesXml(cls, instance, context));
}
