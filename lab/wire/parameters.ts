/** What a client sends in a method body, read by the declaration of the method. */
import type { LabMethod, LabPath, LabProperty, LabScalar, LabValue } from '../cim.ts';
import { parseIsoDatetime, parseIsoInterval } from './datetime.ts';
import { decodeEmbedded } from './embedded.ts';
import { NS, parseClassUri } from './names.ts';
import { isPlain, parsePlain } from './scalar.ts';
import { SoapFault, WBEM_E_INVALID_METHOD_PARAMETERS, wmiFault } from './soap-fault.ts';
import type { XmlElement } from './xml-reader.ts';

/**
 * Entities inside a CDATA section are not undone by XML, and the real host then fails the method instead of the message:
 * 32773 for `&lt;`, 32768 for `&amp;` (seen with names that held these characters).
 */
export class EntityInCdata extends Error {
  readonly returnValue: number;

  constructor(returnValue: number) {
    super(`return value ${returnValue}`);
    this.returnValue = returnValue;
  }
}

/** The parameters in `input`, null ones included. Names are compared with regard to case, as in the MOF. */
export function readParameters(
  input: XmlElement,
  method: string,
  declared: LabMethod['in'],
): Record<string, LabValue> {
  const byName = Map.groupBy(input.children, (child) => child.local);
  const parameters: Record<string, LabValue> = {};
  for (const [name, elements] of byName) {
    const property = declared[name];
    if (!property || elements.some((one) => one.uri !== input.uri)) throw invalidParameter(method, name);
    parameters[name] = readProperty(name, elements, property);
  }
  return parameters;
}

function invalidParameter(method: string, name: string): SoapFault {
  return wmiFault({
    operation: 'ExecMethod',
    parameterInfo: method,
    statusCode: WBEM_E_INVALID_METHOD_PARAMETERS,
    description: `parameter ${name}`,
  });
}

function readProperty(name: string, elements: readonly XmlElement[], property: LabProperty): LabValue {
  const values = elements.map((one) => readScalar(name, one, property));
  if (property.array) return values;
  if (values.length > 1) throw new SoapFault('schemaInvalid', `${name} stands there twice`);
  return values[0]!;
}

function readScalar(name: string, element: XmlElement, { type }: LabProperty): LabScalar {
  if (element.attribute('nil', NS.xsi) === 'true') return null;
  if (type === 'reference') return readReference(element);
  if (type === 'embedded') return readEmbedded(element);
  const value = type === 'string' ? plainString(element) : readTyped(element, type);
  if (value === undefined) throw new SoapFault('schemaInvalid', `${name} is no ${type}`);
  return value;
}

function plainString(element: XmlElement): string | undefined {
  return element.children.length === 0 ? element.text : undefined;
}

function readTyped(element: XmlElement, type: LabProperty['type']): LabScalar | undefined {
  if (isPlain(type)) return parsePlain(type, element.text.trim());
  const [child] = element.children;
  if (child?.is(NS.cim, 'Datetime')) return parseIsoDatetime(child.text);
  return child?.is(NS.cim, 'Interval') ? parseIsoInterval(child.text) : undefined;
}

/** `null` for empty text; text that is no instance is left to the model to refuse. */
function readEmbedded(element: XmlElement): LabScalar {
  const text = plainString(element);
  if (text === undefined) throw new SoapFault('schemaInvalid', `${element.local} holds elements`);
  if (element.cdata && text.includes('&lt;')) throw new EntityInCdata(32773);
  if (element.cdata && text.includes('&amp;')) throw new EntityInCdata(32768);
  return text === '' ? null : (decodeEmbedded(text) ?? text);
}

/**
 * An endpoint reference whose children stand directly in the parameter. Wrapped in `a:EndpointReference` it is refused,
 * as a real host does.
 */
export function readReference(element: XmlElement): LabPath {
  const parameters = element.child(NS.addressing, 'ReferenceParameters');
  const uri = parameters?.child(NS.wsman, 'ResourceURI')?.text.trim();
  const resource = uri === undefined ? undefined : parseClassUri(uri);
  const selectors = parameters?.child(NS.wsman, 'SelectorSet');
  if (!element.child(NS.addressing, 'Address') || !resource || !selectors) {
    throw new SoapFault('schemaInvalid', `${element.local} is no endpoint reference`);
  }
  return { className: resource.className, keys: Object.fromEntries(readSelectors(selectors)) };
}

export function readSelectors(set: XmlElement): Map<string, string> {
  const selectors = new Map<string, string>();
  for (const child of set.children) {
    const name = child.attribute('Name');
    if (!child.is(NS.wsman, 'Selector') || name === undefined || selectors.has(name)) {
      throw new SoapFault('schemaInvalid', 'the selector set');
    }
    selectors.set(name, child.text);
  }
  return selectors;
}
