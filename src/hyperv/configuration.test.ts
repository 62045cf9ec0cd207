import assert from 'node:assert/strict';
import { test } from 'node:test';
import { winrmFaults } from '../winrm/index.ts';
import { rig } from './testing/rig.fixture.ts';

test('the configuration is plain JSON and survives a host that knows no memory or network classes', async () => {
  for (const knowsClasses of [true, false]) {
    const { host, hyperv, session } = rig();
    const vm = host.addVm('web & "co"');
    host.addDisk(vm, 'C:\\a.vhdx');
    session.disturb = (call) => {
      if (!knowsClasses && /Memory|Processor|Ethernet/.test(call)) {
        throw winrmFaults.badFilter({ host: 'HV1', resource: call, code: 2_150_858_778, message: 'x' });
      }
    };
    const configuration = await hyperv.configuration(vm.guid.toLowerCase());
    assert.deepEqual(JSON.parse(JSON.stringify(configuration)), configuration);
    assert.equal(configuration.name, 'web & "co"');
    assert.equal(configuration.generation, 2);
    assert.equal(configuration.disks[0]!.path, 'C:\\a.vhdx');
    assert.ok(!('memory' in configuration) && !('processors' in configuration));
  }
});

test('memory, processors and adapters are told in the units of the host', async () => {
  const { host, hyperv, session } = rig();
  const vm = host.addVm('web');
  const devices: Record<string, object[]> = {
    Msvm_MemorySettingData: [
      { VirtualQuantity: 4096n, Reservation: 512n, Limit: 1_048_576n, DynamicMemoryEnabled: true },
    ],
    Msvm_ProcessorSettingData: [{ VirtualQuantity: 4n }],
    Msvm_SyntheticEthernetPortSettingData: [
      { ElementName: 'LAN', Address: '00155D010203', StaticMacAddress: true },
      { ElementName: null, Address: null, StaticMacAddress: null },
    ],
  };
  const select = session.query.bind(session);
  session.query = async function* (cls, text, options) {
    yield* (devices[cls.name] ?? []) as never[];
    yield* select(cls, text, options);
  };
  const configuration = await hyperv.configuration(vm.guid.toLowerCase());
  assert.deepEqual(configuration.memory, {
    startupMiB: 4096,
    dynamic: true,
    minimumMiB: 512,
    maximumMiB: 1_048_576,
  });
  assert.equal(configuration.processors, 4);
  assert.deepEqual(configuration.networkAdapters, [
    { name: 'LAN', macAddress: '00155D010203', staticMacAddress: true },
    { name: '', macAddress: '', staticMacAddress: false },
  ]);
});
