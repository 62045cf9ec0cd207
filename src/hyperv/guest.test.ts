import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeEmbedded, winrmFaults } from '../winrm/index.ts';
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

test('what the guest freezes follows from the system it tells; one that tells nothing readable is not known', async () => {
  const item = (Name: string, Data: string): string =>
    encodeEmbedded({
      className: 'Msvm_KvpExchangeDataItem',
      properties: { Name, Data, Source: 2 },
      types: { Source: 'uint16' },
    });
  for (const [items, expected] of [
    [[item('OSVersion', '10.0'), item('OSName', 'Windows Server 2022 Datacenter')], 'applications'],
    [[item('OSName', 'Debian GNU/Linux')], 'file-systems'],
    [[item('OSName', '')], undefined],
    [[item('OSVersion', '6.1'), '<INSTANCE', '<!DOCTYPE a><a/>', ''], undefined],
    [[], undefined],
  ] as const) {
    const { host, session, hyperv } = rig();
    const vm = host.addVm('web', { vss: { enabled: 2, status: 2 } });
    const query = session.query.bind(session);
    session.query = async function* (cls, text, options) {
      if (cls.name === 'Msvm_KvpExchangeComponent') yield { GuestIntrinsicExchangeItems: items } as never;
      else yield* query(cls, text, options);
    };
    const { ready, freezes } = await hyperv.vssReady(vm.guid);
    assert.deepEqual([ready, freezes], [true, expected]);
  }
});

test('a host that cannot be asked what the guest runs does not lose the backup', async () => {
  const { host, session, hyperv } = rig();
  const vm = host.addVm('web', { vss: { enabled: 2, status: 2 } });
  session.disturb = (call) => {
    if (call === 'query Msvm_KvpExchangeComponent')
      throw winrmFaults.notFound({ resource: 'Msvm_KvpExchangeComponent' });
  };
  assert.deepEqual(await hyperv.vssReady(vm.guid), { ready: true });
});

test('whatever is in the way, what to do about it is told', async () => {
  for (const vss of [
    { enabled: 3, status: 2 },
    { enabled: 2, status: 12 },
    { enabled: 2, status: 99 },
    undefined,
  ]) {
    const { host, hyperv } = rig();
    const vm = host.addVm('web', vss ? { vss } : { enabledState: 9 });
    const { ready, fix } = await hyperv.vssReady(vm.guid);
    assert.equal(ready, false);
    assert.match(fix!, /service|start|settings/);
  }
});
