/** Method parameters into WS-CIM, in the order the class declares them; what is null or empty is left out. */
import {
  parseSpec,
  type CimDatetime,
  type CimReference,
  type CimType,
  type EmbeddedInstance,
} from '../schema.ts';
import type { PropertySpecs } from '../schema.ts';
import { escapeText } from '../soap/escape.ts';
import { formatWsCimDatetime } from './datetime.ts';
import { encodeEmbedded } from './embedded.ts';
import { encodeReference } from './reference.ts';
import { formatScalar } from './scalar.ts';

/** The children of a `p:<Method>_INPUT` element. An array is its element repeated. */
export function encodeParameters(
  specs: PropertySpecs,
  input: Readonly<Record<string, unknown>>,
  namespace: string,
): string {
  return Object.entries(specs)
    .flatMap(([name, spec]) => {
      const { type, array } = parseSpec(spec);
      const value = input[name];
      if (value === null || value === undefined) return [];
      const values = array ? (value as readonly unknown[]) : [value];
      return values.map((each) => `<p:${name}>${encodeValue(type, each, name, namespace)}</p:${name}>`);
    })
    .join('');
}

function encodeValue(type: CimType, value: unknown, name: string, namespace: string): string {
  if (type === 'ref') return encodeReference(value as CimReference, namespace);
  if (type === 'embedded') return escapeText(encodeEmbedded(value as EmbeddedInstance), name);
  if (type === 'datetime') {
    const { element, text } = formatWsCimDatetime(value as CimDatetime);
    return `<cim:${element}>${text}</cim:${element}>`;
  }
  return escapeText(formatScalar(type, value, name), name);
}
