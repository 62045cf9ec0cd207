/** References as endpoint references (DSP0226 5.1): ResourceURI and selectors. Sent unwrapped, read wrapped or not. */
import { winrmFaults } from '../faults.ts';
import type { CimReference } from '../schema.ts';
import { escapeAttribute, escapeText } from '../soap/escape.ts';
import { ANONYMOUS, NS, resourceUri } from '../soap/names.ts';
import { childOf, childrenOf, type XmlElement } from '../soap/xml.ts';
import { formatObjectPath, parseObjectPath } from './object-path.ts';

export function encodeSelectors(keys: CimReference['keys']): string {
  const selectors = Object.entries(keys).map(
    ([name, value]) =>
      `<w:Selector Name="${escapeAttribute(name, 'a key name')}">${escapeText(value, `key ${name}`)}</w:Selector>`,
  );
  return `<w:SelectorSet>${selectors.join('')}</w:SelectorSet>`;
}

/**
 * The children of a reference parameter. Not inside `a:EndpointReference`: a real host answers that with a schema error
 * (recordings, incident 9).
 */
export function encodeReference(reference: CimReference, namespace: string): string {
  const uri = escapeText(resourceUri(namespace, reference.className), 'a class name');
  return (
    `<a:Address>${ANONYMOUS}</a:Address><a:ReferenceParameters><w:ResourceURI>${uri}</w:ResourceURI>` +
    `${encodeSelectors(reference.keys)}</a:ReferenceParameters>`
  );
}

/** The reference in `element`, which is an endpoint reference, holds one, or holds the text of an object path. */
export function decodeReference(element: XmlElement): CimReference {
  const outer = childOf(element, NS.addressing, 'EndpointReference') ?? element;
  const parameters = childOf(outer, NS.addressing, 'ReferenceParameters');
  if (!parameters) return decodePathText(element);
  const uri = childOf(parameters, NS.wsman, 'ResourceURI')?.text.trim() ?? '';
  const className = /\/(\w+)(?:\?.*)?$/.exec(uri)?.[1];
  if (className === undefined)
    throw winrmFaults.protocolBroken({ reason: `${element.name} refers to no class` });
  const selectors = childOf(parameters, NS.wsman, 'SelectorSet');
  return { className, keys: selectors ? decodeSelectors(selectors) : {} };
}

function decodePathText(element: XmlElement): CimReference {
  const { className, keys } = parseObjectPath(element.text.trim());
  return { className, keys };
}

/** A key that is itself a reference (associations) becomes the text of its path. */
function decodeSelectors(set: XmlElement): Record<string, string> {
  const keys = childrenOf(set, NS.wsman, 'Selector').map((selector) => {
    const inner = childOf(selector, NS.addressing, 'EndpointReference');
    return [
      selector.attributes['Name'] ?? '',
      inner ? formatObjectPath(decodeReference(inner)) : selector.text,
    ];
  });
  return Object.fromEntries(keys) as Record<string, string>;
}
