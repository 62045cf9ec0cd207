/**
 * A cutover cut before and after every call to the host, to the target and to the hypervisor, and every change of its state:
 * never do both sides run, and it can be gone on with, or taken back.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KiB } from '../base/index.ts';
import { CutoverWorld, memoryFolder } from './cutover-world.fixture.ts';

// In memory where there is some: thousands of documents are made durable here, and a disk that others use takes its time for each.
const folder = await mkdtemp(join(memoryFolder(), 'hvlift-cutover-crash-'));
after(() => rm(folder, { recursive: true }));
const SIZES = [512 * KiB + 512, 128 * KiB];

test('cut anywhere from the shutdown on and gone on with: committed, the replica and its clone are the source as it went off, never both ran', async () => {
  const world = await CutoverWorld.open(join(folder, 'resumed'), SIZES);
  const cuts: string[] = [];
  // What comes before the shutdown is an ordinary cycle, which is cut in the next test and in replicate-crash.test.ts.
  world.fate.startOver();
  await world.cutOver({ commit: true });
  const first = world.fate.steps.indexOf('power');
  await world.forgetCutover();
  for (let dieAt = first; ; dieAt += 1) {
    await world.writes();
    const step = await world.killedAt(dieAt, () => world.cutOver({ commit: true }));
    if (step === undefined) break;
    cuts.push(step);
    world.vm.hostRestarts();
    const { step: end } = await world.finish();
    assert.equal(end, 'committed', `cut at ${step}`);
    assert.deepEqual(world.watch.violations, [], `cut at ${step}`);
    assert.deepEqual([...world.watch.running], ['other side'], `cut at ${step}`);
    world.vm.hostRestarts();
    assert.equal(world.vm.state, 'off', `cut at ${step}: the host does not start it again`);
    await world.assertHoldsSource(`cut at ${step}`);
    await world.forgetCutover();
  }
  console.log(`# cutover resumed after ${cuts.length} cuts`);
  for (const name of [
    'write',
    'flush',
    'before seal',
    'power',
    'before shut down',
    'after shut down',
    'clone',
  ])
    assert.ok(
      cuts.some((cut) => cut.includes(name)),
      `${name} is among ${cuts.join()}`,
    );
  for (const name of ['after define', 'before start', 'after start', 'look', 'destroy the mark', 'save'])
    assert.ok(
      cuts.some((cut) => cut.includes(name)),
      `${name} is among ${cuts.join()}`,
    );
});

test('cut anywhere and taken back: the source runs as it did, nothing is left, the next cycle is a delta, never both ran', async () => {
  const world = await CutoverWorld.open(join(folder, 'rolled-back'), SIZES);
  let cuts = 0;
  for (let dieAt = 0; ; dieAt += 1) {
    await world.writes();
    const step = await world.killedAt(dieAt, () => world.cutOver({}));
    if (step === undefined) break;
    cuts += 1;
    await world.takeBack();
    assert.deepEqual(world.watch.violations, [], `cut at ${step}`);
    assert.deepEqual([...world.watch.running], ['source'], `cut at ${step}`);
    assert.equal(world.vm.action, 'if-it-ran', `cut at ${step}`);
    assert.deepEqual([world.hypervisor.machines.size, world.clone.disks], [0, undefined], `cut at ${step}`);
    await world.writes();
    const { disks } = await world.cycle();
    assert.deepEqual([...new Set(disks.map(({ kind }) => kind))], ['delta'], `cut at ${step}`);
    await world.assertHoldsSource(`cut at ${step}`);
  }
  console.log(`# cutover taken back after ${cuts} cuts`);
  assert.ok(cuts > 40);
});

test('a rollback cut anywhere is finished by another one', async () => {
  const world = await CutoverWorld.open(join(folder, 'rollback-cut'), SIZES);
  let cuts = 0;
  for (let dieAt = 0; ; dieAt += 1) {
    await world.writes();
    await world.cutOver({});
    const step = await world.killedAt(dieAt, () => world.takeBack());
    if (step === undefined) break;
    cuts += 1;
    await world.takeBack();
    assert.deepEqual(world.watch.violations, [], `cut at ${step}`);
    assert.deepEqual([...world.watch.running], ['source'], `cut at ${step}`);
    assert.equal(world.vm.action, 'if-it-ran');
    const { disks } = await world.cycle();
    assert.ok(disks.every(({ kind }) => kind === 'delta'));
  }
  console.log(`# rollback finished after ${cuts} cuts`);
  assert.ok(cuts >= 10);
});
