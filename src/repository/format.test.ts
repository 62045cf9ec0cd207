import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assertDocumented } from '../../test/offset-table.ts';
import * as format from './format.ts';

const DOCUMENT = 'docs/formats/repository.md';
const text = readFileSync(new URL(`../../${DOCUMENT}`, import.meta.url), 'utf8');

test('the document and format.ts agree on every offset of every structure', () => {
  const structures = Object.values(format).filter(
    (value) => typeof value === 'object' && 'fields' in value && 'size' in value,
  );
  assert.equal(structures.length, 11);
  for (const structure of structures) assertDocumented(DOCUMENT, structure);
});

test('the document and format.ts agree on kinds, magics and limits', () => {
  const objects = text.slice(text.indexOf('\n## Objects'), text.indexOf('\n### Object header'));
  const kinds = [...objects.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, name, number]) => [
    name,
    Number(number),
  ]);
  assert.deepEqual(kinds, Object.entries(format.KINDS));
  const magics = [...text.matchAll(/^\| `magic` .* `(\w+)`, 1a, 0a \|$/gm)].map(
    ([, name]) => `${name}\x1a\n`,
  );
  const { OBJECT_MAGIC, PACK_MAGIC, PACK_END_MAGIC, SEGMENT_MAGIC } = format;
  assert.deepEqual(magics, [OBJECT_MAGIC, PACK_MAGIC, PACK_END_MAGIC, SEGMENT_MAGIC]);
  assert.deepEqual(
    [format.FORMAT_VERSION, format.SLOT_BYTES, format.CELL_BYTES, format.LEAF_SLOTS, format.FAN_OUT],
    [1, 1_048_576, 65_536, 256, 256],
  );
  assert.equal(format.OBJECT_RAW_MAX, 16 * format.SLOT_BYTES);
  assert.equal(format.PACK_BYTES_MAX, 64 * format.SLOT_BYTES);
});
