/** What a VM is frozen as, and what is asked of the guest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFault } from '../base/index.ts';
import { hypervFaults, type HyperV, type Vm, type VssReadiness } from '../hyperv/index.ts';
import { freeze, type FreezeOrder } from './freeze.ts';

const VM: Vm = { id: 'v', name: 'sql01', state: 'running' };

/** A host with one guest, and what it was asked for. */
function hostWith(guest: VssReadiness, fails = false) {
  const asked: { consistency: string; truncateLogs?: boolean }[] = [];
  const hyperv = {
    createRecoveryCheckpoint: async (_vm: string, { consistency, truncateLogs }: (typeof asked)[number]) => {
      asked.push({ consistency, ...(truncateLogs === undefined ? {} : { truncateLogs }) });
      if (fails && consistency === 'application')
        throw hypervFaults.checkpointFailed({ vm: 'sql01', consistency });
      return { instanceId: 'c' };
    },
  } as unknown as HyperV;
  const order = { policy: 'application-preferred', truncateLogs: false, name: 'n', guest } as const;
  const frozen = (changes: Partial<FreezeOrder> = {}, vm: Partial<Vm> = {}) =>
    freeze(hyperv, { ...VM, ...vm }, { ...order, ...changes }, {});
  return { asked, frozen };
}

test('a guest that is no Windows is consistent to its file systems, however the policy is named', async () => {
  for (const policy of ['application-preferred', 'application-required'] as const) {
    const { frozen } = hostWith({ ready: true, freezes: 'file-systems' });
    assert.equal((await frozen({ policy })).reached, 'file-system');
  }
  for (const guest of [{ ready: true, freezes: 'applications' }, { ready: true }] as const)
    assert.equal((await hostWith(guest).frozen()).reached, 'application');
});

test('required fails before there is a checkpoint, and names what to mend', async () => {
  const { asked, frozen } = hostWith({
    ready: false,
    reason: 'the service is stopped',
    fix: 'start vmicvss',
  });
  await assert.rejects(frozen({ policy: 'application-required' }), (error) => {
    assert.ok(isFault(error));
    assert.equal(error.code, 'CAPTURE_NOT_APPLICATION_CONSISTENT');
    assert.match(error.message, /the service is stopped/);
    assert.match(error.remedy, /^start vmicvss; or allow --consistency application-preferred$/);
    return true;
  });
  assert.deepEqual(asked, []);
});

test('preferred goes on without the guest, and warns with the reason and what to mend', async () => {
  const silent = hostWith({ ready: false, reason: 'the service is stopped', fix: 'start vmicvss' });
  const frozen = await silent.frozen();
  assert.equal(frozen.reached, 'crash');
  assert.match(frozen.warnings[0]!.message, /the service is stopped/);
  assert.match(frozen.warnings[0]!.remedy, /^start vmicvss;/);
  const failing = hostWith({ ready: true }, true);
  assert.equal((await failing.frozen()).reached, 'crash');
  assert.deepEqual(
    failing.asked.map(({ consistency }) => consistency),
    ['application', 'crash'],
  );
});

test('logs are truncated only where that was ordered, and only of a guest that was asked and answered', async () => {
  const good = hostWith({ ready: true });
  assert.equal((await good.frozen()).truncatedLogs, undefined);
  assert.equal((await good.frozen({ truncateLogs: true })).truncatedLogs, true);
  assert.deepEqual(good.asked, [
    { consistency: 'application' },
    { consistency: 'application', truncateLogs: true },
  ]);
  const failing = hostWith({ ready: true }, true);
  assert.equal((await failing.frozen({ truncateLogs: true })).truncatedLogs, undefined);
  assert.deepEqual(failing.asked.at(-1), { consistency: 'crash' });
  const off = hostWith({ ready: false });
  const frozen = await off.frozen({ truncateLogs: true, guest: undefined }, { state: 'off' });
  assert.deepEqual([frozen.reached, frozen.truncatedLogs], ['offline', undefined]);
});

test('a VM that is off is consistent, and the replica of another VM, which is off too, is not (I9)', async () => {
  const off = (replication: Partial<Vm>) =>
    hostWith({ ready: false }).frozen({ guest: undefined }, { state: 'off', ...replication });
  assert.equal((await off({})).reached, 'offline');
  assert.equal((await off({ replication: 'primary' })).reached, 'offline');
  for (const replication of ['replica', 'test-replica', 'extended-replica'] as const)
    assert.equal((await off({ replication })).reached, 'crash');
});
