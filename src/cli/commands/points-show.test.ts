import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskExplanation } from '../../flows/index.ts';
import { CommandLine } from '../command-line.fixture.ts';
import type { PointDetails } from '../engine.ts';
import { pointSummary } from '../fake-engine.fixture.ts';

const MiB = 1024 ** 2;

const CONFIGURATION = {
  version: 2,
  generation: 2,
  configurationVersion: '9.0',
  processors: 4,
  memory: { startupMiB: 4096, dynamic: true, minimumMiB: 512, maximumMiB: 1_048_576 },
  networkAdapters: [
    {
      name: 'LAN',
      macAddress: '00155D010203',
      staticMacAddress: true,
      switchName: 'External',
      connected: true,
      vlan: { mode: 'access', accessId: 42 },
    },
  ],
  firmware: { bootOrder: [], secureBoot: true, secureBootTemplate: 'MicrosoftWindows' },
  security: { tpm: true },
  notes: ['finance'],
};

const WHY: DiskExplanation = {
  diskId: '0d9a4e57-8f1c-4b34-a6b2-6f0a0c5b7e01',
  path: 'C:\\VMs\\web01.vhdx',
  comparedWith: 'b1b2c3d4e5f6a7b8',
  reportedBytes: 120 * MiB,
  changedBytes: 100 * MiB,
  writtenBytes: 60 * MiB,
  overReportedBytes: 20 * MiB,
  usualBytes: 10 * MiB,
  usualOf: 10,
  partitionTable: 'gpt',
  volumes: [
    { partition: 3, name: 'Basic data', fileSystem: 'ntfs', label: 'Windows', missing: [] },
    {
      partition: 4,
      name: '',
      fileSystem: 'bitlocker',
      label: '',
      unreadable: 'it is encrypted',
      missing: [],
    },
  ],
  areas: [
    { partition: 3, area: 'pagefile', changedBytes: 90 * MiB, writtenBytes: 55 * MiB, usualBytes: 2 * MiB },
    { partition: 4, area: 'not read', changedBytes: 10 * MiB, writtenBytes: 5 * MiB, usualBytes: 8 * MiB },
  ],
  regions: [{ offset: 1_073_741_824, length: 64 * MiB, partition: 3, area: 'pagefile' }],
};

function details(changes: Partial<PointDetails> = {}): PointDetails {
  return {
    ...pointSummary(),
    host: 'HV01',
    losses: [],
    runId: 'run-1',
    parent: 'b1b2c3d4e5f6a7b8',
    configuration: CONFIGURATION,
    warnings: [],
    ...changes,
  };
}

test('a point is shown with its VM and its disks, and is asked for as the options say', async () => {
  await using line = await CommandLine.open();
  const outcome = await line.run(['points', 'show', 'latest', '--vm', 'web01'], {
    engine: { showPoint: async () => details() },
  });
  assert.equal(outcome.code, 0);
  const request = outcome.calls.at(-1)!.request as { point: object; why: boolean };
  assert.deepEqual([request.point, request.why], [{ kind: 'latest', vm: 'web01' }, false]);
  const lines = outcome.stdout.split('\n');
  assert.equal(lines[0], 'point a1b2c3d4e5f6a7b8 of web01 (6b1f3f0e-58a1-4d5e-9a0c-0c8f5d1c2a11)');
  assert.match(
    lines[1]!,
    /^created 2026-11-23 08:00:00Z on HV01, consistency application.*, over point b1b2c3d4e5f6a7b8$/,
  );
  assert.deepEqual(lines.slice(2, 6), [
    'generation 2, version 9.0, 4 processors, 4 GiB memory (512 MiB to 1 TiB), Secure Boot (MicrosoftWindows), TPM',
    'network adapter LAN: 00155D010203 (static), switch External, VLAN 42',
    'note: finance',
    '',
  ]);
  assert.match(lines[6]!, /^DISK {2}KIND {3}REASON/);
  assert.match(lines[7]!, /delta .*C:\\VMs\\web01\.vhdx$/);
});

test('--why tells areas beside what is usual, the largest ranges, and what could not be read', async () => {
  await using line = await CommandLine.open();
  const engine = { showPoint: async () => details({ why: { pointId: 'a1b2c3d4e5f6a7b8', disks: [WHY] } }) };
  const { stdout, calls } = await line.run(['points', 'show', 'a1b2', '--why'], { engine });
  assert.equal((calls.at(-1)!.request as { why: boolean }).why, true);
  const text = stdout.slice(stdout.indexOf('disk 1,'));
  assert.equal(
    text,
    [
      'disk 1, C:\\VMs\\web01.vhdx: 100 MiB changed since point b1b2c3d4e5f6a7b8 (usually 10 MiB, the median of 10 points); 60 MiB of it in blocks of 4 KiB that differ; the host reported 120 MiB, of which 20 MiB had not changed',
      'areas of partition 4 are not known: it is encrypted',
      'PLACE           AREA      CHANGED  USUAL  WRITTEN',
      '3 ntfs Windows  pagefile   90 MiB  2 MiB   55 MiB',
      '4 bitlocker     not read   10 MiB  8 MiB    5 MiB',
      '',
      'LARGEST AT  LENGTH  PLACE           AREA',
      '1073741824  64 MiB  3 ntfs Windows  pagefile',
      '',
    ].join('\n'),
  );
  const document = (await line.run(['points', 'show', 'a1b2', '--why', '--json'], { engine })).json();
  assert.deepEqual(document.why.disks, [WHY]);
  assert.deepEqual(document.configuration, CONFIGURATION);
});

test('a point whose settings are lost is shown with a warning and its exit code', async () => {
  await using line = await CommandLine.open();
  const { configuration: _lost, ...rest } = details();
  const warning = { code: 'FLOW_SETTINGS_LOST', message: 'the settings are lost', remedy: 'none' };
  const outcome = await line.run(['points', 'show', 'a1b2'], {
    engine: { showPoint: async () => ({ ...rest, warnings: [warning] }) },
  });
  assert.equal(outcome.code, 4);
  assert.match(outcome.stderr, /FLOW_SETTINGS_LOST/);
  assert.match(outcome.stdout, /^point a1b2c3d4e5f6a7b8/);
});

test('what of a point cannot be restored is told in capitals, and is exit code 3', async () => {
  await using line = await CommandLine.open();
  const losses = [{ disk: 1, extents: [{ offset: 0, length: 3 * MiB }] }];
  const engine = { showPoint: async () => details({ losses }) };
  const { code, stdout } = await line.run(['points', 'show', 'a1b2'], { engine });
  assert.equal(code, 3);
  assert.match(stdout, /DAMAGED: 3 MiB in 1 range of disk 1 cannot be restored/);
});
