import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { objectStoreConformance } from './conformance.ts';
import { createMemoryStore } from './index.ts';

objectStoreConformance('memory', async () => createMemoryStore());

test('a memory store records every call, failed ones included', async () => {
  const store = createMemoryStore();
  store.failCall(2, new Error('lost'));
  await store.putNew('a/1', Buffer.alloc(5));
  await assert.rejects(store.putNew('a/2', Buffer.alloc(6)), /lost/);
  await store.getRange('a/1', 1, 3);
  assert.deepEqual(
    store.calls().map(({ method, name, bytes }) => [method, name, bytes]),
    [
      ['putNew', 'a/1', 5],
      ['putNew', 'a/2', 6],
      ['getRange', 'a/1', 3],
    ],
  );
  assert.equal(store.calls('getRange').length, 1);
  assert.equal(await store.stat('a/2'), undefined);
});

test('a call told to hang ends only by its signal', async () => {
  const store = createMemoryStore();
  store.hangCall(1);
  const controller = new AbortController();
  const call = store.putNew('a/1', Buffer.alloc(1), { signal: controller.signal });
  const first = await Promise.race([call, new Promise((resolve) => setImmediate(resolve, 'hangs'))]);
  assert.equal(first, 'hangs');
  controller.abort(new Error('stop'));
  await assert.rejects(call, /stop/);
});

test('a crash drops what was not committed and keeps what was', async () => {
  const store = createMemoryStore();
  await store.putNew('a/kept', Buffer.alloc(1));
  const upload = await store.startNew('a/lost');
  await upload.append(Buffer.alloc(1));
  store.crash();
  await assert.rejects(upload.commit(), (error) => hasCode(error, 'STORE_UPLOAD_FAILED'));
  assert.deepEqual(await Array.fromAsync(store.list('')), [{ name: 'a/kept', size: 1 }]);
});
