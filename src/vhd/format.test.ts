import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertDocumented } from '../../test/offset-table.ts';
import { newGuid } from '../base/index.ts';
import * as format from './format.ts';

const structures = Object.values(format).filter(
  (value) => typeof value === 'object' && 'fields' in value && 'size' in value,
);

test('docs/formats/vhd.md and format.ts agree on every offset of every structure', () => {
  assert.equal(structures.length, 3);
  for (const structure of structures) assertDocumented('docs/formats/vhd.md', structure);
});

test('the checksum is the one’s complement of the sum of all bytes but its own', () => {
  const bytes = Uint8Array.from({ length: 512 }, (_, i) => i * 7);
  const sum = bytes.reduce((total, byte, at) => (at >= 64 && at < 68 ? total : total + byte), 0);
  assert.equal(format.checksumOf(bytes, 64), 0xffffffff - sum);
});

test('identifiers are big-endian as text reads, unlike the GUIDs of Windows', () => {
  const uniqueId = newGuid();
  const bytes = new Uint8Array(512);
  format.footer.write(bytes, { uniqueId });
  assert.equal(Buffer.from(bytes.subarray(68, 84)).toString('hex'), uniqueId.replaceAll('-', ''));
  assert.equal(format.footer.read(bytes).uniqueId, uniqueId);
});
