/**
 * WQL as far as clients of root\virtualization\v2 use it:
 *
 *   SELECT * | a, b FROM Class [WHERE condition]
 *   ASSOCIATORS OF {path} [WHERE AssocClass=A ResultClass=C Role=r ResultRole=q]
 *   REFERENCES OF {path} [WHERE ResultClass=A Role=r]
 *
 * Key words and names are compared without regard to case.
 */
import type { LabPath } from '../cim.ts';
import { parsePath } from './object-path.ts';
import { WqlError, tokenize, type Token } from './wql-tokens.ts';

export type Literal = string | number | boolean | null;
export type Operator = '=' | '<>' | '<' | '>' | '<=' | '>=' | 'like' | 'isa';

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly part: Condition }
  | {
      readonly kind: 'compare';
      readonly name: string;
      readonly operator: Operator;
      readonly literal: Literal;
    };

export type Query =
  | {
      readonly kind: 'select';
      /** Undefined for `*`. */
      readonly properties: readonly string[] | undefined;
      readonly className: string;
      readonly where: Condition | undefined;
    }
  | {
      readonly kind: 'associators' | 'references';
      readonly path: LabPath;
      /** By lower-case key word. */
      readonly restrictions: ReadonlyMap<string, string>;
    };

/** More nesting than anyone writes; it bounds the recursion on hostile input. */
const DEPTH_MAX = 50;
const MIRRORED: Readonly<Record<string, Operator>> = { '<': '>', '>': '<', '<=': '>=', '>=': '<=' };
const RESTRICTIONS = {
  associators: ['assocclass', 'resultclass', 'role', 'resultrole'],
  references: ['resultclass', 'role'],
};

export function parseWql(text: string): Query {
  const parser = new Parser(tokenize(text));
  const query = parser.query();
  parser.end();
  return query;
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  query(): Query {
    if (this.#skipWord('select')) return this.#select();
    if (this.#skipWord('associators')) return this.#related('associators');
    if (this.#skipWord('references')) return this.#related('references');
    throw new WqlError('no SELECT, ASSOCIATORS OF or REFERENCES OF');
  }

  end(): void {
    if (this.#at < this.#tokens.length) throw new WqlError(`unexpected "${this.#tokens[this.#at]!.text}"`);
  }

  #select(): Query {
    const properties = this.#skipSymbol('*') ? undefined : this.#names();
    this.#word('from');
    const className = this.#take('word').text;
    const where = this.#skipWord('where') ? this.#or() : undefined;
    return { kind: 'select', properties, className, where };
  }

  #names(): string[] {
    const names = [this.#take('word').text];
    while (this.#skipSymbol(',')) names.push(this.#take('word').text);
    return names;
  }

  #related(kind: 'associators' | 'references'): Query {
    this.#word('of');
    const path = parsePath(this.#take('path').text);
    if (!path) throw new WqlError('the object path is not valid');
    const restrictions = new Map<string, string>();
    if (this.#skipWord('where')) {
      do this.#restriction(kind, restrictions);
      while (this.#at < this.#tokens.length);
    }
    return { kind, path, restrictions };
  }

  #restriction(kind: 'associators' | 'references', restrictions: Map<string, string>): void {
    const name = this.#take('word').text.toLowerCase();
    if (!RESTRICTIONS[kind].includes(name) || restrictions.has(name))
      throw new WqlError(`unexpected "${name}"`);
    this.#symbol('=');
    restrictions.set(name, this.#take('word').text);
  }

  #or(): Condition {
    const parts = [this.#and()];
    while (this.#skipWord('or')) parts.push(this.#and());
    return parts.length === 1 ? parts[0]! : { kind: 'or', parts };
  }

  #and(): Condition {
    const parts = [this.#not()];
    while (this.#skipWord('and')) parts.push(this.#not());
    return parts.length === 1 ? parts[0]! : { kind: 'and', parts };
  }

  #not(): Condition {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw new WqlError('the query is nested too deep');
    const condition = this.#innerCondition();
    this.#depth -= 1;
    return condition;
  }

  #innerCondition(): Condition {
    if (this.#skipWord('not')) return { kind: 'not', part: this.#not() };
    if (!this.#skipSymbol('(')) return this.#comparison();
    const inner = this.#or();
    this.#symbol(')');
    return inner;
  }

  #comparison(): Condition {
    const literalFirst = this.#literal();
    if (literalFirst !== undefined) {
      const operator = this.#relation();
      const name = this.#take('word').text;
      return { kind: 'compare', name, operator: MIRRORED[operator] ?? operator, literal: literalFirst };
    }
    const name = this.#take('word').text;
    if (this.#skipWord('is')) return this.#nullTest(name);
    if (this.#skipWord('like'))
      return { kind: 'compare', name, operator: 'like', literal: this.#take('string').text };
    if (this.#skipWord('isa'))
      return { kind: 'compare', name, operator: 'isa', literal: this.#take('string').text };
    const operator = this.#relation();
    const literal = this.#literal();
    if (literal === undefined) throw new WqlError('a literal is missing');
    return { kind: 'compare', name, operator, literal };
  }

  #nullTest(name: string): Condition {
    const operator = this.#skipWord('not') ? '<>' : '=';
    this.#word('null');
    return { kind: 'compare', name, operator, literal: null };
  }

  #relation(): Operator {
    const { text } = this.#take('symbol');
    if (text === '!=') return '<>';
    if (['=', '<>', '<', '>', '<=', '>='].includes(text)) return text as Operator;
    throw new WqlError(`"${text}" is no comparison`);
  }

  #literal(): Literal | undefined {
    const token = this.#tokens[this.#at];
    const value = token && literalOf(token);
    if (value !== undefined) this.#at += 1;
    return value;
  }

  #take(kind: Token['kind']): Token {
    const token = this.#tokens[this.#at];
    if (token?.kind !== kind) throw new WqlError(`a ${kind} is missing`);
    this.#at += 1;
    return token;
  }

  #word(text: string): void {
    if (!this.#skipWord(text)) throw new WqlError(`${text.toUpperCase()} is missing`);
  }

  #symbol(text: string): void {
    if (!this.#skipSymbol(text)) throw new WqlError(`"${text}" is missing`);
  }

  #skipWord(text: string): boolean {
    return this.#skip('word', text);
  }

  #skipSymbol(text: string): boolean {
    return this.#skip('symbol', text);
  }

  #skip(kind: Token['kind'], text: string): boolean {
    const token = this.#tokens[this.#at];
    const found = token?.kind === kind && token.text.toLowerCase() === text;
    if (found) this.#at += 1;
    return found;
  }
}

function literalOf(token: Token): Literal | undefined {
  if (token.kind === 'string') return token.text;
  if (token.kind === 'number') return Number(token.text);
  if (token.kind !== 'word') return undefined;
  const word = token.text.toLowerCase();
  if (word === 'null') return null;
  return word === 'true' ? true : word === 'false' ? false : undefined;
}
