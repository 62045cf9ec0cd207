import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { capturedDisk, generation1, generation2, ideDisk, VM_ID } from './captured-vm.fixture.ts';
import { describeMachine, type CapturedVm, type MachineChoices } from './index.ts';

const codesOf = (vm: CapturedVm, choices?: MachineChoices): string[] =>
  describeMachine(vm, choices).notes.map(({ code }) => code);

/** The VM with other settings. */
function changed(vm: CapturedVm, configuration: CapturedVm['configuration']): CapturedVm {
  return { ...vm, configuration: { ...vm.configuration, ...configuration } };
}

test('generation 1 keeps its BIOS, its disks on IDE where they were, and gets no driver it never had', () => {
  const { machine } = describeMachine(
    generation1([capturedDisk({ path: 'D:\\data.vhdx' }), ideDisk(1), ideDisk(0)]),
  );
  assert.deepEqual(
    machine.disks.map(({ bus }) => bus),
    ['ide', 'ide', 'sata'],
  );
  assert.equal(machine.firmware, 'bios');
  assert.equal(machine.uuid, VM_ID);
  assert.deepEqual(
    machine.adapters.map(({ model, mac }) => [model, mac]),
    [
      ['e1000', '00:15:5d:01:02:03'],
      ['e1000', '00:15:5d:01:02:03'],
    ],
  );
});

test('generation 2 has UEFI, Secure Boot as it was, the identity its guest saw, and SATA', () => {
  const { machine } = describeMachine(generation2());
  assert.deepEqual(
    { ...machine, disks: machine.disks.map(({ bus }) => bus) },
    {
      name: 'new',
      uuid: '6f1b0c9e-5a0e-4a57-8a51-000000000001',
      serialNumber: '1234-5678',
      firmware: 'uefi',
      secureBoot: true,
      processors: 4,
      threadsPerCore: 2,
      memoryMiB: 512,
      tpm: true,
      disks: ['sata'],
      adapters: [{ model: 'e1000e', mac: '00:15:5d:01:02:03', network: { kind: 'isolated' } }],
      bootsFromNetwork: 'never',
    },
  );
});

test('what the firmware names first is started from, whatever its slot', () => {
  const disks = [0, 1, 2].map((slot) =>
    capturedDisk({ slot, path: `${slot}`, logicalSectorSize: 512 * 8 ** slot }),
  );
  const sources = [
    { kind: 'network' },
    { kind: 'drive', devicePath: '\\Scsi(0,2)' },
    { kind: 'drive', devicePath: '\\Scsi(0,1)' },
  ] as const;
  const { machine } = describeMachine(
    changed(generation2(disks), { firmware: { bootOrder: [], bootSources: sources } }),
  );
  assert.deepEqual(
    machine.disks.map(({ logicalSectorSize }) => logicalSectorSize),
    [512 * 64, 512 * 8, 512],
  );
  assert.equal(machine.bootsFromNetwork, 'first');
  assert.equal(describeMachine(generation1()).machine.bootsFromNetwork, 'last');
});

test('a copy is on no network, unless its switch is named', () => {
  const networksOf = (networks: MachineChoices['networks'] & object) =>
    describeMachine(generation1(), { networks }).machine.adapters.map(({ network }) => network.kind);
  assert.deepEqual(networksOf({}), ['isolated', 'isolated']);
  assert.deepEqual(networksOf({ Back: { kind: 'nat' } }), ['isolated', 'nat']);
  assert.deepEqual(networksOf({ '*': { kind: 'nat' }, Front: { kind: 'bridge', name: 'br0' } }), [
    'bridge',
    'nat',
  ]);
  assert.throws(
    () => networksOf({ front: { kind: 'nat' } }),
    (error) => hasCode(error, 'MACHINE_UNKNOWN_NETWORK') && error.message.includes('Front, Back'),
  );
});

test('whatever is not carried over is a note', () => {
  const vm = generation2();
  const base = codesOf(vm);
  assert.deepEqual(base, [
    'MACHINE_MEMORY_FIXED',
    'MACHINE_ADAPTER_MODEL',
    'MACHINE_ADAPTER_ISOLATED',
    'MACHINE_BOOT_ENTRIES_LOST',
    'MACHINE_TPM_EMPTY',
  ]);
  const [adapter] = vm.configuration.networkAdapters!;
  const scsi = { kind: 'scsi', number: 0 } as const;
  const cases: [CapturedVm['configuration'], string][] = [
    [{ security: { shielded: true } }, 'MACHINE_SHIELDED'],
    [{ processor: { nestedVirtualization: true } }, 'MACHINE_NESTED_LEFT'],
    [{ processors: 2048 }, 'MACHINE_PROCESSORS_CUT'],
    [{ dvdDrives: [{ controller: scsi, slot: 1 }] }, 'MACHINE_DVD_LEFT'],
    [
      {
        disks: [
          { attachmentId: 'x', path: 'p', controller: scsi, slot: 1, kind: 'passthrough', shared: false },
        ],
      },
      'MACHINE_DISKS_MISSING',
    ],
    [{ networkAdapters: [{ ...adapter!, macAddress: '01005E000001' }] }, 'MACHINE_MAC_LEFT'],
    [{ networkAdapters: [{ ...adapter!, vlan: { mode: 'access', accessId: 7 } }] }, 'MACHINE_VLAN_LEFT'],
    [
      { firmware: { bootOrder: [], secureBoot: true, secureBootTemplate: 'OpenSourceShieldedVM' } },
      'MACHINE_SECURE_BOOT_OFF',
    ],
  ];
  for (const [configuration, code] of cases) {
    assert.ok(!base.includes(code));
    assert.ok(codesOf(changed(vm, configuration)).includes(code), code);
  }
  const untagged = { networkAdapters: [{ ...adapter!, vlan: { mode: 'access', accessId: 0 } as const }] };
  assert.ok(!codesOf(changed(vm, untagged)).includes('MACHINE_VLAN_LEFT'), 'access to VLAN 0 is no VLAN');
  assert.ok(codesOf({ ...vm, configuration: {} }).includes('MACHINE_SETTINGS_GUESSED'), 'lost settings');
  const large = generation2([capturedDisk({ logicalSectorSize: 4096 })]);
  assert.ok(codesOf(large).includes('MACHINE_SECTORS_MOVED'));
  assert.ok(!codesOf(large, { devices: 'virtio' }).includes('MACHINE_SECTORS_MOVED'));
});
