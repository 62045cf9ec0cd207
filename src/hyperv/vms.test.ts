import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { rig } from './testing/rig.fixture.ts';

test('the row of the host itself is no VM', async () => {
  const { host, hyperv } = rig();
  host.addVm('web');
  assert.deepEqual(
    (await hyperv.vms()).map((vm) => vm.name),
    ['web'],
  );
  await assert.rejects(hyperv.vm('HV1'), (error) => hasCode(error, 'HYPERV_VM_NOT_FOUND'));
});

test('state, operation, version and generation are told, ids in lower case', async () => {
  const { host, hyperv } = rig();
  const states = [2, 3, 6, 9, 32_768, 32_769, 10, 32_790];
  for (const enabledState of states) host.addVm(`vm ${enabledState}`, { enabledState });
  host.addVm('busy', { operation: 32_773 });
  host.addVm('odd', { operation: 40_000 });
  const vms = await hyperv.vms();
  assert.deepEqual(
    vms.slice(0, states.length).map((vm) => vm.state),
    ['running', 'off', 'saved', 'paused', 'paused', 'saved', 'other', 'other'],
  );
  assert.deepEqual(
    vms.slice(states.length).map((vm) => vm.busy),
    ['exporting', 'operation 40000'],
  );
  const first = { id: host.vms[0]!.guid.toLowerCase(), name: 'vm 2', state: 'running' };
  assert.deepEqual(vms[0], { ...first, configurationVersion: '9.0', generation: 2 });
});

test('version and generation come from the current settings, never from a checkpoint', async () => {
  const { host, hyperv } = rig();
  const vm = host.addVm('web');
  host.addDisk(vm, 'C:\\web.vhdx');
  host.freeze(vm, 'checkpoint');
  assert.equal((await hyperv.vm('web')).configurationVersion, '9.0');
});

test('names with quotes, backslashes, per cent signs and wild cards find their VM only', async () => {
  const { host, hyperv } = rig();
  const names = ["O'Brien", 'say "hi"', 'a\\b', '100%', '_____', "' OR '1'='1", 'データ', '%'];
  for (const name of names) host.addVm(name);
  for (const [index, name] of names.entries()) {
    const vm = await hyperv.vm(name);
    assert.equal(vm.id, host.vms[index]!.guid.toLowerCase());
    assert.deepEqual(await hyperv.checkpoints(vm.id), []);
  }
});

test('a name two VMs share is refused with both ids; each id finds its VM in any spelling', async () => {
  const { host, hyperv } = rig();
  const [a, b] = [host.addVm('twin'), host.addVm('twin')];
  const [idA, idB] = [a.guid.toLowerCase(), b.guid.toLowerCase()];
  await assert.rejects(
    hyperv.vm('twin'),
    (error) =>
      hasCode(error, 'HYPERV_VM_AMBIGUOUS') && error.message.includes(idA) && error.message.includes(idB),
  );
  assert.equal((await hyperv.vm(idB)).id, idB);
  assert.equal((await hyperv.vm(`{${idB.toUpperCase()}}`)).id, idB);
});

test('the exact name wins over names in other letters, which count when there is no exact one', async () => {
  const { host, hyperv } = rig();
  const [upper, lower] = [host.addVm('WEB'), host.addVm('web')];
  assert.equal((await hyperv.vm('web')).id, lower.guid.toLowerCase());
  assert.equal((await hyperv.vm('WEB')).id, upper.guid.toLowerCase());
  await assert.rejects(hyperv.vm('Web'), (error) => hasCode(error, 'HYPERV_VM_AMBIGUOUS'));
});

test('an empty list hints at missing rights, because a host answers them with silence', async () => {
  const { hyperv } = rig();
  assert.deepEqual(await hyperv.vms(), []);
  await assert.rejects(
    hyperv.vm('web'),
    (error) =>
      hasCode(error, 'HYPERV_VM_NOT_FOUND') &&
      error.details['visible'] === 0 &&
      error.remedy.includes('Hyper-V Administrators'),
  );
});

test('a VM that is gone between two calls is reported as gone', async () => {
  const { host, hyperv } = rig();
  const vm = host.addVm('web');
  host.vms.pop();
  await assert.rejects(hyperv.disks(vm.guid.toLowerCase()), (error) => hasCode(error, 'HYPERV_VM_NOT_FOUND'));
});
