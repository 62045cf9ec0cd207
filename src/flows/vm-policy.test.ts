import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf } from './vm-policy.ts';

const SQL = { id: 'a', name: 'sql01', notes: ['#hvlift:gold'] };
const WEB = { id: 'b', name: 'web01' };

test('the first policy that means the VM counts, for each property by itself', () => {
  const policies = [
    { match: '#gold', truncateLogs: true },
    { match: 'sql*', consistency: 'application-required' },
    { match: '*', consistency: 'crash', truncateLogs: false },
  ] as const;
  assert.deepEqual(policyOf(SQL, policies), { consistency: 'application-required', truncateLogs: true });
  assert.deepEqual(policyOf(WEB, policies), { consistency: 'crash', truncateLogs: false });
});

test('without any policy a guest is asked, gone on without, and told of a copy', () => {
  assert.deepEqual(policyOf(WEB, []), { consistency: 'application-preferred', truncateLogs: false });
});

test('a guest that is not asked is not told to truncate its logs', () => {
  const policies = [
    { match: '*', consistency: 'crash' },
    { match: 'sql01', truncateLogs: true },
  ] as const;
  assert.deepEqual(policyOf(SQL, policies), { consistency: 'crash', truncateLogs: false });
});
