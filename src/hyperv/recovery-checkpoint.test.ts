import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { winrmFaults } from '../winrm/index.ts';
import { underEveryDisturbance, type PrepareRig } from './testing/disturbances.fixture.ts';
import { RECOVERY, type FakeVm } from './testing/fake-host.fixture.ts';
import { rig, type Rig } from './testing/rig.fixture.ts';

const NAME = 'hvlift test run-1';
const asked = { consistency: 'crash', name: NAME } as const;

const prepare: PrepareRig = ({ host }) => {
  const vm = host.addVm('web');
  host.addDisk(vm, 'C:\\VMs\\a.vhdx');
  host.addDisk(vm, 'C:\\VMs\\b.vhdx');
  host.addVm('web'); // its twin must stay as it is
};
const vmId = ({ host }: Rig): string => host.vms[0]!.guid.toLowerCase();
const recoveryOf = (vm: FakeVm) => vm.checkpoints.filter((one) => one.type === RECOVERY);

/** Lets everything the host was asked to do come to its end. */
function settle({ clock, host }: Rig): void {
  clock.nowMs += 3_600_000;
  host.tick();
}

const HOSTS: Readonly<Record<string, PrepareRig>> = {
  'a host as recorded': prepare,
  'a host that answers at once': (rig) => {
    prepare(rig);
    rig.host.immediate = true;
  },
  'a host whose jobs vanish': (rig) => {
    prepare(rig);
    rig.host.jobLifeMs = 0;
  },
  'a host whose listings lag 14 s behind': (rig) => {
    prepare(rig);
    rig.host.lateMs = 14_000;
  },
  'a host that warns at the end of every job': (rig) => {
    prepare(rig);
    rig.host.jobEnd = { state: 32_768, code: 0 };
  },
};

for (const moment of ['before', 'after'] as const) {
  test(`a 401 ${moment} the host did it: the checkpoint is looked for, and asked for again only when there is none`, async () => {
    const made = rig();
    prepare(made);
    let asks = 0;
    made.session.disturb = (call, when) => {
      if (call !== 'invoke CreateSnapshot' || when !== moment) return;
      asks += 1;
      if (asks === 1) throw winrmFaults.sessionExpired({ host: 'HV1' });
    };
    const checkpoint = await made.hyperv.createRecoveryCheckpoint(vmId(made), asked);
    settle(made);
    assert.deepEqual(
      recoveryOf(made.host.vms[0]!).map((one) => `Microsoft:${one.guid}`),
      [checkpoint.instanceId],
    );
    assert.equal(asks, moment === 'before' ? 2 : 1);
  });
}

for (const [hostName, prepareHost] of Object.entries(HOSTS)) {
  test(`${hostName}: a checkpoint is made and named`, async () => {
    const made = rig();
    prepareHost(made);
    const checkpoint = await made.hyperv.createRecoveryCheckpoint(vmId(made), asked);
    const [only, ...others] = recoveryOf(made.host.vms[0]!);
    assert.equal(others.length, 0);
    assert.equal(checkpoint.instanceId, `Microsoft:${only!.guid}`);
    assert.deepEqual([only!.name, checkpoint.name, checkpoint.kind], [NAME, NAME, 'recovery']);
    const frozen = await made.hyperv.checkpointDisks(checkpoint);
    assert.deepEqual(
      frozen.map((disk) => disk.path),
      ['C:\\VMs\\a.vhdx', 'C:\\VMs\\b.vhdx'],
    );
    assert.equal(made.host.vms[1]!.checkpoints.length, 0);
  });

  test(`${hostName}: whatever breaks while one is made, it is ours by name or it is gone`, async () => {
    let succeeded = 0;
    const runs = await underEveryDisturbance(prepareHost, async (run) => {
      const outcome = await run.disturbed(() =>
        run.hyperv.createRecoveryCheckpoint(vmId(run), { ...asked, signal: run.signal }),
      );
      settle(run);
      const left = recoveryOf(run.host.vms[0]!).map((one) => one.name);
      assert.deepEqual(left, outcome ? [NAME] : [], run.name);
      assert.equal(run.host.vms[1]!.checkpoints.length, 0);
      if (outcome) succeeded += 1;
    });
    assert.ok(runs > 20 && succeeded > 5, `${runs} runs, ${succeeded} succeeded`);
  });

  test(`${hostName}: a broken conversion names the right point or none, and can be finished`, async () => {
    const runs = await underEveryDisturbance(prepareHost, async (run) => {
      const [vm] = run.host.vms;
      vm!.points.push({ id: 'foreign', type: 2, consistency: 1, attachments: ['x'], rctIds: ['y'] });
      const checkpoint = await run.hyperv.createRecoveryCheckpoint(vmId(run), asked);
      const point = await run.disturbed(() =>
        run.hyperv.convertToReferencePoint(checkpoint, { signal: run.signal }),
      );
      if (point) {
        assert.deepEqual(
          vm!.points.map((one) => one.id),
          ['foreign', point.instanceId],
          run.name,
        );
        assert.equal(point.disks.length, 2);
        assert.deepEqual(recoveryOf(vm!), [], run.name);
      }
      settle(run);
      await run.hyperv.destroyCheckpoint(checkpoint);
      settle(run);
      assert.deepEqual(recoveryOf(vm!), [], run.name);
      assert.ok(vm!.points.length <= 2, run.name);
    });
    assert.ok(runs > 8, `${runs} runs`);
  });

  test(`${hostName}: a broken removal can be repeated until it is done`, async () => {
    const runs = await underEveryDisturbance(prepareHost, async (run) => {
      const [vm] = run.host.vms;
      const foreign = { consistency: 2, name: 'Nightly', type: RECOVERY, disks: [], listedAtMs: 0 };
      const checkpoint = await run.hyperv.createRecoveryCheckpoint(vmId(run), asked);
      vm!.checkpoints.push({ guid: run.host.guid(), ...foreign });
      await run.disturbed(() => run.hyperv.destroyCheckpoint(checkpoint, { signal: run.signal }));
      await run.hyperv.destroyCheckpoint(checkpoint);
      settle(run);
      assert.deepEqual(
        recoveryOf(vm!).map((one) => one.name),
        ['Nightly'],
        run.name,
      );
    });
    assert.ok(runs > 4, `${runs} runs`);
  });
}

test('the guest is asked for consistency only when that is wanted, and may truncate logs only when told so', async () => {
  for (const [consistency, level, truncateLogs, backupType] of [
    ['application', 1, undefined, 2],
    ['application', 1, false, 2],
    ['application', 1, true, 1],
    ['crash', 2, undefined, 2],
  ] as const) {
    const made = rig();
    prepare(made);
    let settings: Record<string, unknown> = {};
    made.session.disturb = (call, _moment, input) => {
      if (call === 'invoke CreateSnapshot') {
        const sent = input['SnapshotSettings'] as { properties: object; types: object };
        settings = { ...sent.properties, types: sent.types, type: input['SnapshotType'] };
      }
    };
    await made.hyperv.createRecoveryCheckpoint(vmId(made), {
      consistency,
      name: NAME,
      ...(truncateLogs === undefined ? {} : { truncateLogs }),
    });
    assert.deepEqual(settings, {
      ConsistencyLevel: level,
      GuestBackupType: backupType,
      IgnoreNonSnapshottableDisks: true,
      types: { ConsistencyLevel: 'uint8', GuestBackupType: 'uint8', IgnoreNonSnapshottableDisks: 'boolean' },
      type: 32_768,
    });
  }
});

test('a failed job says which consistency was asked for, its code, and the words of the host on one line', async () => {
  const made = rig();
  prepare(made);
  made.host.jobEnd = { state: 10, code: 32_768 };
  await assert.rejects(
    made.hyperv.createRecoveryCheckpoint(vmId(made), { consistency: 'application', name: NAME }),
    (error) =>
      hasCode(error, 'HYPERV_CHECKPOINT_FAILED') &&
      error.details['consistency'] === 'application' &&
      error.details['code'] === 32_768 &&
      error.message.includes('ゲストの VSS ライター'),
  );
});

test('refusals are told apart by their numbers', async () => {
  for (const [code, fault] of [
    [32_769, 'HYPERV_ACCESS_DENIED'],
    [32_775, 'HYPERV_WRONG_STATE'],
    [32_774, 'HYPERV_WRONG_STATE'],
    [5, 'HYPERV_WRONG_STATE'],
    [32_768, 'HYPERV_CHECKPOINT_FAILED'],
    [2, 'HYPERV_CHECKPOINT_FAILED'],
  ] as const) {
    const made = rig();
    prepare(made);
    made.host.refusal = code;
    const before = made.clock.nowMs;
    await assert.rejects(made.hyperv.createRecoveryCheckpoint(vmId(made), asked), (error) =>
      hasCode(error, fault),
    );
    assert.equal(made.clock.nowMs, before, 'a refusal is not waited for');
  }
});

test('a checkpoint of another backup is named as what stands in the way', async () => {
  const made = rig();
  prepare(made);
  made.host.freeze(made.host.vms[0]!, 'Bareos JobId 7');
  made.host.jobEnd = { state: 10, code: 32_768 };
  await assert.rejects(
    made.hyperv.createRecoveryCheckpoint(vmId(made), asked),
    (error) => hasCode(error, 'HYPERV_CHECKPOINT_BLOCKED') && error.message.includes('Bareos JobId 7'),
  );
  assert.equal(made.host.vms[0]!.checkpoints.length, 1);
});

test('a host that reports success and keeps the old name gets its checkpoint removed', async () => {
  const made = rig();
  prepare(made);
  made.host.ignoresNames = true;
  await assert.rejects(made.hyperv.createRecoveryCheckpoint(vmId(made), asked), (error) =>
    hasCode(error, 'HYPERV_MARK_REFUSED'),
  );
  settle(made);
  assert.deepEqual(made.host.vms[0]!.checkpoints, []);
});

test('when the host cannot be reached for the clean-up, the user is told what may be left', async () => {
  const made = rig();
  prepare(made);
  let isDown = false;
  made.session.disturb = (call, moment) => {
    if (isDown) throw winrmFaults.unreachable({ host: 'HV1', port: 5985, reason: 'test' });
    if (call === 'invoke CreateSnapshot' && moment === 'after') {
      isDown = true;
      throw winrmFaults.effectUnknown({ method: 'CreateSnapshot' });
    }
  };
  await assert.rejects(made.hyperv.createRecoveryCheckpoint(vmId(made), asked), (error) =>
    hasCode(error, 'HYPERV_CHECKPOINT_LEFT'),
  );
});

test('a lost answer is waited for as long as the host is busy with the VM', async () => {
  const made = rig();
  prepare(made);
  const [vm] = made.host.vms;
  vm!.operation = 32_768;
  made.host.jobMs = 200_000;
  made.session.disturb = (call, moment) => {
    if (made.clock.nowMs >= 200_000) vm!.operation = 0;
    if (call === 'invoke CreateSnapshot' && moment === 'after') {
      throw winrmFaults.effectUnknown({ method: 'CreateSnapshot' });
    }
  };
  const checkpoint = await made.hyperv.createRecoveryCheckpoint(vmId(made), asked);
  assert.equal(checkpoint.instanceId, `Microsoft:${vm!.checkpoints[0]!.guid}`);
});

test('a call that never reached the host leaves nothing to look for', async () => {
  const made = rig();
  prepare(made);
  made.session.disturb = (call) => {
    if (call === 'invoke CreateSnapshot')
      throw winrmFaults.unreachable({ host: 'HV1', port: 5985, reason: 'x' });
  };
  await assert.rejects(made.hyperv.createRecoveryCheckpoint(vmId(made), asked), (error) =>
    hasCode(error, 'WINRM_UNREACHABLE'),
  );
  assert.equal(made.clock.sleeps, 0);
});

/** A host that another tool asks at the same moment, and whose answer to us is lost. */
function meanwhile(name: string): Rig {
  const made = rig();
  prepare(made);
  made.host.jobLifeMs = 0;
  made.host.jobMs = 0;
  made.session.disturb = (call, moment) => {
    if (call !== 'invoke CreateSnapshot' || moment !== 'after') return;
    made.host.freeze(made.host.vms[0]!, name);
    throw winrmFaults.effectUnknown({ method: 'CreateSnapshot' });
  };
  return made;
}

test('two checkpoints that appear at once, neither with a name yet, are not guessed between', async () => {
  const made = meanwhile('web - (1970/01/02)');
  await assert.rejects(made.hyperv.createRecoveryCheckpoint(vmId(made), asked), (error) =>
    hasCode(error, 'HYPERV_EFFECT_AMBIGUOUS', 'HYPERV_CHECKPOINT_LEFT'),
  );
  assert.equal(made.host.vms[0]!.checkpoints.length, 2, 'what may not be ours stays');
});

test('a checkpoint that another tool has named is never taken for ours', async () => {
  const made = meanwhile('Nightly');
  await made.hyperv.createRecoveryCheckpoint(vmId(made), asked);
  const names = made.host.vms[0]!.checkpoints.map((one) => one.name);
  assert.deepEqual(names.sort(), ['Nightly', NAME].sort());
});

test("what stands after a refusal is another tool's, also when the host cannot be asked about our failed job", async () => {
  const made = rig();
  prepare(made);
  made.host.jobEnd = { state: 10, code: 32_768 };
  made.session.disturb = (call, moment) => {
    if (call === 'invoke CreateSnapshot' && moment === 'before')
      made.host.freeze(made.host.vms[0]!, 'web - (1970/01/02)');
    if (call === 'enumerate Msvm_AffectedJobElement')
      throw winrmFaults.connectionLost({ host: 'HV1', reason: 'test' });
  };
  await assert.rejects(made.hyperv.createRecoveryCheckpoint(vmId(made), asked), (error) =>
    hasCode(error, 'HYPERV_CHECKPOINT_LEFT'),
  );
  assert.equal(made.host.vms[0]!.checkpoints.length, 1);
});
