/** Instances and method answers by the schema of their class: see `schema.ts` for what is null, empty or refused. */
import { winrmFaults } from '../faults.ts';
import {
  parseSpec,
  type CimClass,
  type CimInstance,
  type CimType,
  type MethodOutput,
  type PropertySpecs,
} from '../schema.ts';
import { NS } from '../soap/names.ts';
import { isNil, type XmlElement } from '../soap/xml.ts';
import { parseDatetime } from './datetime.ts';
import { decodeEmbedded } from './embedded.ts';
import { decodeReference } from './reference.ts';
import { parseScalar } from './scalar.ts';

/** The instance in `element`. Throws `WINRM_PROTOCOL_BROKEN` when a value is not of its type or a key is missing. */
export function decodeInstance<C extends CimClass>(cls: C, element: XmlElement): CimInstance<C> {
  return decodeProperties(cls.properties, element) as CimInstance<C>;
}

/** The out parameters in a `<Method>_OUTPUT` element. */
export function decodeOutput<C extends CimClass, M extends keyof C['methods'] & string>(
  cls: C,
  method: M,
  element: XmlElement,
): MethodOutput<C, M> {
  if (element.name !== `${method}_OUTPUT`) throw broken(`${method} was answered with ${element.name}`);
  const { returnValue, ...values } = decodeProperties(
    { ...cls.methods[method]!.output, returnValue: 'uint32' },
    { ...element, children: element.children.map(renameReturnValue) },
  );
  if (returnValue === null) throw broken(`${method} was answered without ReturnValue`);
  return { ...values, returnValue } as MethodOutput<C, M>;
}

function renameReturnValue(child: XmlElement): XmlElement {
  return child.name === 'ReturnValue' ? { ...child, name: 'returnValue' } : child;
}

function decodeProperties(specs: PropertySpecs, element: XmlElement): Record<string, unknown> {
  const found = new Map<string, XmlElement[]>();
  for (const child of element.children) {
    if (child.uri !== element.uri) continue;
    const same = found.get(child.name);
    if (same) same.push(child);
    else found.set(child.name, [child]);
  }
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => {
      const { type, array, key } = parseSpec(spec);
      const elements = found.get(name) ?? [];
      const value = array
        ? decodeArray(type, elements)
        : decodeScalar(type, elements, `${element.name}.${name}`);
      if (key && value === null) throw broken(`${element.name} has no ${name}, which is its key`);
      return [name, value];
    }),
  );
}

function decodeScalar(type: CimType, elements: readonly XmlElement[], what: string): unknown {
  if (elements.length > 1) throw broken(`${what} has ${elements.length} values`);
  const [element] = elements;
  return element === undefined || isNil(element) ? null : decodeValue(type, element);
}

/** A null array is absent or one nil element. A nil among others keeps its place, which only strings can express. */
function decodeArray(type: CimType, elements: readonly XmlElement[]): unknown[] {
  if (elements.length === 1 && isNil(elements[0]!)) return [];
  return elements.map((element) => {
    if (isNil(element) && type !== 'string') throw broken(`${element.name} has a null among its values`);
    const value = decodeValue(type, element);
    if (value === null) throw broken(`${element.name} has a moment that never was among its values`);
    return value;
  });
}

function decodeValue(type: CimType, element: XmlElement): unknown {
  const value = decodeElement(type, element);
  if (value === undefined) throw broken(`${element.name} is no ${type}: ${element.text.slice(0, 40)}`);
  return value;
}

function decodeElement(type: CimType, element: XmlElement): unknown {
  if (type === 'ref') return decodeReference(element);
  if (type === 'embedded') return element.text.trim() === '' ? null : decodeEmbedded(element.text);
  if (type === 'datetime') return parseDatetime(datetimeText(element));
  return parseScalar(type, element.text);
}

/** Windows puts `cim:Datetime` or `cim:Interval` inside; OMI writes the text without. */
function datetimeText(element: XmlElement): string {
  return element.children.find((child) => child.uri === NS.cim)?.text ?? element.text;
}

function broken(reason: string): Error {
  return winrmFaults.protocolBroken({ reason });
}
