/**
 * A small tree of what a client sent. Elements are found by namespace URI and local name, never by prefix. Bounded against
 * hostile input: no document type, at most 64 levels and 100,000 elements (the size is bounded before it gets here).
 */
import { SaxesParser, type SaxesTagNS } from 'saxes';

const DEPTH_MAX = 64;
const ELEMENTS_MAX = 100_000;

export class XmlError extends Error {}

interface XmlAttribute {
  readonly uri: string;
  readonly local: string;
  readonly value: string;
}

export class XmlElement {
  readonly uri: string;
  readonly local: string;
  readonly attributes: readonly XmlAttribute[];
  readonly children: XmlElement[] = [];
  text = '';
  /** The text, or a part of it, stood in a CDATA section. */
  cdata = false;

  constructor(uri: string, local: string, attributes: readonly XmlAttribute[]) {
    this.uri = uri;
    this.local = local;
    this.attributes = attributes;
  }

  is(uri: string, local: string): boolean {
    return this.uri === uri && this.local === local;
  }

  child(uri: string, local: string): XmlElement | undefined {
    return this.children.find((child) => child.is(uri, local));
  }

  /** The value of an attribute; those without a prefix have the empty namespace. */
  attribute(local: string, uri = ''): string | undefined {
    return this.attributes.find((one) => one.local === local && one.uri === uri)?.value;
  }
}

export function parseXml(text: string): XmlElement {
  const root = new XmlElement('', '#document', []);
  const open = [root];
  let count = 0;
  const parser = new SaxesParser({ xmlns: true });
  parser.on('error', (error) => {
    throw new XmlError(error.message);
  });
  parser.on('doctype', () => {
    throw new XmlError('a document type is not allowed');
  });
  parser.on('opentag', (tag) => {
    count += 1;
    if (open.length > DEPTH_MAX || count > ELEMENTS_MAX) throw new XmlError('too deep or too many elements');
    const element = elementOf(tag);
    open.at(-1)!.children.push(element);
    open.push(element);
  });
  parser.on('closetag', () => void open.pop());
  parser.on('text', (part) => void (open.at(-1)!.text += part));
  parser.on('cdata', (part) => {
    open.at(-1)!.text += part;
    open.at(-1)!.cdata = true;
  });
  parser.write(text).close();
  return root.children[0] ?? fail('no element');
}

function elementOf(tag: SaxesTagNS): XmlElement {
  const attributes = Object.values(tag.attributes).map(({ uri, local, value }) => ({ uri, local, value }));
  return new XmlElement(tag.uri, tag.local, attributes);
}

function fail(message: string): never {
  throw new XmlError(message);
}
