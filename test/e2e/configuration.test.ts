/** The settings of a VM as they are read over the wire, for VMs of both generations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../../src/base/index.ts';
import { openLabStack } from './lab-stack.fixture.ts';

test('the settings of VMs of both generations are read over WS-Management, each VM its own', async () => {
  await using stack = await openLabStack();
  const disks = [{ size: 4 * MiB }];
  const { id: modern } = await stack.lab.createVm({ name: 'modern', processors: 3, memoryMiB: 3072, disks });
  const { id: old } = await stack.lab.createVm({ name: 'old', generation: 1, notes: ['a note'], disks });
  const [second, first] = await Promise.all([
    stack.hyperv.configuration(modern.toLowerCase()),
    stack.hyperv.configuration(old.toLowerCase()),
  ]);
  assert.deepEqual([second.processors, second.memory!.startupMiB], [3, 3072]);
  assert.deepEqual(
    second.firmware.bootSources!.map(({ kind }) => kind),
    ['drive', 'network'],
  );
  assert.equal(second.firmware.secureBootTemplate, 'MicrosoftWindows');
  assert.deepEqual(first.controllers, [
    { kind: 'ide', number: 0 },
    { kind: 'ide', number: 1 },
    { kind: 'scsi', number: 0 },
  ]);
  assert.deepEqual(first.firmware.bootOrder, [1, 2, 3, 0]);
  assert.ok(!('bootSources' in first.firmware));
  assert.deepEqual(first.notes, ['a note']);
  for (const { networkAdapters, integrationServices, automatic, security } of [first, second]) {
    assert.equal(networkAdapters.length, 1);
    assert.deepEqual([networkAdapters[0]!.switchName, networkAdapters[0]!.connected], ['LAN', true]);
    assert.equal(networkAdapters[0]!.vlan!.mode, 'access');
    assert.deepEqual([integrationServices.shutdown, integrationServices.guestServices], [true, false]);
    assert.deepEqual([automatic.start, automatic.stop], ['if-it-ran', 'save']);
    assert.equal(security.tpm, false);
  }
  assert.notEqual(first.networkAdapters[0]!.macAddress, second.networkAdapters[0]!.macAddress);
});
