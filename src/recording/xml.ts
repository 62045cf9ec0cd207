/**
 * Rewrites the values in XML and leaves every other byte as it was: a recording is worth what it keeps of the form. CIM-XML that
 * travels as text inside is rewritten in the same way, however often it is wrapped.
 */
import type { Pseudonyms } from './pseudonyms.ts';
import { rewriteQuery, rewriteValue } from './values.ts';

const TOKENS =
  /<!\[CDATA\[([^]*?)\]\]>|<!--[^]*?-->|<\?[^]*?\?>|<(\/?)([\w.:-]+)((?:\s+[\w.:-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>|[^<]+|</g;
const ATTRIBUTES = /(\s+)([\w.:-]+)(\s*=\s*)("[^"]*"|'[^']*')/g;
/** Of the schema, not of the host. */
const KEPT_ATTRIBUTES =
  /^(xml:lang|[\w-]*:?(mustUnderstand|type|nil|encodingStyle)|Dialect|Code|CLASSNAME|NAME|TYPE|PROPAGATED|CLASSORIGIN|ARRAYSIZE|EmbeddedObject)$/;
/** CIM-XML wraps at most once more; deeper is no CIM-XML. */
const DEPTH_MAX = 4;
/** Arrays of bytes written as numbers may spell anything. */
const BYTE_ARRAY = /<([\w.:-]+)>\d{1,3}<\/\1>(?:<\1>\d{1,3}<\/\1>){7,}/g;

export function rewriteXml(xml: string, pseudonyms: Pseudonyms, depth = 0): string {
  const open: string[] = [];
  const withoutBytes = xml.replaceAll(BYTE_ARRAY, (run) => run.replaceAll(/>\d+</g, '>0<'));
  return withoutBytes.replaceAll(
    TOKENS,
    (
      token,
      cdata: string | undefined,
      closing: string,
      name: string | undefined,
      attributes: string,
      empty: string,
    ) => {
      if (cdata !== undefined) return `<![CDATA[${rewriteContent(open, cdata, pseudonyms, depth)}]]>`;
      if (name === undefined)
        return token.startsWith('<') ? kept(token) : rewriteEscaped(open, token, pseudonyms, depth);
      if (closing) return (open.pop(), token);
      if (!empty) open.push(propertyOf(name, attributes, open));
      return token.replace(attributes, () => rewriteAttributes(name, attributes, pseudonyms));
    },
  );
}

/** Comments may hold anything; so may what is no XML. */
function kept(token: string): string {
  return /^<\?xml [\w .="-]*\?>$/.test(token) ? token : '';
}

/** What a value inside is called: by its selector or CIM-XML property where it has one, else by its element. */
function propertyOf(name: string, attributes: string, open: readonly string[]): string {
  const local = name.slice(name.indexOf(':') + 1);
  if (local.startsWith('VALUE')) return open.at(-1) ?? local;
  return /\s(?:Name|NAME)\s*=\s*["']([^"']*)["']/.exec(attributes)?.[1] ?? local;
}

function rewriteAttributes(element: string, attributes: string, pseudonyms: Pseudonyms): string {
  return attributes.replaceAll(
    ATTRIBUTES,
    (whole, blank: string, name: string, equals: string, quoted: string) => {
      if (KEPT_ATTRIBUTES.test(name) || (name === 'Name' && /(^|:)Selector$/.test(element))) return whole;
      const value = unescaped(quoted.slice(1, -1));
      const rewritten = rewriteValue(name.replace(/^xmlns.*/, 'xmlns'), value, pseudonyms);
      return rewritten === value
        ? whole
        : `${blank}${name}${equals}${quoted[0]}${escaped(rewritten)}${quoted[0]}`;
    },
  );
}

function rewriteEscaped(
  open: readonly string[],
  text: string,
  pseudonyms: Pseudonyms,
  depth: number,
): string {
  const value = unescaped(text);
  const rewritten = rewriteContent(open, value, pseudonyms, depth);
  return rewritten === value ? text : escaped(rewritten);
}

function rewriteContent(
  open: readonly string[],
  value: string,
  pseudonyms: Pseudonyms,
  depth: number,
): string {
  if (value.trim() === '') return value;
  if (value.trimStart().startsWith('<') && depth < DEPTH_MAX) return rewriteXml(value, pseudonyms, depth + 1);
  const property = open.at(-1) ?? '';
  return property === 'Filter' ? rewriteQuery(value, pseudonyms) : rewriteValue(property, value, pseudonyms);
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function unescaped(text: string): string {
  return text.replaceAll(
    /&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w{2,4}));/gi,
    (whole, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name] ?? whole;
      const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
      return code <= 0x10_ffff ? String.fromCodePoint(code) : whole;
    },
  );
}

function escaped(text: string): string {
  const named = text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
  return named.replaceAll("'", '&apos;').replaceAll('\r', '&#13;');
}
