/** What users of the modules for disks import says what it does: units, errors, the section of the specification. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const MODULES = ['disk', 'copy', 'vhdx', 'vhd', 'virtualdisk', 'images'];

interface Exported {
  readonly file: string;
  /** Every name of the file, when there are none here. */
  readonly names?: readonly string[];
}

/** What the index of a module passes on from its own files. */
function exportsOf(module: string): Exported[] {
  const index = join('src', module, 'index.ts');
  const text = readFileSync(join(root, index), 'utf8');
  return [...text.matchAll(/^export (?:\*|(?:type )?\{([^}]*)\}) from '(\.\/[^']+)';$/gm)].map(
    ([, list, from]) => {
      const file = join(dirname(index), from!);
      if (list === undefined) return { file };
      return { file, names: list.split(',').map((name) => name.replace(/\btype\b/, '').trim()) };
    },
  );
}

/** Functions, classes and interfaces of a file that have no comment before them. */
function undocumented({ file, names }: Exported): string[] {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  return lines.flatMap((line, index) => {
    const name = /^export (?:async )?(?:function\*?|(?:abstract )?class) (\w+)/.exec(line)?.[1];
    if (name === undefined || (names && !names.includes(name))) return [];
    // The comment at the top of a file that has one thing in it speaks of that thing.
    const top = lines.findIndex((each) => /^export (?:async )?(?:function|class|abstract)/.test(each));
    const byHeader = index === top && line.includes('class') && lines[0]!.startsWith('/**');
    return byHeader || lines[index - 1]?.endsWith('*/') ? [] : [`${file}: ${name}`];
  });
}

for (const module of MODULES) {
  test(`every function and class of hvlift/${module} has a comment`, () => {
    const exported = exportsOf(module);
    assert.ok(exported.length > 0);
    assert.deepEqual(exported.flatMap(undocumented), []);
  });
}
