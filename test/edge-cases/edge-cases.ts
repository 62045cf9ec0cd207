/**
 * The edge cases of Hyper-V and its change tracking, in 20 groups, and the test that holds each: `list.txt`, from which
 * `scripts/list-edge-cases.ts` makes docs/reference/edge-cases.md.
 *
 *   7 Kinds of disks                         a group
 *   VHD | src/…/capture.test.ts | a VHD …    a case, the file of its test, the name of the test, `${…}` as it stands there
 *   VHD sets | - | the lab has none: …       a case that cannot be had, and why
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface EdgeCase {
  readonly what: string;
  /** `undefined` for a case that cannot be had. */
  readonly file: string | undefined;
  /** Name of the test, or the reason. */
  readonly test: string;
}

interface EdgeGroup {
  readonly number: number;
  readonly title: string;
  readonly cases: readonly EdgeCase[];
}

export function edgeGroups(): EdgeGroup[] {
  const text = readFileSync(join(import.meta.dirname, 'list.txt'), 'utf8').trim();
  return text.split('\n\n').map((block) => {
    const [head = '', ...lines] = block.split('\n');
    const [number, title] = /^(\d+) (.+)$/.exec(head)!.slice(1);
    return { number: Number(number), title: title!, cases: lines.map(caseOf) };
  });
}

function caseOf(line: string): EdgeCase {
  const [what, file, test, ...more] = line.split(' | ');
  if (test === undefined || more.length > 0) throw new Error(`no case: ${line}`);
  return { what: what!, file: file === '-' ? undefined : file, test };
}

/** The document. */
export function edgeCaseTables(): string {
  const groups = edgeGroups();
  const cases = groups.flatMap((group) => group.cases);
  const held = cases.filter(({ file }) => file !== undefined).length;
  const tables = groups.map(
    ({ number, title, cases: own }) =>
      `## ${number}. ${title}\n\n| case | file | test, or why there is none |\n|---|---|---|\n${own.map(row).join('\n')}\n`,
  );
  return `# Edge cases

What a host, its VMs and its disks can do to a backup, and the test that holds each case: ${held} of ${cases.length} have one, the others say why not.
All of them run against the lab or against other software that stands in for a host ([proof.md](../operating/proof.md)). Where a name has
\`\${…}\`, the test runs for several values.

This file is generated: \`node scripts/list-edge-cases.ts > docs/reference/edge-cases.md\`, from \`test/edge-cases/list.txt\`. A test keeps it so.

${tables.join('\n')}`;
}

function row({ what, file, test }: EdgeCase): string {
  return `| ${what} | ${file === undefined ? '—' : `\`${file}\``} | ${test} |`;
}
