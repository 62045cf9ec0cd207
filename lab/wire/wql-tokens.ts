/** The tokens of a WQL text. In a literal, a backslash escapes a backslash or a quote and nothing else; quotes do not double. */
export type Token =
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'symbol'; readonly text: string }
  /** `{…}` of ASSOCIATORS OF and REFERENCES OF: an object path. */
  | { readonly kind: 'path'; readonly text: string };

/** A query that cannot be run; becomes n:CannotProcessFilter with this text inside. */
export class WqlError extends Error {}

const TEXT_CHARACTERS_MAX = 64 * 1024;
const PATTERNS: readonly [Token['kind'] | 'blank', RegExp][] = [
  ['blank', /\s+/y],
  ['word', /[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*/y],
  ['number', /[+-]?\d+(?:\.\d+)?/y],
  ['string', /'((?:[^'\\]|\\['"\\])*)'|"((?:[^"\\]|\\['"\\])*)"/y],
  ['path', /\{((?:[^{}"']|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*)\}/y],
  ['symbol', /<>|!=|<=|>=|[=<>(),*]/y],
];

export function tokenize(text: string): Token[] {
  if (text.length > TEXT_CHARACTERS_MAX) throw new WqlError('the query is too long');
  const tokens: Token[] = [];
  for (let at = 0; at < text.length;) {
    const { kind, match } = next(text, at);
    at += match[0].length;
    if (kind === 'string') tokens.push({ kind, text: unescape(match[1] ?? match[2]!) });
    else if (kind !== 'blank') tokens.push({ kind, text: match[1] ?? match[0] });
  }
  return tokens;
}

function next(text: string, at: number): { kind: Token['kind'] | 'blank'; match: RegExpExecArray } {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) return { kind, match };
  }
  throw new WqlError(`unexpected text at character ${at}`);
}

function unescape(literal: string): string {
  return literal.replace(/\\(.)/gs, '$1');
}
