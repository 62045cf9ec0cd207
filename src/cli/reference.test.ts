/** docs/reference/cli.md and config.md say what the program does: no more, no less. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Command } from '@commander-js/extra-typings';
import { z } from 'zod';
import { declaredFaults } from '../base/index.ts';
import { Sink } from './command-line.fixture.ts';
import { parseConfig } from './config-problems.ts';
import { configSchema } from './config-schema.ts';
import { EXIT } from './exit-code.ts';
import { buildProgram } from './program.ts';

const root = join(import.meta.dirname, '..', '..');
const cli = readFileSync(join(root, 'docs/reference/cli.md'), 'utf8');
const config = readFileSync(join(root, 'docs/reference/config.md'), 'utf8');
const program = buildProgram({ stdout: new Sink(), stderr: new Sink() }, async () => {});

/** The text under a heading, up to the next heading. */
function section(heading: string): string {
  const at = cli.indexOf(`\n${heading}\n`);
  assert.notEqual(at, -1, `docs/reference/cli.md has no heading "${heading}"`);
  return cli.slice(at + heading.length + 2).split(/\n#+ /)[0]!;
}

/** The first column of the tables in a text. */
function firstColumn(text: string): string[] {
  return [...text.matchAll(/^\| `?([^|`]+)`? \|/gm)]
    .map((row) => row[1]!.trim())
    .filter((cell) => cell !== 'option');
}

function leaves(command: Command): Command[] {
  return command.commands.length === 0
    ? [command]
    : command.commands.flatMap((sub) => leaves(sub as Command));
}

/** What a group of commands does when none is named; empty when it has none. */
function defaultOf(command: Command): string {
  return (command as { readonly _defaultCommandName?: string | null })._defaultCommandName ?? '';
}

function usageOf(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent as Command | null)
    names.unshift(at.name());
  const args = command.registeredArguments.map((argument) => {
    const word = argument.name() + (argument.variadic ? '...' : '');
    return argument.required ? `<${word}>` : `[${word}]`;
  });
  return [...names, ...args].join(' ');
}

for (const command of leaves(program)) {
  const usage = usageOf(command);
  test(`cli.md lists the options of \`${usage}\`, and no others`, () => {
    assert.deepEqual(
      firstColumn(section(`### \`${usage}\``)),
      command.options.map((option) => option.flags),
    );
  });
}

test('cli.md lists the commands there are, and no others', () => {
  assert.deepEqual(
    [...cli.matchAll(/^### `(.+)`$/gm)].map((heading) => heading[1]),
    leaves(program).map(usageOf),
  );
  assert.deepEqual(
    firstColumn(section('## Options of every command')),
    program.options.map((option) => option.flags),
  );
});

test('cli.md lists the exit codes there are', () => {
  const documented = [...section('## Exit codes').matchAll(/^\| (\d+) \|/gm)].map((row) => Number(row[1]));
  assert.deepEqual(documented, Object.values(EXIT));
});

test('cli.md lists the environment variables that are read', () => {
  const sources = globSync(['src/cli/**/*.ts', 'bin/*.js'], { cwd: root }).filter(
    (file) => !/\.(test|fixture)\.ts$/.test(file),
  );
  const read = sources.flatMap((file) => [
    ...readFileSync(join(root, file), 'utf8').matchAll(/\benv\['([A-Z0-9_]+)'\]/g),
  ]);
  assert.deepEqual(
    firstColumn(section('## Environment'))
      .filter((name) => name !== 'variable')
      .sort(),
    [...new Set(read.map((match) => match[1]!))].sort(),
  );
});

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
}

/** `hosts.<name>.url required`, for every key that holds a value. */
function keysOf(schema: JsonSchema, path: string, need: string): string[] {
  if (schema.items) return keysOf(schema.items, `${path}[]`, need);
  if (typeof schema.additionalProperties === 'object')
    return keysOf(schema.additionalProperties, `${path}.<name>`, need);
  if (!schema.properties) return [`${path} ${need}`];
  return Object.entries(schema.properties).flatMap(([key, inner]) =>
    keysOf(
      inner,
      path === '' ? key : `${path}.${key}`,
      schema.required?.includes(key) ? 'required' : 'optional',
    ),
  );
}

test('config.md lists the keys there are, and which are required', () => {
  const documented = [...config.matchAll(/^\| `([^`]+)` \| (\w+) \|/gm)].map((row) => `${row[1]} ${row[2]}`);
  assert.deepEqual(
    documented,
    keysOf(z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema, '', 'optional'),
  );
});

test('the example of config.md is a valid configuration that uses every group', () => {
  const example = /```yaml\n([^]*?)```/.exec(config)![1]!;
  const parsed = parseConfig(example, 'example');
  assert.ok(!('problems' in parsed), JSON.stringify(parsed));
  assert.deepEqual(Object.keys(parsed.config), ['hosts', 'repositories', 'defaults', 'vms']);
  assert.equal(parsed.config.hosts!['hv1']!.user, 'EXAMPLE\\backup');
});

test('the commands of the first backup in cli.md are command lines the program accepts', async () => {
  const example = /```sh\n([^]*?)```/.exec(cli)![1]!;
  const accepted: string[] = [];
  for (const line of example.trim().split('\n')) {
    const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map((word) => word[1] ?? word[2]!);
    const fresh = buildProgram(
      { stdout: new Sink(), stderr: new Sink() },
      async () => void accepted.push(line),
    );
    await fresh.parseAsync(words.slice(1), { from: 'user' });
  }
  assert.equal(accepted.length, 6);
});

test('a remedy names only commands and options that exist', async () => {
  for (const file of globSync('src/**/{faults,*-faults}.ts', { cwd: root })) await import(join(root, file));
  const declared = leaves(program).flatMap((leaf) => leaf.options.map(({ long }) => long));
  const options = new Set(['--help', '--config', ...declared]);
  for (const [code, { remedy }] of declaredFaults) {
    for (const [, words] of remedy.matchAll(/`hvlift ([a-z ]+)/g)) {
      const [name, sub] = words!.trim().split(' ');
      const command = program.commands.find((each) => each.name() === name);
      assert.ok(command, `${code}: there is no command ${name}`);
      const known = command.commands.map((each) => each.name());
      assert.ok(
        known.length === 0 || known.includes(sub ?? defaultOf(command as Command)),
        `${code}: there is no command ${name} ${sub}`,
      );
    }
    for (const [option] of remedy.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)) {
      assert.ok(options.has(option), `${code}: there is no option ${option}`);
    }
  }
});
