/** Damage to XML: tokens lost, doubled, swapped and renamed, values that no type takes, and what parsers are known to trip over. */
import type { Random } from '../../lab/model/random.ts';
import { damaged } from './byte-damage.ts';

type Change = (tokens: string[], at: number, random: Random) => void;

const pick = <T>(random: Random, items: readonly T[]): T => items[random.below(items.length)]!;

/** What HTTP lets through. */
export const XML_BYTES_MAX = 1024 * 1024;

/** Bytes, because what arrives need not be UTF-8. */
export function damagedXml(xml: string, random: Random): Buffer {
  if (random.chance(0.15)) return damaged(Buffer.from(xml), random);
  const tokens = xml.match(/<[^>]*>|[^<]+/g)!;
  for (let left = 1 + random.below(4); left > 0 && tokens.length > 0; left -= 1) {
    pick(random, CHANGES)(tokens, random.below(tokens.length), random);
  }
  return Buffer.from(tokens.join('').slice(0, XML_BYTES_MAX / 4));
}

const CHANGES: readonly Change[] = [
  (tokens, at) => void tokens.splice(at, 1),
  (tokens, at, random) => void tokens.splice(at, 0, tokens[random.below(tokens.length)]!),
  (tokens, at, random) => {
    const other = random.below(tokens.length);
    [tokens[at], tokens[other]] = [tokens[other]!, tokens[at]!];
  },
  (tokens, at, random) => void tokens.splice(at, 1 + random.below(12)),
  repeatElement,
  repeatElement,
  replaceText,
  replaceText,
  replaceText,
  replaceText,
  (tokens, at, random) => {
    tokens[at] = tokens[at]!.replace(/^(<\/?)([\w.]+:)?/, `$1${pick(random, PREFIXES)}`);
  },
  (tokens, at, random) => {
    tokens[at] = tokens[at]!.replace(/\/?>$/, ` ${pick(random, ATTRIBUTES)(random)}$&`);
  },
  (tokens, at, random) => {
    tokens[at] = tokens[at]!.replace(/="[^"]*"/, `="${pick(random, VALUES)}"`);
  },
  (tokens, at, random) => void tokens.splice(at, 0, pick(random, BOMBS)(random)),
  (tokens, at, random) => {
    tokens[at] = tokens[at]!.slice(0, random.below(tokens[at]!.length + 1));
  },
];

/** The element that begins at or behind `at` and holds no other, up to a few hundred times. */
function repeatElement(tokens: string[], at: number, random: Random): void {
  const start = tokens.findIndex(
    (token, index) => index >= at && /^<[^/!?]/.test(token) && !token.endsWith('/>'),
  );
  if (start < 0) return;
  const element = tokens
    .slice(start, tokens[start + 1]?.startsWith('<') === false ? start + 3 : start + 2)
    .join('');
  tokens.splice(start, 0, element.repeat(1 + random.below(random.chance(0.05) ? 300 : 4)));
}

function replaceText(tokens: string[], at: number, random: Random): void {
  const text = tokens.findIndex((token, index) => index >= at && !token.startsWith('<'));
  if (text >= 0) tokens[text] = hostileText(random);
}

/** Text where a value is expected. */
export function hostileText(random: Random): string {
  return random.chance(0.2) ? `${pick(random, VALUES)}${pick(random, VALUES)}` : pick(random, VALUES);
}

const PREFIXES = ['', 'x:', 'p:', 's:', 'a:', 'w:', 'n:', 'xml:', 'xmlns:', 'zz:'];

const VALUES: readonly string[] = [
  '',
  ' ',
  '0',
  '1',
  '-1',
  '+1',
  '00000000000000000000001',
  '255',
  '256',
  '65536',
  '4294967295',
  '4294967296',
  '9007199254740993',
  '18446744073709551615',
  '18446744073709551616',
  '99999999999999999999999',
  '-9223372036854775809',
  '1e999',
  '-1e999',
  'NaN',
  'Infinity',
  '0x10',
  '1.5',
  '1_000',
  '１２',
  'true',
  'FALSE',
  '2',
  'null',
  'undefined',
  '2026-11-23T00:00:00Z',
  '2026-13-45T99:99:99Z',
  '-2026-11-23T00:00:00Z',
  '1601-01-01T00:00:00Z',
  '9999-12-31T23:59:59+14:00',
  'P0DT0H0M1.00417S',
  'P999999999DT999999999H999999999M999999999S',
  'P',
  'PT',
  'P-1D',
  '********000000.000000:000',
  '20260729141059.467886+120',
  '00000000003000.000000:000',
  '20269999999999.999999+999',
  '99999999240000.000000:000',
  'Msvm_X.InstanceID="a\\\\b"',
  'Msvm_X=@',
  '\\\\HOST\\root\\virtualization\\v2:Msvm_X.A="1",B=\'2\',C=3',
  'Msvm_X.',
  ':.=,',
  'X.a="',
  'http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/Msvm_X',
  'uuid:0',
  'http://[',
  '/',
  'a:b',
  '__proto__',
  'constructor',
  '&amp;',
  '&lt;x/&gt;',
  '&#x0;',
  '&#xD800;',
  '&#x110000;',
  '&#99999999999;',
  '&nbsp;',
  '&',
  '<![CDATA[]]]]><![CDATA[>]]>',
  ']]>',
  '&lt;INSTANCE CLASSNAME="X"&gt;&lt;PROPERTY NAME="A" TYPE="uint8"&gt;&lt;VALUE&gt;256&lt;/VALUE&gt;&lt;/PROPERTY&gt;&lt;/INSTANCE&gt;',
  '&lt;INSTANCE&gt;&lt;/INSTANCE&gt;',
  '&lt;a&gt;',
  '<![CDATA[<INSTANCE CLASSNAME="X"><PROPERTY NAME="__proto__" TYPE="string"><VALUE>1</VALUE></PROPERTY></INSTANCE>]]>',
  '\u0000',
  '\u0085',
  '\u202e',
  '\ufeff',
  '\ud800',
  '𝒳',
  '検証サーバー',
  'é',
  '\u001b[31m',
  'x'.repeat(3000),
  ','.repeat(2000),
  '\\'.repeat(999),
  '"'.repeat(998),
];

const ATTRIBUTES: readonly ((random: Random) => string)[] = [
  () => 'xsi:nil="true"',
  () => 'nil="true" nil="false"',
  () => 'xmlns="http://schemas.xmlsoap.org/ws/2004/09/enumeration"',
  () => 'xmlns:p=""',
  () => 'xmlns:xml="urn:x"',
  () => 'xmlns:xmlns="urn:x"',
  () => '__proto__="x" constructor="y"',
  (random) => Array.from({ length: 1 + random.below(1500) }, (_, i) => `a${i}="${i}"`).join(' '),
  (random) => Array.from({ length: 1 + random.below(600) }, (_, i) => `xmlns:n${i}="urn:${i}"`).join(' '),
  () => `long="${'v'.repeat(5000)}"`,
];

const BOMBS: readonly ((random: Random) => string)[] = [
  () => '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>&b;',
  () => '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
  () => '<!ENTITY a "b">',
  () => '<?xml version="1.1" encoding="UTF-16"?>',
  () => '<?x y?>',
  () => '<!-- - -- -->',
  () => '<![CDATA[',
  () => ']]>',
  (random) => '<x>'.repeat(1 + random.below(200)),
  (random) => `${'<x>'.repeat(60)}${'</x>'.repeat(random.below(62))}`,
  (random) => '<x/>'.repeat(random.below(3000)),
  (random) => '&amp;'.repeat(random.below(2000)),
  () => '\ufeff',
];
