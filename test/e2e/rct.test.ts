/** Change tracking by hand against the emulated host: enabled, asked, reset, and others' reference points left alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import { changesSince, enableRct, ReferencePointLedger, resetRct } from '../../src/flows/index.ts';
import { createMemoryStore } from '../../src/objectstore/index.ts';
import { callLog, openLabStack } from './lab-stack.fixture.ts';

test('rct: after enable, a changed 64 KiB cell is what the host names; asking leaves no checkpoint', async () => {
  await using stack = await openLabStack();
  const { id } = await stack.lab.createVm({ name: 'web01', disks: [{ size: 64 * MiB }] });
  const { point } = await enableRct(stack.hyperv, new ReferencePointLedger(createMemoryStore()), 'web01', {});
  await stack.lab.guestWrite(id, { offset: 7 * MiB, length: 64 * KiB, seed: 1 });
  {
    await using changes = await changesSince(stack.hyperv, 'web01', point.instanceId, {});
    assert.deepEqual(await Array.fromAsync(changes.disks[0]!.extents), [
      { offset: 7 * MiB, length: 64 * KiB },
    ]);
  }
  assert.deepEqual(await stack.hyperv.checkpoints(id.toLowerCase()), []);
});

test('rct: reset destroys what the ledger knows and nothing else (I7)', async () => {
  await using stack = await openLabStack();
  const { id } = await stack.lab.createVm({ name: 'web01', disks: [{ size: 64 * MiB }] });
  const ledger = new ReferencePointLedger(createMemoryStore());
  const foreign = await enableRct(stack.hyperv, new ReferencePointLedger(createMemoryStore()), 'web01', {});
  const ours = await enableRct(stack.hyperv, ledger, 'web01', {});
  const log = callLog(stack.lab);
  const told = await resetRct(stack.hyperv, ledger, 'web01', { dryRun: true });
  assert.deepEqual([told.removed, log.changes()], [[ours.point.instanceId], []]);
  assert.deepEqual((await resetRct(stack.hyperv, ledger, 'web01', {})).removed, [ours.point.instanceId]);
  const left = await stack.hyperv.referencePoints(id.toLowerCase());
  assert.deepEqual(
    left.map((each) => each.instanceId),
    [foreign.point.instanceId],
  );
  assert.deepEqual((await resetRct(stack.hyperv, ledger, 'web01', {})).removed, []);
});
