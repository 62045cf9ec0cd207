/** A survey of a host by class, against what asking VM by VM tells; and the classes of Windows beside those of Hyper-V. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { INSTANT, LabHost } from '../../lab/model/index.ts';
import { startWire } from '../../lab/wire/index.ts';
import { MiB } from '../../src/base/index.ts';
import { createHyperV, surveyHost } from '../../src/hyperv/index.ts';
import { cimClass, openWinrm, type WinrmSession } from '../../src/winrm/index.ts';

const account = { user: 'Administrator', password: 'Passw0rd of a test' };
const limited = { user: 'limited', password: 'Passw0rd of a test' };

async function withLab(
  work: (
    lab: LabHost,
    session: WinrmSession,
    open: (user: typeof account) => Promise<WinrmSession>,
  ) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-lab-'));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const lab = await LabHost.open(folder, { settings: INSTANT });
  parts.defer(() => lab.close());
  const wire = await startWire({ provider: lab.provider, users: [account, { ...limited, filtered: true }] });
  parts.defer(() => wire.close());
  const open = async (credentials: typeof account): Promise<WinrmSession> =>
    parts.use(await openWinrm({ url: wire.url, credentials }));
  await work(lab, await open(account), open);
}

test('a survey tells of every VM what asking VM by VM tells', () =>
  withLab(async (lab, session) => {
    const hyperv = createHyperV(session, { pollMs: 5 });
    await lab.createVm({ name: 'web', disks: [{ size: 4 * MiB }, { size: 4 * MiB }], version: '9.0' });
    const db = await lab.createVm({ name: 'db', disks: [{ size: 4 * MiB }], version: '5.0', power: 'off' });
    await lab.createVm({ name: 'empty' });
    await lab.addDrive(db.id, { kind: 'dvd', path: 'C:\\ISO\\setup.iso' });
    const marked = await hyperv.createRecoveryCheckpoint(db.id, { consistency: 'crash', name: 'one' });
    await hyperv.convertToReferencePoint(marked);
    await hyperv.createRecoveryCheckpoint(db.id, { consistency: 'crash', name: 'two' });

    const survey = await surveyHost(session);
    assert.equal(survey.hostName, 'HV01');
    assert.deepEqual(survey.vms, await hyperv.vms());
    for (const { id } of survey.vms) {
      const checkpoints = survey.checkpoints.filter(({ vmId }) => vmId === id);
      assert.deepEqual(checkpoints, await hyperv.checkpoints(id));
      assert.equal(survey.referencePoints.get(id) ?? 0, (await hyperv.referencePoints(id)).length);
      const owned = (ownerId: string): string[] =>
        survey.disks
          .filter((disk) => disk.ownerId === ownerId)
          .map(({ path }) => path)
          .sort();
      assert.deepEqual(owned(id), (await hyperv.disks(id)).map(({ path }) => path).sort());
      for (const checkpoint of checkpoints) {
        const frozen = (await hyperv.checkpointDisks(checkpoint)).map(({ path }) => path).sort();
        assert.deepEqual(owned(checkpoint.instanceId.slice('Microsoft:'.length).toLowerCase()), frozen);
      }
    }
    assert.deepEqual([survey.checkpoints.length, survey.disks.length], [1, 4]);
  }));

test('an account without rights sees not even the host', () =>
  withLab(async (lab, _session, open) => {
    await lab.createVm({ name: 'web' });
    const { hostName, vms } = await surveyHost(await open(limited));
    assert.deepEqual([hostName, vms], [undefined, []]);
  }));

test('a class is asked for in the namespace it lives in', () =>
  withLab(async (lab, session) => {
    const system = cimClass('Win32_OperatingSystem', {
      namespace: 'root/cimv2',
      properties: { Version: 'string', CSName: 'string' },
    });
    await lab.configure({ windows: { version: '10.0.26100' } });
    assert.deepEqual(await Array.fromAsync(session.enumerate(system)), [
      { Version: '10.0.26100', CSName: 'HV01' },
    ]);
    const queried = session.query(system, 'SELECT * FROM Win32_OperatingSystem');
    assert.equal((await Array.fromAsync(queried)).length, 1);
    const nowhere = cimClass('Msvm_ComputerSystem', { namespace: 'root/cimv2', properties: {} });
    await assert.rejects(Array.fromAsync(session.enumerate(nowhere)), { code: 'WINRM_NOT_FOUND' });
  }));
