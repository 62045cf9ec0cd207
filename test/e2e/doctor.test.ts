/** `hvlift doctor` against the lab: what it finds, how it says so, and that it only reads. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { GiB, MiB } from '../../src/base/index.ts';
import { diagnose, type Finding } from '../../src/doctor/index.ts';
import { hostFileFaults } from '../../src/hostfile/faults.ts';
import { createFsHostFiles } from '../../src/hostfile/index.ts';
import { cimClass } from '../../src/winrm/index.ts';
import { CliHome, LabProcess } from './cli.fixture.ts';
import { FILTERED, openDoctorRig, type DoctorRig } from './doctor.fixture.ts';

const READS = ['Identify', 'Enumerate', 'Pull', 'Release', 'Get'];
const CRASH = { consistency: 'crash' } as const;

const statesOf = (findings: ReadonlyMap<string, Finding>, ...states: Finding['state'][]): string[] =>
  [...findings.values()].filter(({ state }) => states.includes(state)).map(({ id }) => id);

async function userCheckpoint({ session, lab }: DoctorRig, vmId: string): Promise<void> {
  const service = cimClass('Msvm_VirtualSystemSnapshotService', {
    properties: { CreationClassName: 'string key' },
    methods: {
      CreateSnapshot: {
        input: { AffectedSystem: 'ref', SnapshotType: 'uint16' },
        output: { Job: 'ref' },
      },
    },
  });
  const AffectedSystem = {
    className: 'Msvm_ComputerSystem',
    keys: { CreationClassName: 'Msvm_ComputerSystem', Name: vmId },
  };
  const keys = { CreationClassName: service.name };
  const { returnValue } = await session.invoke(service, keys, 'CreateSnapshot', {
    AffectedSystem,
    SnapshotType: 2,
  });
  assert.equal(returnValue, 4096);
  await lab.settle();
}

test('of a healthy host nothing is found, and it is asked by reads alone', async () => {
  await using rig = await openDoctorRig();
  await rig.lab.createVm({ name: 'web', disks: [{ size: 64 * MiB }] });
  await rig.lab.createVm({ name: 'off', power: 'off', disks: [{ size: 64 * MiB }] });
  const before = JSON.stringify(await rig.lab.vms());
  const requests = new Set(Object.keys(rig.wire.stats.requests));
  const findings = await rig.findings();
  assert.deepEqual(statesOf(findings, 'failed', 'warning'), []);
  assert.deepEqual(statesOf(findings, 'skipped', 'unproved'), ['log-on-kerberos', 'changes']);
  assert.match(findings.get('data-path')!.seen, /C:\\VMs\\off\\.*: a VHDX of .* for 64 MiB/);
  const asked = Object.keys(rig.wire.stats.requests).filter((action) => !requests.has(action));
  assert.ok(asked.includes('Enumerate'));
  assert.deepEqual(
    asked.filter((action) => !READS.includes(action)),
    [],
  );
  assert.equal(JSON.stringify(await rig.lab.vms()), before);
});

test('everything that is wrong with a host is told in one run, each with its code and what to do', async () => {
  await using rig = await openDoctorRig(
    { windows: { version: '6.3.9600', vmms: 'Stopped', freeBytes: GiB } },
    { maxEnvelopeBytes: 150 * 1024 },
  );
  await rig.lab.createVm({ name: "o'ld", version: '5.0', disks: [{ size: 4 * MiB }] });
  const ours = await rig.lab.createVm({ name: 'ours', disks: [{ size: 4 * MiB }] });
  const others = await rig.lab.createVm({ name: 'others', disks: [{ size: 4 * MiB }] });
  await rig.hyperv.createRecoveryCheckpoint(ours.id, { ...CRASH, name: 'hvlift 1a2b run-7' });
  await rig.hyperv.createRecoveryCheckpoint(others.id, { ...CRASH, name: 'Bareos JobId 4' });
  const findings = await rig.findings();
  const codes = Object.fromEntries(
    [...findings.values()].filter(({ code }) => code).map(({ id, code }) => [id, code]),
  );
  assert.deepEqual(codes, {
    windows: 'DOCTOR_WINDOWS_TOO_OLD',
    vmms: 'DOCTOR_SERVICE_STOPPED',
    'vm-versions': 'DOCTOR_VMS_TOO_OLD',
    leftovers: 'DOCTOR_CHECKPOINT_OF_OURS',
    'other-backups': 'DOCTOR_CHECKPOINT_OF_OTHERS',
    space: 'DOCTOR_SPACE_LOW',
    envelope: 'DOCTOR_ENVELOPE_SMALL',
  });
  assert.match(findings.get('leftovers')!.seen, /"hvlift 1a2b run-7" of ours since \d{4}-/);
  assert.match(findings.get('other-backups')!.seen, /"Bareos JobId 4" of others/);
  assert.ok(findings.get('vm-versions')!.fix!.powershell.includes("Update-VMVersion -Name 'o''ld'"));
  assert.ok(
    [...findings.values()].every(
      ({ state, fix }) => (state === 'failed' || state === 'warning') === Boolean(fix),
    ),
  );
});

test('user checkpoints and reference points are told and found no fault with', async () => {
  await using rig = await openDoctorRig();
  const vm = await rig.lab.createVm({ name: 'web', disks: [{ size: 4 * MiB }] });
  const point = await rig.hyperv.createRecoveryCheckpoint(vm.id, { ...CRASH, name: 'any' });
  await rig.hyperv.convertToReferencePoint(point);
  await userCheckpoint(rig, vm.id);
  await rig.lab.settle();
  const findings = await rig.findings();
  assert.deepEqual(statesOf(findings, 'failed', 'warning'), []);
  assert.match(findings.get('user-checkpoints')!.seen, /^1, of web/);
  assert.match(findings.get('reference-points')!.seen, /^1, of 1 VM/);
  assert.doesNotMatch(
    findings.get('data-path')!.seen,
    /avhdx/,
    'the frozen file is read, not the one in use',
  );
});

test('a merge that has not come is told with its disk', async () => {
  await using rig = await openDoctorRig();
  const vm = await rig.lab.createVm({ name: 'web', disks: [{ size: 4 * MiB }] });
  const checkpoint = await rig.hyperv.createRecoveryCheckpoint(vm.id, { ...CRASH, name: 'any' });
  await rig.lab.holdMerges(vm.id, true);
  await rig.hyperv.destroyCheckpoint(checkpoint);
  const found = (await rig.findings()).get('merges')!;
  assert.deepEqual([found.state, found.code], ['warning', 'DOCTOR_MERGE_PENDING']);
  assert.match(found.seen, /\.avhdx of web/);
});

for (const user of ['Administrator', 'Administrator@corp.example', 'CORP\\Administrator']) {
  test(`a wrong password of ${user} is shown to the host once`, async () => {
    await using rig = await openDoctorRig();
    const refused = rig.wire.stats.refusedAuthentications;
    const winrm = { ...rig.target.winrm, credentials: { user, password: 'wrong' } };
    const findings = await rig.findings({ winrm });
    assert.equal(rig.wire.stats.refusedAuthentications, refused + 1);
    assert.deepEqual(statesOf(findings, 'failed'), ['log-on-ntlm']);
    assert.equal(findings.get('log-on-ntlm')!.code, 'WINRM_AUTHENTICATION_FAILED');
    assert.equal(findings.get('inside')!.state, 'skipped');
  });
}

test('an account that UAC has filtered is recognised by what it does not see', async () => {
  await using rig = await openDoctorRig();
  await rig.lab.createVm({ name: 'web' });
  const findings = await rig.findings({ winrm: { ...rig.target.winrm, credentials: FILTERED } });
  const { code, fix } = findings.get('rights')!;
  assert.equal(code, 'DOCTOR_ACCOUNT_SEES_NOTHING');
  assert.ok(fix!.powershell.includes("Add-LocalGroupMember -SID S-1-5-32-578 -Member 'limited'"));
  assert.match(fix!.powershell.at(-1)!, /LocalAccountTokenFilterPolicy/);
  // Identify needs no rights in WMI.
  assert.equal(findings.get('windows')!.state, 'ok');
  assert.equal(findings.get('vmms')!.state, 'unproved');
});

test('a port that is closed and a name nobody knows end the diagnosis with what to do', async () => {
  await using rig = await openDoctorRig();
  const port = { use: 'winrm', host: '127.0.0.1', port: 9 } as const;
  const closed = await rig.findings({ ports: [port] });
  assert.equal(closed.get('port-winrm')!.code, 'DOCTOR_PORT_CLOSED');
  assert.ok(closed.get('port-winrm')!.fix!.powershell.includes('Enable-PSRemoting -Force'));
  const unknown = await rig.findings({ ports: [{ ...port, host: 'hv1.invalid' }] });
  assert.deepEqual([...unknown.keys()], ['name', 'inside']);
  assert.equal(unknown.get('name')!.code, 'DOCTOR_NAME_UNKNOWN');
});

test('a mapping to the wrong folder, a file that is no VHDX and one that is held are told apart', async () => {
  await using rig = await openDoctorRig();
  const vm = await rig.lab.createVm({ name: 'web', disks: [{ size: 4 * MiB }] });
  const [path] = vm.disks[0]!.files;
  const elsewhere = createFsHostFiles({ mappings: [{ from: 'C:\\', to: '/nowhere' }] });
  assert.equal(
    (await rig.findings({ openFiles: () => elsewhere })).get('data-path')!.code,
    'HOSTFILE_NOT_FOUND',
  );
  const held = {
    open: () => Promise.reject(hostFileFaults.inUse({ path: path! })),
    describe: () => '',
    close: () => Promise.resolve(),
  };
  const inUse = (await rig.findings({ openFiles: () => held })).get('data-path')!;
  assert.equal(inUse.state, 'unproved');
  assert.ok(inUse.seen.includes(path!));
  await rig.lab.setPower(vm.id, 'off');
  await writeFile(join(rig.lab.volumesFolder, 'C', ...path!.slice(3).split('\\')), 'a text that is no disk');
  const broken = (await rig.findings()).get('data-path')!;
  assert.equal(broken.code, 'DOCTOR_DISK_NOT_VHDX');
  assert.match(broken.seen, /begins with "a text t"/);
});

test('a connection that breaks for good in the middle is a finding; a cancelled diagnosis ends', async () => {
  await using rig = await openDoctorRig();
  await rig.lab.createVm({ name: 'web' });
  rig.faults.push({ action: 'Enumerate', kind: 'drop-before', times: 1000 });
  const findings = await rig.findings();
  assert.deepEqual(
    [findings.get('rights')!.code, findings.get('inside')!.code],
    Array(2).fill('WINRM_CONNECTION_LOST'),
  );
  const abort = new AbortController();
  const reason = new Error('enough');
  await assert.rejects(async () => {
    for await (const { id } of diagnose(rig.target, abort.signal)) if (id === 'service') abort.abort(reason);
  }, reason);
});

test('the program shows the findings, exits by the worst, and gives the same as JSON', async () => {
  await using lab = await LabProcess.start('--vm', 'web=64MiB');
  await using home = await CliHome.open(lab, 'plain');
  const healthy = await home.ok('doctor');
  assert.match(healthy.stdout, /^ok {8}disk files {13}C:\\VMs\\web/m);
  assert.match(healthy.stdout, /1 unproved, 1 skipped, \d+ ok; nothing on the host was changed\n$/);
  assert.doesNotMatch(healthy.stdout, /\u001b/, 'a pipe gets no colours'); // oxlint-disable-line no-control-regex
  await lab.client.configure({ windows: { freeBytes: GiB } });
  assert.equal((await home.run('doctor', 'lab')).code, 4);
  await lab.client.configure({ windows: { vmms: 'Stopped' } });
  const stopped = await home.run('doctor', 'lab', '--json');
  assert.equal(stopped.code, 2);
  const { findings } = stopped.json();
  const found = findings.find(({ id }: Finding) => id === 'vmms');
  assert.deepEqual([found.state, found.error.code], ['failed', 'DOCTOR_SERVICE_STOPPED']);
  assert.deepEqual(found.fix.powershell, ['Get-Service vmms', 'Start-Service vmms']);
  await using gone = await LabProcess.start();
  await home.ok(
    'host',
    'add',
    'gone',
    '--url',
    gone.address.url,
    '--user',
    'x',
    '--password-file',
    gone.address.passwordFile,
  );
  await gone[Symbol.asyncDispose]();
  assert.equal((await home.run('doctor', 'gone')).code, 75);
});
