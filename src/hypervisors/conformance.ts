/** What every hypervisor must do, tried with a guest of one sector. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '../base/index.ts';
import { waitUntilHealthy } from './health.ts';
import type { Hypervisor, MachineState, OwnedMachine } from './port.ts';
import { bootSector, READY, tinyMachine, writeTinyDisk } from './tiny-guest.fixture.ts';

/** From nothing to nothing, everything said twice. `folder` must be reachable for what runs the machine. */
export async function assertRunsMachines(hypervisor: Hypervisor, folder: string): Promise<void> {
  const disk = join(folder, 'disk.raw');
  await writeTinyDisk(disk);
  const machine = tinyMachine(disk, { serialLog: join(folder, 'serial.log') });
  const { uuid } = machine;
  const is = async (state: MachineState): Promise<void> =>
    assert.equal(await hypervisor.state(uuid), state, 'the state');

  await is('absent');
  await hypervisor.prepare(machine);
  await is('absent');
  await assert.rejects(hypervisor.start(uuid), { code: 'HYPERVISOR_NO_MACHINE' });
  for (const call of ['shutDown', 'powerOff', 'undefine'] as const) await hypervisor[call](uuid);

  await hypervisor.define(machine);
  await hypervisor.define({ ...machine, memoryMiB: 33 });
  await is('off');
  for (const call of ['shutDown', 'powerOff'] as const) await hypervisor[call](uuid);

  await hypervisor.start(uuid);
  await hypervisor.start(uuid);
  await assertBoots(hypervisor, machine);
  assert.deepEqual((await readFile(disk)).subarray(512, 1024), bootSector());
  await assert.rejects(hypervisor.define(machine), { code: 'HYPERVISOR_MACHINE_RUNS' });
  await hypervisor.prepare(machine);

  await hypervisor.shutDown(uuid);
  await becomes(hypervisor, uuid, 'off');
  await hypervisor.start(uuid);
  await is('running');
  await hypervisor.powerOff(uuid);
  await is('off');
  await hypervisor.start(uuid);
  await hypervisor.undefine(uuid);
  await is('absent');
  await hypervisor.undefine(uuid);
  assert.equal((await readFile(disk)).length, 1024 ** 2, 'the disk stays');
}

/** Nothing changes what is of another replica, or of nobody. */
export async function assertSpares(hypervisor: Hypervisor, foreign: OwnedMachine): Promise<void> {
  for (const call of ['prepare', 'define'] as const)
    await assert.rejects(hypervisor[call](foreign), { code: 'HYPERVISOR_FOREIGN_MACHINE' });
}

export async function assertBoots(hypervisor: Hypervisor, machine: OwnedMachine): Promise<void> {
  const probe = { kind: 'serial', text: READY } as const;
  const health = await waitUntilHealthy(hypervisor, machine, { probe, limitMs: 60_000 });
  assert.deepEqual(health, { healthy: true, seconds: health.seconds });
}

export async function becomes(hypervisor: Hypervisor, machineId: string, state: MachineState): Promise<void> {
  const signal = AbortSignal.timeout(30_000);
  while ((await hypervisor.state(machineId)) !== state) await sleep(50, signal);
}
