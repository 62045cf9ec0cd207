import assert from 'node:assert/strict';
import { test } from 'node:test';
import { USER } from './testing/fake-host.fixture.ts';
import { rig, type Rig } from './testing/rig.fixture.ts';

const asked = { consistency: 'crash', name: 'hvlift test' } as const;

function withDisk(): Rig & { id: string } {
  const made = rig();
  const vm = made.host.addVm('web');
  made.host.addDisk(vm, 'C:\\VMs\\a.vhdx');
  return { ...made, id: vm.guid.toLowerCase() };
}

test('a VM without checkpoint disks is merged at the first look', async () => {
  const { hyperv, clock, id } = withDisk();
  assert.equal(await hyperv.waitForMerge(id, { timeoutMs: 0 }), 'merged');
  assert.equal(clock.sleeps, 0);
});

test('a merge is waited for, also when the host does not show it as an operation', async () => {
  for (const isShown of [true, false]) {
    const { hyperv, host, clock, id, session } = withDisk();
    host.mergeMs = 60_000;
    const checkpoint = await hyperv.createRecoveryCheckpoint(id, asked);
    await hyperv.destroyCheckpoint(checkpoint);
    const started = clock.nowMs;
    if (!isShown) {
      const select = session.query.bind(session);
      session.query = async function* (cls, text, options) {
        for await (const row of select(cls, text, options)) {
          yield cls.name === 'Msvm_ComputerSystem' ? { ...row, OperationalStatus: [2] } : row;
        }
      };
    }
    assert.equal(await hyperv.waitForMerge(id, { timeoutMs: 10_000 }), 'running');
    assert.equal(await hyperv.waitForMerge(id, { timeoutMs: 120_000 }), 'merged');
    assert.ok(clock.nowMs - started >= 60_000 - 5000, 'not before the host was done');
    assert.equal((await hyperv.disks(id))[0]!.path, 'C:\\VMs\\a.vhdx');
  }
});

test("a user's checkpoint keeps its AVHDX, which is no merge under way", async () => {
  const { hyperv, host, id } = withDisk();
  const [vm] = host.vms;
  host.freeze(vm!, 'before update', USER);
  const userLeaf = vm!.disks[0]!.path;
  assert.equal(await hyperv.waitForMerge(id, { timeoutMs: 0 }), 'merged');
  const checkpoint = await hyperv.createRecoveryCheckpoint(id, asked);
  assert.equal(await hyperv.waitForMerge(id, { timeoutMs: 0 }), 'merged');
  vm!.checkpoints.pop(); // gone, its AVHDX is not
  assert.notEqual(vm!.disks[0]!.path, userLeaf);
  assert.equal(await hyperv.waitForMerge(id, { timeoutMs: 5000 }), 'running');
  vm!.disks[0]!.path = userLeaf;
  assert.equal(await hyperv.waitForMerge(id, { timeoutMs: 0 }), 'merged');
  await hyperv.destroyCheckpoint(checkpoint);
});

test('a differencing disk on a golden image is no merge under way', async () => {
  const { hyperv, host, id } = withDisk();
  host.vms[0]!.disks[0]!.path = 'C:\\VMs\\clone.vhdx';
  host.files.set('c:\\vms\\clone.vhdx', { diskId: host.guid(), parent: 'C:\\golden.vhdx', size: 1 });
  assert.equal(await hyperv.waitForMerge(id, { timeoutMs: 0 }), 'merged');
});

test('waiting for idle ends with the operation, or with the time', async () => {
  const { hyperv, host, clock, session, id } = withDisk();
  host.vms[0]!.operation = 32_773;
  assert.equal(await hyperv.waitUntilIdle(id, { timeoutMs: 5000 }), 'busy');
  session.disturb = () => {
    if (clock.nowMs > 20_000) host.vms[0]!.operation = 0;
  };
  assert.equal(await hyperv.waitUntilIdle(id, { timeoutMs: 60_000 }), 'idle');
});

test('a cancelled wait ends at once with its own reason', async () => {
  const { hyperv, host, id } = withDisk();
  host.vms[0]!.operation = 32_773;
  const controller = new AbortController();
  const waiting = hyperv.waitUntilIdle(id, { timeoutMs: 3_600_000, signal: controller.signal });
  setImmediate(() => controller.abort(new Error('stop')));
  await assert.rejects(waiting, /stop/);
});
