/** XML text in the spelling of a Windows host: no declaration, double quotes, empty elements as open and close pairs. */
const FORBIDDEN = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
};

/** Fails on characters XML 1.0 cannot carry, as no escape exists for them. */
export function escapeXml(text: string): string {
  if (FORBIDDEN.test(text)) throw new TypeError('the text holds characters XML cannot carry');
  return text.replace(/[&<>"\r]/g, (character) => ENTITIES[character]!);
}

/** `content` is XML already; attribute values and text go through {@link escapeXml} here or at the caller. */
export function element(name: string, attributes: Readonly<Record<string, string>>, content: string): string {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeXml(value)}"`);
  return `<${name}${list.join('')}>${content}</${name}>`;
}

/** `xmlns:` attributes for the given prefixes. */
export function namespaces(prefixes: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(prefixes).map(([prefix, uri]) => [`xmlns:${prefix}`, uri]));
}
