import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GiB, KiB, TiB, type Progress } from '../base/index.ts';
import type { Source } from '../capture/index.ts';
import { hypervFaults } from '../hyperv/index.ts';
import { findReplica, findReplicas, replicaId } from './replicate-state.ts';
import { Fate, MemoryTarget, MemoryVm } from './replicate-world.fixture.ts';
import { replicateVm, type ReplicateRecord } from './replicate.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-replicate-'));
after(() => rm(folder, { recursive: true }));

interface World {
  readonly fate: Fate;
  readonly vm: MemoryVm;
  readonly stateFolder: string;
  readonly cycle: (about?: {
    readonly source?: Source;
    readonly progress?: Progress;
  }) => Promise<ReplicateRecord>;
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
    cycle: ({ source = vm, ...about } = {}) =>
      replicateVm({ source, resolveVm }, { vm: 'web01', target, stateFolder, ...about }),
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

test('a cycle whose VM went to another node begins anew there, once, and says so; whatever failed then, nothing is lost', async () => {
  const { vm, cycle } = worldOf('moved', GiB);
  await vm.write(0, 0, Buffer.alloc(200 * KiB, 1));
  await cycle();
  const open = vm.open.bind(vm);
  const notes: string[] = [];
  const progress = { phase() {}, advance() {}, note: (text: string) => void notes.push(text) };
  for (const [failures, expected] of [
    [1, 2],
    [2, undefined],
    [0, 3],
  ] as const) {
    let left = failures;
    const moving: Source = {
      open: (request) =>
        (left -= 1) >= 0
          ? Promise.reject(hypervFaults.vmMoved({ vm: 'web01', from: 'HV01', to: 'HV02' }))
          : open(request),
      moved: async () => failures > 0,
    };
    await vm.write(0, GiB / 2, Buffer.alloc(64 * KiB, 2 + failures));
    const run = cycle({ source: moving, progress });
    if (expected === undefined) await assert.rejects(run, { code: 'HYPERV_VM_MOVED' });
    else {
      const { generation, disks } = await run;
      assert.deepEqual([generation, disks[0]!.kind], [expected, 'delta']);
    }
  }
  assert.equal(notes.filter((text) => text.includes('beginning anew there')).length, 2);
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
