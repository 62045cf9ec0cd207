/** The inventory of a large host: what it costs is counted in round trips, and these grow with pages. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { INSTANT, LabHost } from '../../lab/model/index.ts';
import { scratch } from '../../lab/model/scratch.fixture.ts';
import { startWire } from '../../lab/wire/index.ts';
import { MiB } from '../../src/base/index.ts';
import { surveyHost, type HostSurvey } from '../../src/hyperv/index.ts';
import { openWinrm } from '../../src/winrm/index.ts';
import { manyVms } from './many-vms.fixture.ts';

const ACCOUNT = { user: 'Administrator', password: 'Passw0rd of a test' };

/** A survey of `count` VMs of four disks each, and the round trips it took. */
async function surveyOf(count: number, pageSize: number): Promise<{ survey: HostSurvey; trips: number }> {
  await using temporary = await scratch();
  const lab = await LabHost.open(join(temporary.folder, 'host'), { settings: INSTANT });
  const { id } = await lab.createVm({
    name: 'web',
    disks: Array.from({ length: 4 }, () => ({ size: 4 * MiB })),
  });
  const wire = await startWire({ provider: manyVms(lab.provider, id, count), users: [ACCOUNT] });
  const session = await openWinrm({ url: wire.url, credentials: ACCOUNT, pageSize });
  try {
    const survey = await surveyHost(session);
    const { Enumerate = 0, Pull = 0, ...others } = wire.stats.requests;
    assert.deepEqual(others, { Identify: 1 });
    return { survey, trips: Enumerate + Pull };
  } finally {
    await session.close();
    await wire.close();
    await lab.close();
  }
}

test('1000 VMs of 4 disks are told in as many round trips as there are pages, not VMs', async () => {
  const { survey, trips } = await surveyOf(1000, 64);
  assert.equal(new Set(survey.vms.map((vm) => vm.id)).size, 1000);
  assert.equal(new Set(survey.disks.map(({ ownerId, path }) => `${ownerId} ${path}`)).size, 4000);
  const rows = { systems: 1001, settings: 1000, disks: 4000, referencePoints: 0 };
  const pages = Object.values(rows).map((count) => Math.max(1, Math.ceil(count / 64)));
  assert.equal(
    trips,
    pages.reduce((sum, each) => sum + each),
  );
});

test('ten VMs cost one round trip for each class', async () => {
  const { survey, trips } = await surveyOf(10, 64);
  assert.deepEqual([survey.vms.length, survey.disks.length, trips], [10, 40, 4]);
});
