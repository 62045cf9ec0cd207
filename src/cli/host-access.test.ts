import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostAccess } from './engine.ts';
import { winrmOptions } from './host-access.ts';

const ACCESS: HostAccess = {
  name: 'hv1',
  url: 'http://hv1:5985/wsman',
  user: 'backup',
  password: () => Promise.reject(new Error('not needed')),
  files: { kind: 'fs', mappings: [] },
  viaSsh: false,
};
const STRAIGHT = { close: async () => undefined };

test('the connections a host is configured with are what its client opens at most; else the client decides', async () => {
  assert.equal((await winrmOptions({ ...ACCESS, sessions: 5 }, STRAIGHT)).sessions, 5);
  assert.ok(!('sessions' in (await winrmOptions(ACCESS, STRAIGHT))));
});
