/** What mutations found once: fixtures/hostile-disks, each played again. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { REFUSED, SAME } from './expectation.ts';
import type { Subject } from './subject.ts';
import { allSubjects } from './subjects.ts';
import { tried } from './trial.ts';
import { sealOf } from './vhdx-layout.ts';

interface Find {
  readonly found: string;
  readonly subject: string;
  readonly patches: readonly { readonly at: number; readonly hex: string }[];
  readonly sealed: readonly { readonly at: number; readonly size: number }[];
  readonly opens: 'yes' | 'no';
}

const folder = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'fixtures', 'hostile-disks');
let subjects: Subject[];

before(async () => {
  subjects = await allSubjects();
});

for (const name of globSync('*.json', { cwd: folder })) {
  const find = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Find;
  test(`${name}: ${find.found}`, async () => {
    const subject = subjects.find((one) => one.name === find.subject);
    assert.ok(subject, `there is no subject ${find.subject}`);
    const mutant = {
      what: find.found,
      patches: find.patches.map(({ at, hex }) => ({ offset: at, bytes: Buffer.from(hex, 'hex') })),
      seals: find.sealed.map(({ at, size }) => sealOf(at, size)),
      expect: find.opens === 'yes' ? SAME : REFUSED,
    };
    for (const everything of [false, true]) await tried(subject, [mutant], { everything });
  });
}
