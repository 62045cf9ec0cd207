/** A VM whose guest is a program: what the host does to it, and sees of it. The program here does what it is told, and no more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../../src/base/index.ts';
import type { LabPath } from '../cim.ts';
import { call, CALLER, jobOf, recoveryCheckpoint, rows, testHost } from './host.fixture.ts';
import { LabHost } from './host.ts';
import type { GuestMachine, LiveGuest } from './live-guest.ts';
import { systemPath } from './object-paths.ts';
import { INSTANT } from './options.ts';
import { RETURN } from './return-codes.ts';

class FakeGuest implements LiveGuest {
  readonly machine: GuestMachine;
  readonly told: string[] = [];
  answers = true;
  /** Why it does not freeze. */
  refuses: string | undefined;
  readonly #off = Promise.withResolvers<void>();
  readonly off = this.#off.promise;

  constructor(machine: GuestMachine) {
    this.machine = machine;
  }

  goOff(): void {
    this.#off.resolve();
  }

  freeze(): Promise<void> {
    return this.#say('freeze', this.refuses);
  }

  thaw(): Promise<void> {
    return this.#say('thaw');
  }

  pressPowerButton(): void {
    this.told.push('button');
  }

  reset(): void {
    this.told.push('reset');
  }

  pause(): void {
    this.told.push('pause');
  }

  resume(): void {
    this.told.push('resume');
  }

  turnOff(): Promise<void> {
    this.told.push('off');
    this.goOff();
    return this.off;
  }

  #say(what: string, refusal?: string): Promise<void> {
    this.told.push(what);
    return refusal === undefined ? Promise.resolve() : Promise.reject(new Error(refusal));
  }
}

async function hostWithGuest() {
  const guests: FakeGuest[] = [];
  const startGuest = (machine: GuestMachine): Promise<FakeGuest> => {
    guests.push(new FakeGuest(machine));
    return Promise.resolve(guests.at(-1)!);
  };
  const it = await testHost({}, { startGuest });
  const { id } = await it.host.createVm({
    name: 'vm',
    guest: 'qemu',
    disks: [{ size: 4 * MiB }, { size: 2 * MiB }],
  });
  return { it, id, guests, startGuest, [Symbol.asyncDispose]: () => it[Symbol.asyncDispose]() };
}

function shutDown(host: LabHost, vmId: string) {
  const target: LabPath = { className: 'Msvm_ShutdownComponent', keys: { SystemName: vmId } };
  return host.provider.invoke(target, 'InitiateShutdown', { Force: false, Reason: 'test' }, CALLER);
}

async function power(host: LabHost, vmId: string, requested: number): Promise<unknown> {
  const parameters = { RequestedState: requested };
  const answer = await host.provider.invoke(systemPath(vmId), 'RequestStateChange', parameters, CALLER);
  await host.settle();
  return (await jobOf(host, answer))?.properties['JobState'];
}

test('the shutdown service presses the button, and the VM runs until its guest is off', async () => {
  await using at = await hostWithGuest();
  const { host } = at.it;
  assert.equal((await shutDown(host, at.id)).returnValue, 0);
  assert.deepEqual(at.guests[0]!.told, ['button']);
  const enabled = async (): Promise<unknown> =>
    (await rows(host, 'Msvm_ComputerSystem')).find(({ Name }) => Name === at.id)!['EnabledState'];
  assert.equal(await enabled(), 2);
  at.guests[0]!.goOff();
  while ((await enabled()) !== 3) await new Promise(setImmediate);
  assert.equal(await power(host, at.id, 2), 7);
  assert.equal(at.guests.length, 2, 'it was started anew');
  await host.setGuest(at.id, { shutdown: 'hangs' });
  assert.equal((await shutDown(host, at.id)).returnValue, 0);
  assert.equal(await power(host, at.id, 3), 7);
  assert.deepEqual(at.guests[1]!.told, ['off'], 'the request did not reach it');
});

test('RequestStateChange starts, pauses, resumes, resets and turns off the guest; it cannot be saved', async () => {
  await using at = await hostWithGuest();
  for (const requested of [9, 2, 11, 3]) assert.equal(await power(at.it.host, at.id, requested), 7);
  assert.deepEqual(at.guests[0]!.told, ['pause', 'resume', 'reset', 'off']);
  assert.equal(await power(at.it.host, at.id, 2), 7);
  assert.equal(await power(at.it.host, at.id, 6), 10);
  assert.equal((await at.it.host.vm(at.id)).power, 'running');
});

test('a checkpoint with VSS is made while the guest is frozen; without an answer of it there is none', async () => {
  await using at = await hostWithGuest();
  const { host } = at.it;
  const [guest] = at.guests;
  const [disk] = guest!.machine.disks;
  const bytes = Buffer.alloc(512, 7);
  guest!.thaw = async () => disk!.write(0, Buffer.alloc(512, 9));
  guest!.freeze = async () => disk!.write(0, bytes);
  await recoveryCheckpoint(host, at.id, 1);
  const [seal] = await host.seals(at.id);
  const { diskId } = (await host.vm(at.id)).disks[0]!;
  assert.equal(seal!.consistency, 'application');
  const at0 = { diskId, offset: 0, length: 512 };
  assert.deepEqual(await host.truthRead(seal!.id, at0), new Uint8Array(bytes));
  assert.deepEqual(await host.truthRead('now', at0), new Uint8Array(512).fill(9));
});

test('a guest that does not answer, or whose freeze fails, has its checkpoint fail as with a broken VSS', async () => {
  await using at = await hostWithGuest();
  const { host } = at.it;
  const [guest] = at.guests;
  const attempt = async (): Promise<unknown> => {
    const answer = await call(host, 'CreateSnapshot', {
      AffectedSystem: systemPath(at.id),
      SnapshotType: 32768,
      SnapshotSettings: {
        className: 'Msvm_VirtualSystemSnapshotSettingData',
        properties: { ConsistencyLevel: 1 },
      },
    });
    await host.settle();
    return (await jobOf(host, answer))!.properties['ErrorDescription'];
  };
  guest!.refuses = 'guest-fsfreeze-freeze did not finish within 60 s';
  assert.match(String(await attempt()), /did not finish/);
  guest!.answers = false;
  assert.match(String(await attempt()), /no-contact/);
  assert.deepEqual((await rows(host, 'Msvm_VssComponent'))[0]!['OperationalStatus'], [12]);
  assert.deepEqual((await host.vm(at.id)).checkpoints, []);
  assert.deepEqual(guest!.told, ['freeze']);
});

test('what a real guest has on its disks no script writes over', async () => {
  await using at = await hostWithGuest();
  await assert.rejects(at.it.host.guestWrite(at.id, { offset: 0, length: 512 }), {
    code: RETURN.invalidState,
  });
});

test('a guest ends with its host and starts with it, unless it was off or is told not to', async () => {
  await using at = await hostWithGuest();
  await at.it.host.close();
  assert.deepEqual(at.guests[0]!.told, ['off']);
  const open = async (): Promise<LabHost> =>
    (at.it.host = await LabHost.open(at.it.folder, { settings: INSTANT, startGuest: at.startGuest }));
  const again = await open();
  assert.equal(at.guests.length, 2);
  await again.setPower(at.id, 'off');
  await again.close();
  const third = await open();
  assert.equal(at.guests.length, 2);
  await third.setPower(at.id, 'running');
  const SystemSettings = {
    className: 'Msvm_VirtualSystemSettingData',
    properties: { InstanceID: `Microsoft:${at.id}`, AutomaticStartupAction: 2 },
  };
  await call(third, 'ModifySystemSettings', { SystemSettings });
  await third.settle();
  await third.close();
  assert.equal((await (await open()).vm(at.id)).power, 'off');
  assert.equal(at.guests.length, 3);
});
