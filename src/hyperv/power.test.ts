import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFault } from '../base/index.ts';
import { winrmFaults } from '../winrm/index.ts';
import type { FakeVm } from './testing/fake-host.fixture.ts';
import { rig, type Rig } from './testing/rig.fixture.ts';

const PATIENCE = { force: false, timeoutMs: 5 * 60_000 };

function world(shutdown: Partial<FakeVm['shutdown']> = {}): Rig & { vm: FakeVm; id: string } {
  const made = rig();
  made.host.addVm('other');
  const vm = made.host.addVm('web');
  Object.assign(vm.shutdown, shutdown);
  return { ...made, vm, id: vm.guid.toLowerCase() };
}

test('a guest is asked once and waited for until its VM is off; another VM is left alone', async () => {
  const { hyperv, host, vm, id } = world();
  assert.equal(await hyperv.shutDown(id, PATIENCE), 'off');
  assert.deepEqual(vm.asked, [false]);
  assert.deepEqual(
    host.vms.map(({ enabledState }) => enabledState),
    [2, 3],
  );
  assert.equal(await hyperv.shutDown(id, PATIENCE), 'off');
  assert.equal(vm.asked.length, 1, 'one that is off is asked nothing');
});

test('a guest that never goes off is asked again each minute, and the time ends', async () => {
  const { hyperv, clock, vm, id } = world({ goesOffAfterMs: Infinity });
  const started = clock.nowMs;
  assert.equal(await hyperv.shutDown(id, PATIENCE), 'still-on');
  assert.equal(clock.nowMs - started, PATIENCE.timeoutMs);
  assert.equal(vm.asked.length, 5);
  assert.equal((await hyperv.power(id)).state, 'running');
});

test('a guest that takes minutes, and no longer answers meanwhile, is waited for', async () => {
  const { hyperv, session, vm, id } = world({ goesOffAfterMs: 200_000 });
  session.disturb = (call, moment) => {
    if (call === 'invoke InitiateShutdown' && moment === 'after') vm.shutdown.status = 13;
  };
  assert.equal(await hyperv.shutDown(id, PATIENCE), 'off');
  assert.equal(vm.asked.length, 1);
});

test('a shutdown under way, and an answer that got lost on either side of its effect, are waited for', async () => {
  for (const [answer, lost] of [
    [32_782, undefined],
    [0, 'before'],
    [0, 'after'],
  ] as const) {
    const { hyperv, session, vm, id } = world({ answer });
    if (answer !== 0) vm.goesOffAtMs = 3000;
    let left = 1;
    session.disturb = (call, moment) => {
      if (call === 'invoke InitiateShutdown' && moment === lost && (left -= 1) === 0)
        throw winrmFaults.effectUnknown({ operation: 'InitiateShutdown' });
    };
    assert.equal(await hyperv.shutDown(id, PATIENCE), 'off', `${answer} ${lost}`);
  }
});

test('why a guest cannot be asked is told: switched off, no contact, not ready, locked, saved', async () => {
  for (const [shutdown, state, code, reason] of [
    [{ enabled: 3 }, 2, 'HYPERV_SHUTDOWN_UNAVAILABLE', /switched off/],
    [{ status: 12 }, 2, 'HYPERV_SHUTDOWN_UNAVAILABLE', /status 12/],
    [{ answer: 32_780 }, 2, 'HYPERV_SHUTDOWN_UNAVAILABLE', /32780/],
    [{ answer: 32_781 }, 2, 'HYPERV_GUEST_LOCKED', /locked/],
    [{ answer: 32_769 }, 2, 'HYPERV_ACCESS_DENIED', /shut down the guest/],
    [{}, 6, 'HYPERV_SHUTDOWN_UNAVAILABLE', /saved/],
    [{}, 9, 'HYPERV_SHUTDOWN_UNAVAILABLE', /paused/],
  ] as const) {
    const { hyperv, vm, id } = world(shutdown);
    vm.enabledState = state;
    await assert.rejects(hyperv.shutDown(id, PATIENCE), (error: unknown) => {
      assert.ok(isFault(error));
      assert.equal(error.code, code);
      assert.match(error.message, reason);
      return true;
    });
    assert.equal(vm.enabledState, state);
  }
  const { hyperv, vm, id } = world({ answer: 32_781 });
  assert.equal(await hyperv.shutDown(id, { ...PATIENCE, force: true }), 'off');
  assert.deepEqual(vm.asked, [true]);
});

test('only EnabledState 3 is off: saved, paused and on the way are not', async () => {
  for (const [enabledState, state] of [
    [3, 'off'],
    [6, 'saved'],
    [9, 'paused'],
    [4, 'other'],
    [10, 'other'],
    [32_769, 'saved'],
  ] as const) {
    const { hyperv, vm, id } = world();
    vm.enabledState = enabledState;
    assert.equal((await hyperv.power(id)).state, state);
  }
});

test('started and turned off by what is seen, not by what is answered; each is right twice', async () => {
  const { hyperv, session, vm, id } = world();
  session.disturb = (call, moment) => {
    if (call === 'invoke RequestStateChange' && moment === 'after')
      throw winrmFaults.effectUnknown({ operation: 'RequestStateChange' });
  };
  for (const _twice of [1, 2]) {
    await hyperv.turnOff(id);
    assert.equal(vm.enabledState, 3);
  }
  for (const _twice of [1, 2]) {
    await hyperv.startVm(id);
    assert.equal(vm.enabledState, 2);
  }
  assert.equal(session.calls.filter((call) => call === 'invoke RequestStateChange').length, 2);
});

test('what the host does at its start is read, changed and put back, and a refusal is told', async () => {
  const { hyperv, host, vm, id } = world();
  assert.equal(await hyperv.startAction(id), 'if-it-ran');
  await hyperv.setStartAction(id, 'none');
  assert.equal(vm.startAction, 2);
  await hyperv.setStartAction(id, 'always');
  assert.equal(await hyperv.startAction(id), 'always');
  assert.equal(host.vms[0]!.startAction, 3, 'of the other VM nothing changed');
  host.refusal = 32_775;
  await assert.rejects(hyperv.setStartAction(id, 'none'), { code: 'HYPERV_WRONG_STATE' });
});
