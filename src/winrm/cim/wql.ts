/**
 * WQL with literals that can not break out of their quotes:
 *
 *   wql`SELECT * FROM Msvm_ComputerSystem WHERE ElementName = ${name}`
 *   wql`ASSOCIATORS OF ${reference} WHERE ResultClass = Msvm_VirtualSystemSettingData`
 *
 * Backslash, single and double quote take a backslash (MS-WMI 2.2.1, "WHERE Clause"). In LIKE patterns a backslash
 * escapes nothing and `%`, `_`, `[` are wild: never put a user's text there.
 */
import { winrmFaults } from '../faults.ts';
import type { CimReference } from '../schema.ts';
import { formatObjectPath } from './object-path.ts';

export type WqlValue = string | number | bigint | boolean | CimReference;

export function wql(parts: TemplateStringsArray, ...values: readonly WqlValue[]): string {
  return parts.reduce((text, part, index) => text + literal(values[index - 1]!) + part);
}

function literal(value: WqlValue): string {
  if (typeof value === 'object') return `{${safe(formatObjectPath(value))}}`;
  if (typeof value === 'boolean') return value ? 'TRUE' : 'FALSE';
  if (typeof value !== 'string') return wholeNumber(value);
  return `'${safe(value).replace(/['"\\]/g, '\\$&')}'`;
}

function wholeNumber(value: number | bigint): string {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw winrmFaults.unsendable({ what: 'a query', reason: `${value} is not a whole number` });
  }
  return String(value);
}

/** A line break or NUL in a literal has no spelling in WQL, and a `}` or newline could end what we only mean to quote. */
function safe(text: string): string {
  for (const char of text) {
    const code = char.codePointAt(0)!;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0xd800 && code < 0xe000)) {
      throw winrmFaults.unsendable({ what: 'a query', reason: 'a literal holds a control character' });
    }
  }
  return text;
}
