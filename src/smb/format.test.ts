import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assertDocumented } from '../../test/offset-table.ts';
import * as format from './format.ts';

const DOCUMENT = 'docs/protocols/smb.md';
const structs = Object.values(format).filter((value) => typeof value === 'object' && 'fields' in value);

for (const each of structs) {
  test(`${DOCUMENT} and format.ts agree on ${each.name}`, () => assertDocumented(DOCUMENT, each));
}

test(`${DOCUMENT} describes no message that is not in format.ts`, () => {
  const text = readFileSync(new URL(`../../${DOCUMENT}`, import.meta.url), 'utf8');
  const headings = [...text.matchAll(/^### (.+)$/gm)].map((match) => match[1]!);
  const names = structs.map((each) => each.name);
  assert.deepEqual(headings.toSorted(), names.toSorted());
});
