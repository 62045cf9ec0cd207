import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertDocumented } from '../../test/offset-table.ts';
import { crc32c } from '../base/index.ts';
import * as format from './format.ts';

const structures = Object.values(format).filter(
  (value) => typeof value === 'object' && 'fields' in value && 'size' in value,
);

test('docs/formats/vhdx.md and format.ts agree on every offset of every structure', () => {
  assert.equal(structures.length, 17);
  for (const structure of structures) assertDocumented('docs/formats/vhdx.md', structure);
});

test('the checksum is that of the bytes with their checksum field zero', () => {
  const bytes = Uint8Array.from({ length: 4096 }, (_, i) => i * 7);
  const zeroed = bytes.slice();
  zeroed.fill(0, 4, 8);
  assert.equal(format.checksumOf(bytes), crc32c(zeroed));
});
