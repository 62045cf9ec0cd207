import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { test } from 'node:test';
import { failureReason } from './failure-reason.ts';

test('what the system says is told in words and by its code; what has no code, by its message', async () => {
  const missing = await readFile('/no/such/file').catch(failureReason);
  assert.equal(missing, 'there is no such file (ENOENT)');
  const refused = await new Promise((resolve) => connect(1, '127.0.0.1').once('error', resolve));
  assert.equal(failureReason(refused), 'nothing listens there, or a firewall refuses (ECONNREFUSED)');
  assert.equal(failureReason(Object.assign(new Error('x'), { code: 'EXDEV' })), 'EXDEV');
  assert.equal(failureReason(new Error('closed')), 'closed');
});
