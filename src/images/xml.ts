/** XML as text: enough for an envelope that is written and never read. */

/** Text content, child elements, or nothing. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  content?: string | readonly string[],
): string {
  const start = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(String(value))}"`);
  const head = `<${name}${start.join('')}`;
  if (content === undefined || content.length === 0) return `${head}/>`;
  if (typeof content === 'string') return `${head}>${escaped(content)}</${name}>`;
  return `${head}>\n${content.map(indented).join('\n')}\n</${name}>`;
}

/** By one step, but not inside a text of several lines: its own lines would get longer. */
function indented(xml: string): string {
  return xml.replace(/^(?=\s*<)/gm, '  ');
}

/** Control characters have no form in XML at all. */
function escaped(text: string): string {
  return text
    .replace(/(?![\t\n\r])\p{Cc}|[\ufffe\uffff]|\p{Surrogate}/gu, '_')
    .replace(/[&<>"]/g, (character) => ENTITIES[character]!);
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
