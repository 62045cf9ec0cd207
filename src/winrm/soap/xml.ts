/**
 * XML as a tree, namespaces resolved. Input comes from the network: no DOCTYPE (hence no entities), bounded depth, bounded
 * number of elements; its length is bounded by the HTTP layer.
 */
import { SaxesParser, type SaxesTagNS } from 'saxes';
import { winrmFaults } from '../faults.ts';
import { NS } from './names.ts';

/** Real answers are under 12 deep; 64 leaves room and keeps namespace look-ups short. */
const DEPTH_MAX = 64;
/** A 512000-byte answer of the densest kind (change ranges) has about 10000. */
const ELEMENTS_MAX = 200_000;

export interface XmlElement {
  readonly uri: string;
  readonly name: string;
  /** By local name; a namespaced one by `uri name` with a blank between. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** The text directly inside, CDATA included. */
  readonly text: string;
}

interface OpenElement {
  uri: string;
  name: string;
  attributes: Readonly<Record<string, string>>;
  children: OpenElement[];
  text: string;
}

/** The root element. Throws `WINRM_PROTOCOL_BROKEN` on anything that is not one well-formed, harmless document. */
export function parseXml(text: string): XmlElement {
  const parser = new SaxesParser({ xmlns: true });
  const open: OpenElement[] = [];
  let root: OpenElement | undefined;
  let elements = 0;
  parser.on('error', (error) => {
    throw broken(`it is not XML (${error.message})`);
  });
  parser.on('doctype', () => {
    throw broken('it has a DOCTYPE');
  });
  parser.on('opentag', (tag) => {
    elements += 1;
    if (open.length >= DEPTH_MAX || elements > ELEMENTS_MAX)
      throw broken('it is nested too deep or too long');
    const element = fromTag(tag);
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  });
  const addText = (chars: string): void => {
    const element = open.at(-1);
    if (element) element.text += chars;
  };
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('closetag', () => void open.pop());
  parser.write(text).close();
  if (root === undefined) throw broken('it is empty');
  return root;
}

const NO_ATTRIBUTES: Readonly<Record<string, string>> = Object.freeze({});

function fromTag(tag: SaxesTagNS): OpenElement {
  const attributes = Object.values(tag.attributes).filter((attribute) => attribute.prefix !== 'xmlns');
  return {
    uri: tag.uri,
    name: tag.local,
    attributes:
      attributes.length === 0
        ? NO_ATTRIBUTES
        : Object.fromEntries(
            attributes.map(({ uri, local, value }) => [uri ? `${uri} ${local}` : local, value]),
          ),
    children: [],
    text: '',
  };
}

function broken(reason: string): Error {
  return winrmFaults.protocolBroken({ reason });
}

export function childrenOf(element: XmlElement, uri: string, name: string): XmlElement[] {
  return element.children.filter((child) => child.uri === uri && child.name === name);
}

export function childOf(element: XmlElement | undefined, uri: string, name: string): XmlElement | undefined {
  return element?.children.find((child) => child.uri === uri && child.name === name);
}

/** `xsi:nil="true"`. */
export function isNil(element: XmlElement): boolean {
  const value = element.attributes[`${NS.xsi} nil`];
  return value === 'true' || value === '1';
}

/** Every element below, parents before children. */
export function* descendants(element: XmlElement): Generator<XmlElement> {
  for (const child of element.children) {
    yield child;
    yield* descendants(child);
  }
}
