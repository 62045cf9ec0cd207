import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import type { FakePoint } from './testing/fake-host.fixture.ts';
import { rig } from './testing/rig.fixture.ts';

const point = (id: string, init: Partial<FakePoint> = {}): FakePoint => ({
  id,
  type: 2,
  consistency: 2,
  attachments: ['Microsoft:VM\\a'],
  rctIds: ['rctX:a'],
  ...init,
});

test('consistency is told as reached, and never higher than the host says', async () => {
  const { host, hyperv } = rig();
  const vm = host.addVm('web');
  vm.points = [1, 2, 0, 9].map((consistency) => point(`p${consistency}`, { consistency }));
  const points = await hyperv.referencePoints(vm.guid.toLowerCase());
  assert.deepEqual(
    points.map((one) => one.consistency),
    ['application', 'crash', 'crash', 'crash'],
  );
});

test('points of replication logs are not ours to see', async () => {
  const { host, hyperv } = rig();
  const vm = host.addVm('web');
  vm.points = [point('log', { type: 1 }), point('rct')];
  assert.deepEqual(
    (await hyperv.referencePoints(vm.guid)).map((one) => one.instanceId),
    ['rct'],
  );
});

test('a point whose lists differ in length promises nothing for any disk, and can be removed', async () => {
  const { host, hyperv } = rig();
  const vm = host.addVm('web');
  vm.points = [point('damaged', { attachments: ['a', 'b'] }), point('sound')];
  const points = await hyperv.referencePoints(vm.guid);
  assert.deepEqual(
    points.map((one) => one.disks.length),
    [0, 1],
  );
  await hyperv.destroyReferencePoint(points[0]!);
  assert.deepEqual(
    vm.points.map((one) => one.id),
    ['sound'],
  );
});

test('a conversion that yields a damaged point says so instead of giving a baseline', async () => {
  const { host, hyperv, session } = rig();
  const vm = host.addVm('web');
  host.addDisk(vm, 'C:\\a.vhdx');
  const checkpoint = await hyperv.createRecoveryCheckpoint(vm.guid, { consistency: 'crash', name: 'x' });
  session.disturb = () => {
    for (const one of vm.points) one.rctIds = [];
  };
  await assert.rejects(hyperv.convertToReferencePoint(checkpoint), (error) =>
    hasCode(error, 'HYPERV_REFERENCE_POINT_DAMAGED'),
  );
});

test('removing a point that is gone is a success, and asks the host to destroy nothing', async () => {
  const { host, hyperv, session } = rig();
  const vm = host.addVm('web');
  await hyperv.destroyReferencePoint({ instanceId: 'gone', vmId: vm.guid.toLowerCase() });
  assert.deepEqual(
    session.calls.filter((call) => call.startsWith('invoke')),
    [],
  );
});

test('a refused removal is a fault while the point stands, by the number of the refusal', async () => {
  for (const [code, fault] of [
    [32_769, 'HYPERV_ACCESS_DENIED'],
    [32_775, 'HYPERV_WRONG_STATE'],
    [32_768, 'HYPERV_OPERATION_FAILED'],
  ] as const) {
    const { host, hyperv } = rig();
    const vm = host.addVm('web');
    vm.points = [point('p')];
    host.refusal = code;
    const removal = hyperv.destroyReferencePoint({ instanceId: 'P', vmId: vm.guid });
    await assert.rejects(removal, (error) => hasCode(error, fault));
  }
});

test('a failed conversion whose job made its point anyway leaves no point behind', async () => {
  const { host, hyperv } = rig();
  const vm = host.addVm('web');
  host.addDisk(vm, 'C:\\a.vhdx');
  const checkpoint = await hyperv.createRecoveryCheckpoint(vm.guid, { consistency: 'crash', name: 'x' });
  host.jobEnd = { state: 10, code: 32_768 };
  host.failsAfterEffect = true;
  const conversion = hyperv.convertToReferencePoint(checkpoint);
  await assert.rejects(conversion, (error) => hasCode(error, 'HYPERV_OPERATION_FAILED'));
  assert.deepEqual(vm.points, []);
});
