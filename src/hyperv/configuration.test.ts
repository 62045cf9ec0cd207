import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { recordingsFolder } from '../../test/requires.ts';
import { decodeInstance, parseXml, winrmFaults, type XmlElement } from '../winrm/index.ts';
import { Msvm_VirtualEthernetSwitch } from './classes/devices.ts';
import type { FakeVm, Row } from './testing/fake-host.fixture.ts';
import { rig, type Rig } from './testing/rig.fixture.ts';

test('the configuration is plain JSON and survives a host that knows no classes of devices', async () => {
  for (const knowsClasses of [true, false]) {
    const { host, hyperv, session } = rig();
    const vm = host.addVm('web & "co"');
    host.addDisk(vm, 'C:\\a.vhdx');
    session.disturb = (call) => {
      if (!knowsClasses && /Memory|Processor|Ethernet|Security|Boot|Component|Switch/.test(call)) {
        throw winrmFaults.badFilter({ host: 'HV1', resource: call, code: 2_150_858_778, message: 'x' });
      }
    };
    const configuration = await hyperv.configuration(vm.guid.toLowerCase());
    assert.deepEqual(JSON.parse(JSON.stringify(configuration)), configuration);
    assert.equal(configuration.name, 'web & "co"');
    assert.equal(configuration.generation, 2);
    assert.equal(configuration.disks[0]!.path, 'C:\\a.vhdx');
    assert.deepEqual(configuration.controllers, [{ kind: 'scsi', number: 0 }]);
    assert.ok(!('memory' in configuration) && !('processors' in configuration));
  }
});

test('what the host fails to tell is named and costs nothing else; after three failures in a row the rest is not asked', async () => {
  const failing = async (classes: RegExp) => {
    const made = rig();
    const vm = complete(made);
    made.session.disturb = (call, moment) => {
      if (moment === 'before' && classes.test(call))
        throw winrmFaults.providerFailed({ host: 'HV1', resource: call, code: 1, message: 'broken' });
    };
    return { made, configuration: await made.hyperv.configuration(vm.guid.toLowerCase()) };
  };
  const { configuration } = await failing(/Memory|VirtualEthernetSwitch/);
  assert.deepEqual(configuration.unread!.classes, ['Msvm_MemorySettingData', 'Msvm_VirtualEthernetSwitch']);
  assert.ok(!('memory' in configuration));
  assert.equal(configuration.processors, 4);
  assert.ok(configuration.networkAdapters.length > 0);
  assert.equal(configuration.disks[0]!.path, 'C:\\a.vhdx');

  const { made, configuration: bare } = await failing(/Msvm_(?!ComputerSystem|VirtualSystemSettingData)/);
  const asked = made.session.calls.filter((call) =>
    /Memory|Processor|Security|Allocation|Ethernet|Component/.test(call),
  );
  assert.equal(asked.length, 3, asked.join(', '));
  assert.equal(bare.name, 'web');
  assert.ok(bare.unread!.classes.length > 8);
  assert.match(bare.unread!.reason, /broken/);
  await assert.rejects(failing(/query Msvm_VirtualSystemSettingData/), { code: 'WINRM_PROVIDER_FAILED' });
});

const NIC = 'Microsoft:ID\\NIC';
const SWITCH = '0F1E2D3C-0000-4000-8000-0000000000AA';

/** A VM for which a host tells everything this module asks for. */
function complete({ host, session }: Rig): FakeVm {
  const vm = host.addVm('web');
  host.addDisk(vm, 'C:\\a.vhdx');
  const path = (cls: string, id: string): string =>
    `\\\\HV1\\root\\virtualization\\v2:${cls}.InstanceID="${id.replaceAll('\\', '\\\\')}"`;
  host.parts = {
    Msvm_MemorySettingData: [
      {
        VirtualQuantity: 4096n,
        Reservation: 512n,
        Limit: 1_048_576n,
        DynamicMemoryEnabled: true,
        TargetMemoryBuffer: 20,
        Weight: 5000,
      },
    ],
    Msvm_ProcessorSettingData: [
      {
        VirtualQuantity: 4n,
        Reservation: 0n,
        Limit: 100_000n,
        Weight: 100,
        LimitProcessorFeatures: true,
        LimitCPUID: false,
        ExposeVirtualizationExtensions: false,
        HwThreadsPerCore: 2n,
        MaxProcessorsPerNumaNode: 8n,
        MaxNumaNodesPerSocket: 1n,
      },
    ],
    Msvm_SecuritySettingData: [
      {
        TpmEnabled: true,
        ShieldingRequested: false,
        DataProtectionRequested: false,
        KsdEnabled: false,
        EncryptStateAndVmMigrationTraffic: true,
        VirtualizationBasedSecurityOptOut: false,
      },
    ],
    Msvm_SyntheticEthernetPortSettingData: [
      { InstanceID: NIC, ElementName: 'LAN', Address: '00155D010203', StaticMacAddress: true },
      { InstanceID: `${NIC}2`, ElementName: 'Trunk', Address: '00155D010204', StaticMacAddress: false },
      { InstanceID: `${NIC}3`, ElementName: 'Private', Address: '00155D010205', StaticMacAddress: false },
      { InstanceID: `${NIC}4`, ElementName: null, Address: null, StaticMacAddress: null },
    ],
    Msvm_EmulatedEthernetPortSettingData: [
      { InstanceID: `${NIC}5`, ElementName: 'Old', Address: '00155D010206' },
    ],
    Msvm_EthernetPortAllocationSettingData: ['', '2', '3'].map((n) => ({
      InstanceID: `${NIC}${n}\\C`,
      Parent: path('Msvm_SyntheticEthernetPortSettingData', `${NIC}${n}`),
      HostResource: [
        `\\\\HV1\\root\\virtualization\\v2:Msvm_VirtualEthernetSwitch.CreationClassName="Msvm_VirtualEthernetSwitch",Name="${SWITCH.toLowerCase()}"`,
      ],
      LastKnownSwitchName: 'an older name',
      EnabledState: n === '3' ? 3 : 2,
    })),
    Msvm_EthernetSwitchPortVlanSettingData: [
      { InstanceID: `${NIC}\\C\\V`, OperationMode: 1, AccessVlanId: 42 },
      { InstanceID: `${NIC}2\\C\\V`, OperationMode: 2, NativeVlanId: 1, TrunkVlanIdArray: [10, 20] },
      { InstanceID: `${NIC}3\\C\\V`, OperationMode: 3, PvlanMode: 1, PrimaryVlanId: 5, SecondaryVlanId: 6 },
    ],
    Msvm_VirtualEthernetSwitch: [
      { CreationClassName: 'Msvm_VirtualEthernetSwitch', Name: SWITCH, ElementName: 'External' },
    ],
    Msvm_BootSourceSettingData: [
      {
        InstanceID: 'Microsoft:ID\\1',
        BootSourceType: 1,
        BootSourceDescription: 'EFI SCSI Device',
        FirmwareDevicePath: '\\Scsi(0,0)',
      },
      {
        InstanceID: 'Microsoft:ID\\2',
        BootSourceType: 9,
        BootSourceDescription: 'EFI Network',
        FirmwareDevicePath: '\\Mac(x)',
      },
    ],
    Msvm_ShutdownComponentSettingData: [{ EnabledState: 2 }],
    Msvm_TimeSyncComponentSettingData: [{ EnabledState: 3 }],
    Msvm_KvpExchangeComponentSettingData: [{ EnabledState: 2 }],
    Msvm_HeartbeatComponentSettingData: [{ EnabledState: 2 }],
    Msvm_VssComponentSettingData: [{ EnabledState: 2 }],
    Msvm_GuestServiceInterfaceComponentSettingData: [{ EnabledState: 3 }],
  };
  addSettings(session, {
    Notes: ['first', 'second'],
    BIOSGUID: '{1}',
    BIOSSerialNumber: '2-3',
    BootOrder: [],
    BootSourceOrder: [
      path('Msvm_BootSourceSettingData', 'Microsoft:ID\\2'),
      path('Msvm_BootSourceSettingData', 'Microsoft:ID\\1'),
    ],
    SecureBootEnabled: true,
    SecureBootTemplateId: '272E7447-90A4-4563-A4B9-8E4AB00526CE',
    NetworkBootPreferredProtocol: 4096,
    PauseAfterBootFailure: false,
    BIOSNumLock: false,
    ConsoleMode: 0,
    AutomaticStartupAction: 4,
    AutomaticStartupActionDelay: { intervalSeconds: 30 },
    AutomaticStartupActionSequenceNumber: 7,
    AutomaticShutdownAction: 99,
    AutomaticRecoveryAction: 3,
    AutomaticCriticalErrorAction: 1,
    UserSnapshotType: 3,
    AutomaticSnapshotsEnabled: false,
    ConfigurationDataRoot: 'C:\\Hyper-V',
    ConfigurationFile: 'Virtual Machines\\X.vmcx',
    GuestStateFile: 'Virtual Machines\\X.vmgs',
    GuestStateDataRoot: 'C:\\Hyper-V',
    SnapshotDataRoot: 'C:\\Hyper-V',
    SwapFileDataRoot: 'C:\\Hyper-V',
  });
  return vm;
}

/** Adds properties to the current settings, whatever the fake host has in them. */
function addSettings(session: Rig['session'], properties: Row): void {
  const query = session.query.bind(session);
  session.query = async function* (cls, text, options) {
    for await (const row of query(cls, text, options))
      yield cls.name === 'Msvm_VirtualSystemSettingData' ? { ...row, ...properties } : row;
  };
}

test('what a host tells is told in its units, by name where there is one and as it is where there is none', async () => {
  const it = rig();
  const vm = complete(it);
  const configuration = await it.hyperv.configuration(vm.guid.toLowerCase());
  assert.equal(configuration.version, 2);
  assert.deepEqual(configuration.notes, ['first', 'second']);
  assert.deepEqual(configuration.memory, {
    startupMiB: 4096,
    dynamic: true,
    minimumMiB: 512,
    maximumMiB: 1_048_576,
    bufferPercent: 20,
    weight: 5000,
  });
  assert.equal(configuration.processors, 4);
  assert.equal(configuration.processor!.migratable, true);
  assert.equal(configuration.security.tpm, true);
  const connected = { connected: true, switchId: SWITCH.toLowerCase(), switchName: 'External' };
  assert.deepEqual(configuration.networkAdapters, [
    {
      name: 'LAN',
      macAddress: '00155D010203',
      staticMacAddress: true,
      ...connected,
      vlan: { mode: 'access', accessId: 42 },
    },
    {
      name: 'Trunk',
      macAddress: '00155D010204',
      staticMacAddress: false,
      ...connected,
      vlan: { mode: 'trunk', nativeId: 1, trunkIds: [10, 20] },
    },
    {
      name: 'Private',
      macAddress: '00155D010205',
      staticMacAddress: false,
      ...connected,
      connected: false,
      vlan: { mode: 'private', privateMode: 'isolated', primaryId: 5, secondaryId: 6 },
    },
    { name: '', macAddress: '', staticMacAddress: false },
    { name: 'Old', macAddress: '00155D010206', staticMacAddress: false, legacy: true },
  ]);
  assert.deepEqual(
    configuration.firmware.bootSources!.map(({ kind, description }) => [kind, description]),
    [
      [9, 'EFI Network'],
      ['drive', 'EFI SCSI Device'],
    ],
  );
  assert.equal(configuration.firmware.secureBootTemplate, 'MicrosoftUEFICertificateAuthority');
  assert.deepEqual(configuration.integrationServices, {
    shutdown: true,
    timeSynchronisation: false,
    keyValueExchange: true,
    heartbeat: true,
    backup: true,
    guestServices: false,
  });
  assert.deepEqual(configuration.automatic, {
    start: 'always',
    startDelaySeconds: 30,
    startOrder: 7,
    stop: 99,
    recovery: 'restart',
    storageLost: 'pause',
  });
  assert.deepEqual(configuration.checkpoints, { kind: 'production', automatic: false });
});

test('object paths that are none, and switches that are gone, leave the rest of the description', async () => {
  const it = rig();
  const vm = complete(it);
  for (const cable of it.host.parts['Msvm_EthernetPortAllocationSettingData']!)
    cable['HostResource'] = ['no path'];
  it.host.parts['Msvm_VirtualEthernetSwitch'] = [];
  addSettings(it.session, { BootSourceOrder: ['no path'] });
  const { networkAdapters, firmware } = await it.hyperv.configuration(vm.guid.toLowerCase());
  assert.deepEqual(networkAdapters.map(({ connected, switchName }) => [connected, switchName]).slice(0, 2), [
    [false, 'an older name'],
    [false, 'an older name'],
  ]);
  assert.deepEqual(firmware.bootSources, []);
});

/** `a.b[].c` of every value in it. */
function fieldsOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => fieldsOf(item, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, item]) => {
    const inner = path === '' ? key : `${path}.${key}`;
    return Array.isArray(item) && item.length === 0 ? [`${inner}[]`] : fieldsOf(item, inner);
  });
}

test('docs/formats/vm.md names every field of a configuration, and no other', async () => {
  const it = rig();
  const vm = complete(it);
  it.host.addDisk(vm, 'C:\\cd.iso', { subType: 'Microsoft:Hyper-V:Virtual CD/DVD Disk' });
  const configuration = await it.hyperv.configuration(vm.guid.toLowerCase());
  const written = {
    ...configuration,
    dvdDrives: [{ controller: { kind: 'scsi', number: 0 }, slot: 1, path: 'C:\\cd.iso' }],
    unread: { classes: ['Msvm_MemorySettingData'], reason: 'broken' },
  };
  const document = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'formats', 'vm.md'), 'utf8');
  const documented = [...document.matchAll(/^\| `([^`]+)` \| (?!—)/gm)].map((row) => row[1]!);
  assert.deepEqual([...new Set(fieldsOf(written))].toSorted(), documented.toSorted());
});

const recordings = recordingsFolder();
if (recordings !== undefined) {
  test('a switch as a real host tells it has the name and the GUID that adapters refer to', () => {
    const text = readFileSync(
      join(recordings, 'go-wsman', 'recorded_pull_virtualethernetswitch.xml'),
      'utf8',
    );
    const found = elementNamed(parseXml(text.replace(/^<!--[^]*?-->\s*/, '')), 'Msvm_VirtualEthernetSwitch')!;
    assert.deepEqual(decodeInstance(Msvm_VirtualEthernetSwitch, found), {
      CreationClassName: 'Msvm_VirtualEthernetSwitch',
      Name: '00000000-0000-4000-8000-000000000007',
      ElementName: 'scrubbed-5',
    });
  });
}

function elementNamed(element: XmlElement, name: string): XmlElement | undefined {
  if (element.name === name) return element;
  for (const child of element.children) {
    const found = elementNamed(child, name);
    if (found) return found;
  }
  return undefined;
}
