/** The life of a checkpoint, stopped at every call: nothing of ours stays, nothing of others is touched. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hasCode, MiB, newGuid } from '../base/index.ts';
import { createVhd, openVhdWritable } from '../vhd/index.ts';
import { hypervFaults } from '../hyperv/index.ts';
import { createVhdx } from '../vhdx/index.ts';
import { checkpointName } from './checkpoint-name.ts';
import { createHyperVSource } from './hyperv-source.ts';
import { inMemoryHost, memoryJournal, referencePoint, type InMemoryHost } from './in-memory-host.fixture.ts';
import type { Baseline, Capture, CaptureRequest } from './source.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-capture-'));
after(() => rm(folder, { recursive: true }));
const path = join(folder, 'sql01.vhdx');
await createVhdx(path, { size: 64 * MiB, kind: 'dynamic' });

function open(host: InMemoryHost, request: Partial<CaptureRequest> = {}): Promise<Capture> {
  const source = createHyperVSource({ hyperv: host.hyperv, files: host.files, hostName: 'hv1' });
  return source.open({
    vm: 'sql01',
    runId: newGuid(),
    consistency: 'application-preferred',
    baselines: [],
    journal: memoryJournal(),
    ...request,
  });
}

async function runOnce(host: InMemoryHost, request: Partial<CaptureRequest> = {}): Promise<Baseline> {
  const capture = await open(host, request);
  try {
    const sealed = await capture.seal();
    assert.ok(sealed);
    await capture.settled();
    return sealed;
  } catch (error) {
    await capture.abort();
    throw error;
  }
}

test('a run that goes well leaves one reference point and no checkpoint, and closed its files before converting', async () => {
  const host = inMemoryHost(path);
  const journal = memoryJournal();
  const sealed = await runOnce(host, { journal });
  assert.deepEqual(
    host.points.map((each) => each.instanceId),
    [sealed.referencePointId],
  );
  assert.deepEqual(host.checkpoints, []);
  assert.deepEqual(journal.kept, []);
  assert.equal(host.openFiles, 0);
});

test('a VHD is read whole every time, to be compared: the host tracks none, and no reference point is made for it', async () => {
  const vhd = join(folder, 'old.vhd');
  await createVhd(vhd, { size: 8 * MiB, kind: 'dynamic' });
  const image = await openVhdWritable(vhd);
  await image.write(3 * MiB, Buffer.alloc(4096, 7));
  await image.close();
  const host = inMemoryHost(vhd);
  const capture = await open(host, { earlierDisks: ['another'] });
  const [disk] = capture.disks;
  assert.deepEqual([disk!.format, disk!.kind, disk!.reason], ['vhd', 'compare', 'tracking-unsupported']);
  const extents = await Array.fromAsync(disk!.extents);
  assert.ok(extents.some(({ offset, length }) => offset <= 3 * MiB && offset + length >= 3 * MiB + 4096));
  const bytes = Buffer.alloc(4096);
  await disk!.reader.read(3 * MiB, bytes);
  assert.ok(bytes.every((byte) => byte === 7));
  assert.equal(await capture.seal(), undefined);
  assert.deepEqual([host.points, host.checkpoints, host.openFiles], [[], [], 0]);
  const again = await open(host);
  assert.equal(again.disks[0]!.id, disk!.id, 'it is known again by its base file');
  await again.abort();
});

test('the next run is a delta against that reference point, and retires it', async () => {
  const host = inMemoryHost(path);
  const first = await runOnce(host);
  const capture = await open(host, { baselines: [first] });
  assert.deepEqual(
    capture.disks.map((disk) => [disk.kind, disk.reason]),
    [['delta', 'changes-since-reference-point']],
  );
  const sealed = await capture.seal();
  await capture.retire([first.referencePointId]);
  assert.deepEqual(
    host.points.map((each) => each.instanceId),
    [sealed!.referencePointId],
  );
});

test('a lost reference point means a compare, and says so', async () => {
  const host = inMemoryHost(path);
  const first = await runOnce(host);
  host.points = [];
  const capture = await open(host, { baselines: [first] });
  assert.deepEqual(
    capture.disks.map((disk) => [disk.kind, disk.reason]),
    [['compare', 'reference-point-lost']],
  );
  await capture.abort();
});

test('stopped before or after any call, the next run succeeds and only its own reference point stands', async () => {
  const callsOfARun = await countCalls();
  assert.ok(callsOfARun > 20);
  for (let stop = 1; stop <= callsOfARun; stop += 1) {
    const host = inMemoryHost(path);
    const journal = memoryJournal();
    let calls = 0;
    // From the stop on every call fails: the process is gone, its own clean-up included.
    host.disturb = () => {
      calls += 1;
      if (calls >= stop) throw new Error('killed');
    };
    await assert.rejects(runOnce(host, { journal }), `stopped at call ${stop}`);
    assert.equal(host.openFiles, 0, `files open after a stop at call ${stop}`);
    host.disturb = () => {};
    const sealed = await runOnce(host, { journal });
    assert.deepEqual(host.checkpoints, [], `checkpoints after a stop at call ${stop}`);
    assert.deepEqual(
      host.points.map((each) => each.instanceId),
      [sealed.referencePointId],
      `reference points after a stop at call ${stop}`,
    );
  }
});

async function countCalls(): Promise<number> {
  const host = inMemoryHost(path);
  let calls = 0;
  host.disturb = () => {
    calls += 1;
  };
  await runOnce(host);
  return calls;
}

test('a checkpoint of ours that was never named is found by the journal', async () => {
  const host = inMemoryHost(path);
  const journal = memoryJournal();
  await journal.record({
    step: 'freezing',
    vmId: host.vm.id,
    runId: 'killed',
    at: new Date().toISOString(),
    checkpointsBefore: [],
  });
  host.checkpoints.push(recoveryCheckpoint(host, 'sql01 - (2026-11-23 - 02:00:00)'));
  await runOnce(host, { journal });
  assert.deepEqual(host.checkpoints, []);
});

test('a checkpoint that another tool made and named after our run died is not the one our journal announces (I7)', async () => {
  const host = inMemoryHost(path);
  const journal = memoryJournal();
  await journal.record({
    step: 'freezing',
    vmId: host.vm.id,
    runId: 'killed',
    at: new Date().toISOString(),
    checkpointsBefore: [],
  });
  host.checkpoints.push(recoveryCheckpoint(host, 'Other Backup 2026'));
  await assert.rejects(open(host, { journal }), (e) => hasCode(e, 'CAPTURE_FOREIGN_CHECKPOINT'));
  assert.equal(host.checkpoints.length, 1);
});

test('a run killed after it recorded its reference point does not cost another tool the one it made since (I7)', async () => {
  const host = inMemoryHost(path);
  const journal = memoryJournal();
  const capture = await open(host, { journal });
  const baseline = await capture.seal();
  assert.ok(baseline);
  host.points.push(referencePoint(host.vm.id, 9));
  const [, foreign] = host.points;
  await (await open(host, { journal, baselines: [baseline] })).abort();
  assert.ok(host.points.includes(foreign!));
});

test('a run killed after it removed an orphan does not cost another tool the reference point it made since (I7)', async () => {
  const host = inMemoryHost(path);
  const journal = memoryJournal();
  for (const call of ['convertToReferencePoint', 'destroyReferencePoint']) {
    host.disturb = (each, moment) => {
      if (each === call && moment === 'after') throw new Error('killed');
    };
    await assert.rejects(runOnce(host, { journal }), /killed/);
  }
  host.disturb = () => {};
  assert.equal(host.points.length, 0);
  const foreign = referencePoint(host.vm.id, 9);
  host.points.push(foreign);
  await runOnce(host, { journal });
  assert.ok(host.points.includes(foreign));
  assert.deepEqual(journal.kept, []);
});

test('a run killed after it removed a checkpoint without a name does not cost another tool the one it makes now (I7)', async () => {
  const host = inMemoryHost(path);
  const journal = memoryJournal();
  await journal.record({
    step: 'freezing',
    vmId: host.vm.id,
    runId: 'killed',
    at: new Date().toISOString(),
    checkpointsBefore: [],
  });
  host.checkpoints.push(recoveryCheckpoint(host, 'sql01 - (2026-11-23 - 02:00:00)'));
  host.disturb = (call, moment) => {
    if (call === 'destroyCheckpoint' && moment === 'after') throw new Error('killed');
  };
  await assert.rejects(runOnce(host, { journal }), /killed/);
  host.disturb = () => {};
  assert.equal(host.checkpoints.length, 0);
  host.checkpoints.push({
    ...recoveryCheckpoint(host, 'sql01 - (2026-11-23 - 02:01:00)'),
    instanceId: 'Microsoft:others',
  });
  await assert.rejects(open(host, { journal }), (e) => hasCode(e, 'CAPTURE_FOREIGN_CHECKPOINT'));
  assert.equal(host.checkpoints.length, 1);
});

test('an orphan is found although the mark of the baseline before it was lost (I4)', async () => {
  const host = inMemoryHost(path);
  const journal = memoryJournal();
  const lost = await runOnce(host, { journal });
  host.points = [];
  host.disturb = (call, moment) => {
    if (call === 'convertToReferencePoint' && moment === 'after') throw new Error('killed');
  };
  await assert.rejects(runOnce(host, { journal, baselines: [lost] }), /killed/);
  host.disturb = () => {};
  const sealed = await runOnce(host, { journal, baselines: [lost] });
  assert.deepEqual(
    host.points.map((each) => each.instanceId),
    [sealed.referencePointId],
  );
});

test('refused because another tool was faster: its checkpoint, not named yet, stands, now and in the next run (I7)', async () => {
  const host = inMemoryHost(path);
  const journal = memoryJournal();
  host.disturb = (call, moment) => {
    if (call === 'createRecoveryCheckpoint' && moment === 'before')
      host.checkpoints.push(recoveryCheckpoint(host, 'sql01 - (2026-11-23 - 02:00:00)'));
  };
  await assert.rejects(open(host, { journal }), (e) => hasCode(e, 'HYPERV_CHECKPOINT_BLOCKED'));
  host.disturb = () => {};
  await assert.rejects(open(host, { journal }), (e) => hasCode(e, 'CAPTURE_FOREIGN_CHECKPOINT'));
  assert.equal(host.checkpoints.length, 1);
});

test('a conversion whose answer makes no sense leaves its reference point to the next run (I4)', async () => {
  const host = inMemoryHost(path);
  const journal = memoryJournal();
  host.disturb = (call, moment) => {
    if (call === 'convertToReferencePoint' && moment === 'after') throw new Error('damaged');
  };
  await assert.rejects(runOnce(host, { journal }), /damaged/);
  host.disturb = () => {};
  const sealed = await runOnce(host, { journal });
  assert.deepEqual(
    host.points.map((each) => each.instanceId),
    [sealed.referencePointId],
  );
});

for (const [whose, name] of [
  ['another tool', 'Backup Job 7'],
  ['another hvlift repository', checkpointName('ffffffff', newGuid())],
] as const) {
  test(`a recovery checkpoint of ${whose} is never touched: the run is refused`, async () => {
    const host = inMemoryHost(path);
    host.checkpoints.push(recoveryCheckpoint(host, name));
    await assert.rejects(open(host), (e) => hasCode(e, 'CAPTURE_FOREIGN_CHECKPOINT'));
    assert.equal(host.checkpoints.length, 1);
  });
}

test('reference points of others survive; when ours cannot be told from them, all do and the user is told', async () => {
  const host = inMemoryHost(path);
  const journal = memoryJournal();
  const entry = {
    step: 'converting',
    vmId: host.vm.id,
    runId: 'killed',
    at: '',
    checkpointId: 'gone',
  } as const;
  await journal.record({ ...entry, referencePointsBefore: [], recordedBefore: [] });
  host.points = [referencePoint(host.vm.id, 1), referencePoint(host.vm.id, 2)];
  const capture = await open(host, { journal });
  assert.equal(host.points.length, 2);
  assert.equal(capture.warnings.length, 1);
  await capture.abort();
});

test('preferred consistency falls back to crash and says why; required refuses and leaves nothing', async () => {
  const host = inMemoryHost(path);
  host.guestFails = true;
  const capture = await open(host);
  assert.equal(capture.consistency.reached, 'crash');
  assert.equal(capture.warnings.length, 1);
  await capture.abort();
  await assert.rejects(open(host, { consistency: 'application-required' }), (e) =>
    hasCode(e, 'CAPTURE_NOT_APPLICATION_CONSISTENT'),
  );
  assert.deepEqual(host.checkpoints, []);
});

test('the host has the last word on consistency: a lower level of the reference point counts', async () => {
  const host = inMemoryHost(path);
  const capture = await open(host);
  assert.equal(capture.consistency.reached, 'application');
  host.disturb = (call, when) => {
    if (call === 'convertToReferencePoint' && when === 'after') {
      Object.assign(host.points[0]!, { consistency: 'crash' });
    }
  };
  const sealed = await capture.seal();
  assert.equal(sealed!.consistency, 'crash');
});

test('a VM that is off counts as offline, and one too old to track is compared, without a reference point', async () => {
  const host = inMemoryHost(path);
  host.vm = { ...host.vm, state: 'off', configurationVersion: '5.0' };
  const capture = await open(host, { consistency: 'application-required' });
  assert.equal(capture.consistency.reached, 'offline');
  assert.equal(capture.disks[0]!.reason, 'tracking-unsupported');
  assert.equal(await capture.seal(), undefined);
  assert.deepEqual([host.points, host.checkpoints], [[], []]);
});

function recoveryCheckpoint(host: InMemoryHost, name: string) {
  return {
    instanceId: `Microsoft:${newGuid()}`,
    vmId: host.vm.id,
    name,
    kind: 'recovery',
    createdAt: new Date(),
  } as const;
}

test('a conversion that the host refused after its checkpoint went leaves no note: the next new reference point is not ours (I7)', async () => {
  const host = inMemoryHost(path);
  const journal = memoryJournal();
  host.disturb = (call, when) => {
    if (call === 'convertToReferencePoint' && when === 'after') {
      host.points = [];
      throw hypervFaults.operationFailed({ what: 'convert', code: 32_768, reason: 'it failed' });
    }
  };
  await assert.rejects(runOnce(host, { journal }), { code: 'HYPERV_OPERATION_FAILED' });
  assert.deepEqual([host.checkpoints, journal.kept], [[], []]);
  host.disturb = () => {};
  const foreign = referencePoint(host.vm.id, 7);
  host.points.push(foreign);
  await runOnce(host, { journal });
  assert.ok(host.points.includes(foreign));
});
