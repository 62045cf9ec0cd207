/**
 * What is wrong with a configuration, all of it at once, each problem with its place:
 *
 *   config.yaml:3:10 hosts.hv1.url must begin with http:// or https://
 *
 * No message quotes a value. A password someone wrote into the file must not travel on into a log.
 */
import { isMap, isNode, isScalar, LineCounter, parseDocument, visit, type Document } from 'yaml';
import type { z } from 'zod';
import { configSchema, keysAt, type Config } from './config-schema.ts';
import { didYouMean } from './did-you-mean.ts';

type Path = readonly PropertyKey[];

interface Problem {
  /** Index of a character in the text. */
  readonly at: number;
  /** `hosts.hv1.url must …` */
  readonly text: string;
}

export interface ParsedConfig {
  readonly document: Document;
  readonly config: Config;
}

/** The configuration in `text`, or one line per problem in the order of the file. */
export function parseConfig(text: string, file: string): ParsedConfig | { readonly problems: string[] } {
  const lines = new LineCounter();
  // prettyErrors would quote the lines around an error.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2' });
  const found = [...syntaxProblems(document), ...keyProblems(document)];
  const checked = found.length === 0 ? checkContent(document) : { problems: found };
  if ('config' in checked) return { document, config: checked.config };
  const sorted = [...checked.problems].sort((a, b) => a.at - b.at);
  return {
    problems: sorted.map(({ at, text }) => {
      const { line, col } = lines.linePos(at);
      return `${file}:${line}:${col} ${text}`;
    }),
  };
}

function syntaxProblems(document: Document): Problem[] {
  return [...document.errors, ...document.warnings].map((error) => ({
    at: error.pos[0],
    text: SYNTAX_TEXTS[error.code] ?? `is not valid YAML here (${error.code})`,
  }));
}

/** YAML allows lists and maps as keys; the parser would print those to stderr on its own. */
function keyProblems(document: Document): Problem[] {
  const problems: Problem[] = [];
  visit(document, {
    Pair(_, { key }) {
      if (isScalar(key) || !isNode(key)) return;
      problems.push({ at: key.range?.[0] ?? 0, text: 'a key is a word, not a list, a map or an alias' });
    },
  });
  return problems;
}

/** In our words, because the parser's quote the text. */
const SYNTAX_TEXTS: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'the same key stands twice in one map',
  TAB_AS_INDENT: 'indentation is made of spaces, not tabs',
  BAD_INDENT: 'the indentation fits nothing above it',
  MULTIPLE_DOCS: 'a second document begins here; a configuration is one document',
  TAG_RESOLVE_FAILED: 'the tag is not known; write the value without it',
  MISSING_CHAR: 'something is missing before this, such as a colon, a quote or a bracket',
  BLOCK_AS_IMPLICIT_KEY: 'a map cannot begin on this line; is the indentation right?',
};

function checkContent(document: Document): { config: Config } | { problems: Problem[] } {
  let value: unknown;
  try {
    value = document.toJS() ?? {};
  } catch {
    // The parser's bound on aliases, which stops a file from unfolding into gigabytes.
    return { problems: [{ at: 0, text: 'uses more aliases than a configuration can need' }] };
  }
  const result = configSchema.safeParse(value);
  const problems = [
    ...(result.error?.issues ?? []).flatMap((issue) => issueProblems(document, issue)),
    ...crossProblems(document, value),
  ];
  return result.success && problems.length === 0 ? { config: result.data } : { problems };
}

function issueProblems(document: Document, issue: z.core.$ZodIssue): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) =>
      problemAt(document, [...issue.path, key], unknownKeyText(issue.path, key)),
    );
  }
  return [problemAt(document, issue.path, issueText(document, issue))];
}

function unknownKeyText(path: Path, key: string): string {
  if (/pass(word|phrase|wd)?$|secret|recovery.?key/i.test(key)) {
    const [file, variable] =
      path[0] === 'repositories' ? ['passphraseFile', 'passphraseEnv'] : ['passwordFile', 'passwordEnv'];
    return (
      'is refused: a secret does not belong in this file, which gets copied and shown around; ' +
      `write it into a file of mode 0600 and name that in ${file}, or name a variable in ${variable}`
    );
  }
  const known = keysAt(path);
  const meant = didYouMean(key, known);
  return meant === undefined
    ? `is not known here; known: ${known.join(', ')}`
    : `is not known here; did you mean ${meant}?`;
}

function issueText(document: Document, issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_key') return NAME_RULE;
  if (issue.code === 'invalid_type' || issue.code === 'invalid_value') {
    if (!document.hasIn(issue.path)) return 'is missing';
    return `must be ${issue.code === 'invalid_type' ? (TYPE_WORDS[issue.expected] ?? issue.expected) : issue.values.map(String).join(' or ')}`;
  }
  return issue.path[0] === 'defaults' && issue.code === 'invalid_format'
    ? 'must be a name from this file'
    : issue.message;
}

const NAME_RULE =
  'is not a name: letters, digits, dots, dashes and underscores, the first a letter or digit, at most 63';

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text (put quotes around it)',
  object: 'a map of keys and values',
  record: 'a map of names',
  array: 'a list',
  boolean: 'true or false',
  number: 'a number',
  int: 'a whole number',
};

/** What concerns two places at once; works on values that have not passed the schema. */
function crossProblems(document: Document, value: unknown): Problem[] {
  const { hosts, repositories, defaults } = value as Record<string, unknown>;
  const both = (group: string, entries: unknown, file: string, variable: string): Problem[] =>
    entriesOf(entries)
      .filter(([, entry]) => hasKey(entry, file) && hasKey(entry, variable))
      .map(([name]) =>
        problemAt(document, [group, name, variable], `stands beside ${file}; keep one of them`),
      );
  const dangling = (key: string, group: string, entries: unknown): Problem[] => {
    const name: unknown = (defaults as Record<string, unknown> | undefined)?.[key];
    if (typeof name !== 'string' || entriesOf(entries).some(([known]) => known === name)) return [];
    return [problemAt(document, ['defaults', key], `names nothing under ${group}`)];
  };
  return [
    ...both('hosts', hosts, 'passwordFile', 'passwordEnv'),
    ...both('repositories', repositories, 'passphraseFile', 'passphraseEnv'),
    ...dangling('host', 'hosts', hosts),
    ...dangling('repository', 'repositories', repositories),
  ];
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}

function hasKey(value: unknown, key: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key);
}

function problemAt(document: Document, path: Path, text: string): Problem {
  const where = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return { at: offsetOf(document, path), text: `${where.replace(/^\./, '') || 'the configuration'} ${text}` };
}

/** Where the key of `path` stands, or its nearest ancestor when it is missing. */
function offsetOf(document: Document, path: Path): number {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const parent = document.getIn(path.slice(0, depth - 1), true);
    const key = path[depth - 1]!;
    const node = isMap(parent) ? keyNode(parent, key) : document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

function keyNode(map: { items: { key: unknown }[] }, key: PropertyKey): unknown {
  return map.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === String(key))?.key;
}
