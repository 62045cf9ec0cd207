import assert from 'node:assert/strict';
import { test } from 'node:test';
import { objectStoreConformance } from './conformance.ts';
import { createMemoryStore, prefixedStore } from './index.ts';

objectStoreConformance('prefixed', async () => prefixedStore(createMemoryStore(), 'part/of/'));

test('what is beside the part is neither seen nor touched', async () => {
  const whole = createMemoryStore();
  await whole.putNew('part/of/a', Buffer.from('inside'));
  await whole.putNew('part/ofa', Buffer.from('outside'));
  const part = prefixedStore(whole, 'part/of/');
  assert.deepEqual(await Array.fromAsync(part.list('')), [{ name: 'a', size: 6 }]);
  await part.delete('a');
  assert.deepEqual(await Array.fromAsync(whole.list('')), [{ name: 'part/ofa', size: 7 }]);
});
