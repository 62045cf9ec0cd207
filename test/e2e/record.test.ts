/** `hvlift record` against the lab, and the lab answering from what was recorded. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LabHost } from '../../lab/model/index.ts';
import { startReplay } from '../../lab/replay/index.ts';
import { MiB } from '../../src/base/index.ts';
import { createHyperV, surveyHost, type HyperV } from '../../src/hyperv/index.ts';
import { record, type Recording } from '../../src/recording/index.ts';
import { openWinrm } from '../../src/winrm/index.ts';
import { CliHome, LabProcess } from './cli.fixture.ts';
import { openDoctorRig, ACCOUNT, type DoctorRig } from './doctor.fixture.ts';

const NAMES = ['payroll-db 01', 'O\'Brien\'s <"VM"> & co', '検証サーバー2', 'Zeiterfassung_Süd'];
const READS = ['Identify', 'Enumerate', 'Pull', 'Release', 'Get', 'GetVirtualHardDiskSettingData'];

async function withRecording(
  work: (rig: DoctorRig, recording: Recording, folder: string) => Promise<void>,
  options: { vm?: string } = {},
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-record-'));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const rig = parts.use(await openDoctorRig());
  await furnish(rig.lab, rig.hyperv);
  const { signal } = new AbortController();
  const recording = await record({
    winrm: rig.target.winrm,
    to: join(folder, 'host.xml'),
    signal,
    ...options,
  });
  await work(rig, recording, folder);
}

async function furnish(lab: LabHost, hyperv: HyperV): Promise<void> {
  for (const [index, name] of NAMES.entries()) {
    const disks = Array.from({ length: index }, (_, number) => ({ size: (4 + number) * MiB }));
    await lab.createVm({
      name,
      disks,
      power: index % 2 ? 'off' : 'running',
      generation: index % 2 ? 1 : 2,
      notes: [`of ${name}`],
    });
  }
  const [, vm] = await hyperv.vms();
  const crash = { consistency: 'crash', name: 'hvlift secretconsumer run' } as const;
  await hyperv.convertToReferencePoint(await hyperv.createRecoveryCheckpoint(vm!.id, crash));
  await hyperv.createRecoveryCheckpoint(vm!.id, crash);
}

/** What `hyperv` tells of a host, without what names it. */
async function toldBy(hyperv: HyperV): Promise<unknown> {
  const vms = await hyperv.vms();
  const details = vms.map(async (vm) => {
    const [disks, checkpoints, points] = [
      await hyperv.disks(vm.id),
      await hyperv.checkpoints(vm.id),
      await hyperv.referencePoints(vm.id),
    ];
    const { processors, memory, firmware } = await hyperv.configuration(vm.id);
    return {
      name: vm.name.length,
      vm: [vm.state, vm.busy, vm.generation, vm.configurationVersion],
      disks: disks.map(({ controller, slot, kind, shared }) => ({ controller, slot, kind, shared })),
      infos: await Promise.all(
        disks.map(async ({ path }) => {
          const { size, format, kind, blockSize, parentPath } = await hyperv.diskInfo(path);
          return [size, format, kind, blockSize, parentPath?.length];
        }),
      ),
      checkpoints: checkpoints.map(({ kind, createdAt }) => [kind, createdAt]),
      points: points.map(({ consistency, disks: tracked }) => [consistency, tracked.length]),
      configuration: [processors, memory, firmware.bootOrder, firmware.secureBoot],
      vss: await hyperv.vssReady(vm.id),
    };
  });
  return Promise.all(details);
}

test('what was recorded of a host tells the same when it is replayed, under other names', () =>
  withRecording(async (rig, recording) => {
    await using replay = await served(recording.path);
    assert.ok(replay.untouched);
    await using session = await openWinrm({ url: replay.url, credentials: ACCOUNT });
    const hyperv = createHyperV(session, { pollMs: 5 });
    assert.deepEqual(await toldBy(hyperv), await toldBy(rig.hyperv));
    const [ours, theirs] = [await hyperv.vms(), await rig.hyperv.vms()];
    assert.deepEqual(
      ours.map(({ name }) => name),
      recording.names.map(({ pseudonym }) => pseudonym),
    );
    assert.deepEqual(
      theirs.map(({ name }) => name),
      recording.names.map(({ original }) => original),
    );
    // Ids lead to the same things as in the original: disks to VMs, tracked disks to disks.
    const [vm] = ours.filter((each) => each.generation === 1);
    const [point] = await hyperv.referencePoints(vm!.id);
    const attached = (await hyperv.disks(vm!.id)).map(({ attachmentId }) => attachmentId);
    assert.ok(point!.disks.every(({ attachmentId }) => attached.includes(attachmentId)));
    assert.deepEqual((await surveyHost(session)).vms, ours);
    await assert.rejects(session.invoke(UNASKED, {}, 'Undo', {}), { code: 'WINRM_NOT_FOUND' });
  }));

const UNASKED = { name: 'Msvm_Unasked', properties: {}, methods: { Undo: { input: {}, output: {} } } };

async function served(recording: string) {
  const replay = await startReplay({ recording, users: [ACCOUNT] });
  return { ...replay, [Symbol.asyncDispose]: () => replay.close() };
}

test('of the names, ids and addresses of the host none is in the recording', () =>
  withRecording(async (rig, { path }) => {
    const text = (await readFile(path, 'utf8')).toLowerCase();
    const vms = await rig.lab.vms();
    const ids = vms.flatMap((vm) => [
      vm.id,
      ...vm.disks.map(({ diskId }) => diskId),
      ...vm.checkpoints.map(({ id }) => id),
    ]);
    assert.ok(ids.length > 10);
    const secrets = [
      ...NAMES,
      ...NAMES.flatMap((name) => name.split(/[^\p{L}]+/u)),
      ...ids,
      'HV01',
      '127.0.0.1',
      'secretconsumer',
      ACCOUNT.user,
    ];
    for (const secret of secrets.filter((each) => each.length >= 4)) {
      assert.ok(!text.includes(secret.toLowerCase()), secret);
      assert.ok(
        !text.includes(Buffer.from(secret, 'utf16le').toString('base64').slice(0, -4).toLowerCase()),
        secret,
      );
    }
  }));

test('a recording only reads, is for its owner to look at, and says what its bytes are', () =>
  withRecording(
    async (rig, { path, exchanges, names, vms }) => {
      const before = JSON.stringify(await rig.lab.vms());
      const requests = { ...rig.wire.stats.requests };
      const { signal } = new AbortController();
      await record({ winrm: rig.target.winrm, to: `${path}.2`, vm: NAMES[2]!, signal });
      const asked = Object.entries(rig.wire.stats.requests).filter(
        ([action, count]) => count > (requests[action] ?? 0),
      );
      assert.deepEqual(
        asked.map(([action]) => action).filter((action) => !READS.includes(action)),
        [],
      );
      assert.equal(JSON.stringify(await rig.lab.vms()), before);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      assert.deepEqual([names.length, vms], [1, NAMES.length]);
      const text = await readFile(path, 'utf8');
      const messages = [...text.matchAll(/bytes: (\d+)\n {2}sha256: (\w+)\n-->\n/g)];
      assert.equal(messages.length, 2 * exchanges);
      for (const { index, 0: head, 1: bytes, 2: sha256 } of messages) {
        const body = Buffer.from(text.slice(index + head.length)).subarray(0, Number(bytes));
        assert.equal(createHash('sha256').update(body).digest('hex'), sha256);
      }
    },
    { vm: NAMES[1]! },
  ));

test('a file that exists is not written over, and one that was edited is replayed and known as such', () =>
  withRecording(async (rig, { path }) => {
    const { signal } = new AbortController();
    await assert.rejects(record({ winrm: rig.target.winrm, to: path, signal }), { code: 'RECORDING_EXISTS' });
    const nowhere = join(path, 'x');
    await assert.rejects(record({ winrm: rig.target.winrm, to: nowhere, signal }), {
      code: 'RECORDING_UNWRITABLE',
    });
    await writeFile(path, (await readFile(path, 'utf8')).replace('<p:EnabledState>2', '<p:EnabledState>3'));
    await using replay = await served(path);
    assert.equal(replay.untouched, false);
    await writeFile(path, 'no recording');
    await assert.rejects(served(path), /not a recording/);
  }));

test('the program writes a recording and says what it replaced; the lab answers from it', async () => {
  await using lab = await LabProcess.start('--vm', 'payroll=4MiB');
  await using home = await CliHome.open(lab, 'plain');
  const { stdout } = await home.ok('record', '--to', 'host.xml');
  const [, pseudonym] = /^ {2}payroll is (\w{7}) in it$/m.exec(stdout)!;
  assert.match(stdout, /^replaced: \d+ words, \d+ GUIDs, 1 IP, 0 MACs$/m);
  assert.match(stdout, /less .*host\.xml/);
  const again = await home.run('record', 'lab', '--to', 'host.xml', '--json');
  assert.deepEqual([again.code, again.json().error.code], [2, 'RECORDING_EXISTS']);
  const replay = home.start(['lab', 'replay', 'host.xml', '--folder', 'replay']);
  const address = await firstLine(replay.process.stdout!);
  const { url, user, passwordFile } = JSON.parse(address) as Record<string, string>;
  await home.ok('host', 'add', 'recorded', '--url', url!, '--user', user!, '--password-file', passwordFile!);
  const vms = (await home.ok('vms', '--host', 'recorded', '--json')).json();
  assert.deepEqual(
    vms.vms.map(({ name }: { name: string }) => name),
    [pseudonym],
  );
  replay.process.kill('SIGTERM');
  assert.equal((await replay.ended).code, 0);
});

function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    stream.on('data', (part: string) => {
      text += part;
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
  });
}
