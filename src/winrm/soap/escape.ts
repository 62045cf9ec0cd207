/** Text into XML. What XML 1.0 can not carry is refused, for a host would answer it with a fault that names nothing. */
import { winrmFaults } from '../faults.ts';

const NOT_XML = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;
const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '\r': '&#13;',
  '\n': '&#10;',
  '\t': '&#9;',
  // Not `&quot;`: the number is what a host is known to accept inside CIM-XML.
  '"': '&#34;',
};

/** As element content. `what` names the value in the fault. */
export function escapeText(text: string, what: string): string {
  return checked(text, what).replace(/[&<>\r]/g, (char) => ESCAPES[char]!);
}

/** As attribute value in double quotes. */
export function escapeAttribute(text: string, what: string): string {
  return checked(text, what).replace(/[&<>\r\n\t"]/g, (char) => ESCAPES[char]!);
}

function checked(text: string, what: string): string {
  if (NOT_XML.test(text)) {
    throw winrmFaults.unsendable({ what, reason: 'it holds a control character or half a character' });
  }
  return text;
}
