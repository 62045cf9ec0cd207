import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rig } from './testing/rig.fixture.ts';

test('a guest is ready when its service is on and answers, and otherwise the reason is told', async () => {
  for (const [enabled, status, expected] of [
    [2, 2, undefined],
    [2, 3, undefined],
    [3, 2, /switched off/],
    [2, 12, /not installed or has not started/],
    [2, 13, /no longer answers/],
    [2, 7, /incompatible/],
    [2, 99, /status 99/],
  ] as const) {
    const { host, hyperv } = rig();
    host.addVm('other', { vss: { enabled: 2, status: 2 } });
    const vm = host.addVm('web', { vss: { enabled, status } });
    const { ready, reason } = await hyperv.vssReady(vm.guid.toLowerCase());
    assert.equal(ready, expected === undefined);
    if (expected) assert.match(reason!, expected);
    else assert.equal(reason, undefined);
  }
});

test('a VM that is off has nobody to ask', async () => {
  const { host, hyperv } = rig();
  const vm = host.addVm('web', { enabledState: 3 });
  const { ready, reason } = await hyperv.vssReady(vm.guid);
  assert.equal(ready, false);
  assert.match(reason!, /not running/);
});
