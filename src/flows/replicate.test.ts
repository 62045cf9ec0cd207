import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GiB, KiB, TiB } from '../base/index.ts';
import { findReplica, findReplicas, replicaId } from './replicate-state.ts';
import { Fate, MemoryTarget, MemoryVm } from './replicate-world.fixture.ts';
import { replicateVm, type ReplicateRecord } from './replicate.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-replicate-'));
after(() => rm(folder, { recursive: true }));

interface World {
  readonly fate: Fate;
  readonly vm: MemoryVm;
  readonly stateFolder: string;
  readonly cycle: () => Promise<ReplicateRecord>;
}

function worldOf(name: string, size: number): World {
  const fate = new Fate();
  const vm = new MemoryVm(fate, [size]);
  const target = new MemoryTarget(fate);
  const stateFolder = join(folder, name);
  const resolveVm = async (): Promise<MemoryVm['vm']> => vm.vm;
  return {
    fate,
    vm,
    stateFolder,
    cycle: () => replicateVm({ source: vm, resolveVm }, { vm: 'web01', target, stateFolder }),
  };
}

test('a delta cycle costs what changed: the same steps and bytes for a disk of 64 GiB and one of 64 TiB', async () => {
  const costs: unknown[] = [];
  for (const size of [64 * GiB, 64 * TiB]) {
    const { fate, vm, cycle } = worldOf(String(size), size);
    await vm.write(0, 0, Buffer.alloc(200 * KiB, 1));
    await cycle();
    for (let write = 1; write <= 20; write += 1)
      await vm.write(0, (size / 32) * write, Buffer.alloc(64 * KiB, write));
    fate.startOver();
    const { disks } = await cycle();
    const { kind, readBytes, writtenBytes, zeroedBytes } = disks[0]!;
    assert.deepEqual([kind, readBytes, zeroedBytes], ['delta', 20 * 64 * KiB, 0]);
    costs.push({ steps: fate.steps, readBytes, writtenBytes });
  }
  assert.deepEqual(costs[0], costs[1]);
});

test('a replica is found by its id, the beginning of it and its VM; one whose state is damaged is told of, not passed over', async () => {
  const { vm, cycle, stateFolder } = worldOf('found', GiB);
  await cycle();
  const id = replicaId(vm.vm.id, 'memory:');
  for (const name of [id, id.slice(0, 4), 'web01', vm.vm.id.toUpperCase()])
    assert.equal((await findReplica(stateFolder, name)).id, id);
  await assert.rejects(findReplica(stateFolder, 'web02'), { code: 'REPLICA_UNKNOWN' });
  const path = join(stateFolder, id, 'replica.json');
  const text = await readFile(path, 'utf8');
  for (const damaged of [
    text.slice(0, 40),
    '[]',
    'null',
    text.replace('"version": 1', '"version": 2'),
    text.replace('hvlift-replica', 'other'),
    text.replace('"disks"', '"disk"'),
  ]) {
    await writeFile(path, damaged);
    const [found] = await findReplicas(stateFolder);
    assert.equal((found!.error as { code?: string }).code, 'REPLICA_STATE_UNREADABLE', damaged);
    await assert.rejects(cycle(), { code: 'REPLICA_STATE_UNREADABLE' });
  }
  await writeFile(path, text);
  assert.equal((await cycle()).generation, 2);
});
