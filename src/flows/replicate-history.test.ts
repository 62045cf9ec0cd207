/** Generations that stay on a target whose files can share blocks: each is what the VM held then, whatever came after. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { KiB, MiB } from '../base/index.ts';
import { bootSector, READY } from '../hypervisors/tiny-guest.fixture.ts';
import { openTest } from '../repository/repository.fixture.ts';
import { openTarget, type Target } from '../targets/index.ts';
import { fated, ReplicaWorld } from './replica-world.fixture.ts';
import { rehearse } from './rehearse.ts';
import { findReplica } from './replicate-state.ts';
import { Fate, MemoryVm } from './replicate-world.fixture.ts';
import { rollReplica, type RollRecord } from './replicate-roll.ts';
import { replicateVia } from './replicate-via.ts';
import { replicateVm, type ReplicateRecord } from './replicate.ts';

const SIZE = 4 * MiB;
const UNPROVED = 'generations are kept on a file system whose files share blocks';
const canMount =
  process.getuid?.() === 0 && spawnSync('losetup', ['-f']).status === 0
    ? requires(['mkfs.xfs', 'mount'], UNPROVED)
    : { skip: `loop devices cannot be used; not proved: ${UNPROVED}` };

let root: string;
let shares: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'hvlift-history-'));
  shares = join(root, 'xfs');
  if (canMount.skip) return;
  await mkdir(shares);
  const make = 'truncate -s 320M "$1" && mkfs.xfs -q -m reflink=1 "$1" && mount -o loop "$1" "$2"';
  const run = spawnSync('sh', ['-c', make, 'sh', join(root, 'image'), shares], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
});
after(async () => {
  if (!canMount.skip) spawnSync('umount', [shares]);
  await rm(root, { recursive: true, force: true });
});

class World {
  readonly vm = new MemoryVm(new Fate(), [SIZE]);
  readonly stateFolder: string;
  readonly target;

  constructor(folder: string, name: string, format = 'raw') {
    this.stateFolder = join(root, `state-${name}`);
    this.target = openTarget(`dir:${join(folder, name)}?format=${format}`);
  }

  async cycle(keep?: number): Promise<ReplicateRecord> {
    const { vm, target, stateFolder } = this;
    await vm.write(0, 2 * MiB, Buffer.alloc(64 * KiB, vm.truth.size + 1));
    return replicateVm(
      { source: vm, resolveVm: async () => vm.vm },
      { vm: 'web01', target, stateFolder, keep },
    );
  }

  async kept(): Promise<number[]> {
    const { id } = await findReplica(this.stateFolder, 'web01');
    return (await this.target.historyOf!(id).list()).map(({ number }) => number);
  }

  /** Of a raw image. */
  async assertKept({ generation, runId }: ReplicateRecord): Promise<void> {
    const { id, state } = await findReplica(this.stateFolder, 'web01');
    const [disk] = state.disks;
    const spec = { ...disk!, size: SIZE, logicalSectorSize: 512 };
    const source = this.target.historyOf!(id).sourceOf(generation, spec);
    const was = Buffer.alloc(SIZE);
    await [...this.vm.truth.get(runId)!.values()][0]!.read(0, was);
    assert.ok(
      source.kind === 'file' && (await readFile(source.path)).equals(was),
      `generation ${generation}`,
    );
  }
}

test('the last three generations are kept, each exact, and the older ones go', canMount, async () => {
  const world = new World(shares, 'three');
  const records: ReplicateRecord[] = [];
  for (let n = 0; n < 4; n += 1) records.push(await world.cycle(3));
  const { id } = await findReplica(world.stateFolder, 'web01');
  const place = join(shares, 'three', '.generations', id);
  await mkdir(join(place, '1.unfinished'));
  records.push(await world.cycle(3));
  assert.deepEqual((await readdir(place)).toSorted(), ['3', '4', '5'], 'what a crash left is gone');
  assert.deepEqual(await world.kept(), [3, 4, 5]);
  for (const record of records.slice(2)) await world.assertKept(record);
  await world.cycle();
  assert.deepEqual(await world.kept(), [3, 4, 5], 'without a number none is kept, and none goes');
  assert.deepEqual([(await world.cycle(1)).warnings, await world.kept()], [[], [7]]);
});

test(
  'an earlier generation is rehearsed, and stays what it was; cycles bring theirs to the target meanwhile',
  canMount,
  async () => {
    const world = new World(shares, 'rehearsed');
    await world.vm.write(0, 0, bootSector());
    const first = await world.cycle(2);
    await world.vm.write(0, 0, Buffer.alloc(512));
    await world.cycle(2);
    const request = {
      replica: await findReplica(world.stateFolder, 'web01'),
      stateFolder: world.stateFolder,
      target: world.target,
      on: 'qemu',
      probe: { kind: 'serial', text: READY },
      limitMs: 120_000,
      conversion: 'compatible',
      choices: { memoryMiB: 32 },
    } as const;
    const [run, third] = await Promise.all([rehearse({ ...request, generation: 1 }), whileRehearsed(world)]);
    assert.deepEqual([run.result, run.generation], ['healthy', 1]);
    assert.deepEqual([third.generation, third.warnings], [3, []]);
    assert.deepEqual((await world.kept()).includes(1), true, 'what is rehearsed is not dropped');
    await world.assertKept(first);
    await assert.rejects(rehearse({ ...request, generation: 9 }), { code: 'REPLICA_NO_SUCH_GENERATION' });
  },
);

test(
  'rolled to a kept generation: its images take their place, cut at every step too; replication goes on by a compare, and back is open',
  canMount,
  async (t) => {
    const target = (fate: Fate): Target =>
      fated(openTarget(`dir:${join(shares, 'rolled')}?format=raw`), fate);
    const world = new ReplicaWorld({ stateFolder: join(root, 'state-rolled'), sizes: [SIZE, MiB], target });
    const cycle = async (): Promise<ReplicateRecord> => {
      await world.write();
      return world.cycle({ keep: 3 });
    };
    const keptBy = async (): Promise<number[]> => {
      const { id } = await findReplica(world.stateFolder, 'web01');
      return (await world.target.historyOf!(id).list()).map(({ number }) => number);
    };
    const roll = async (number: number): Promise<RollRecord> => {
      const replica = await findReplica(world.stateFolder, 'web01');
      const to = { kind: 'generation', number } as const;
      const { stateFolder, target: at } = world;
      return world.steps(() => rollReplica({ replica, stateFolder, target: at, to }));
    };
    await cycle();
    let cuts = 0;
    for (let dieAt = 0; ; dieAt += 1) {
      const [first, last] = [await cycle(), await cycle()];
      const step = await world.killedAt(dieAt, () => roll(first.generation));
      const state = await world.settled();
      await world.assertIs(state);
      const isRolled = state.generation!.number > last.generation;
      assert.equal(state.generation!.runId, isRolled ? first.runId : last.runId, `cut at ${step}`);
      assert.deepEqual([state.phase, isRolled ? state.baselines : []], ['idle', []]);
      assert.ok((await keptBy()).includes(last.generation), 'the way back is open');
      if (isRolled) {
        await roll(last.generation);
        const back = await world.settled();
        assert.deepEqual([back.generation!.rolledTo, back.generation!.runId], [last.generation, last.runId]);
        await world.assertIs(back);
      }
      const next = await cycle();
      const kind = isRolled ? 'compare' : 'delta';
      assert.deepEqual([...new Set(next.disks.map((disk) => disk.kind))], [kind], `cut at ${step}`);
      await world.assertIs(await world.settled());
      assert.equal(world.vm.referencePoints.size, 1, 'the mark that no longer counts is gone');
      if (step === undefined) break;
      cuts += 1;
    }
    t.diagnostic(`cut at ${cuts} steps`);
    assert.ok(cuts >= 8, String(cuts));
    const { id } = await findReplica(world.stateFolder, 'web01');
    const names = (await readdir(join(shares, 'rolled'))).toSorted();
    assert.deepEqual(names, ['.generations', 'web01-disk1.raw', 'web01-disk2.raw'], id);
    await assert.rejects(roll(999), { code: 'REPLICA_NO_SUCH_GENERATION' });
  },
);

test(
  'a kept generation that is a restore point: rolled to, the next cycle through the repository goes on by the maps',
  canMount,
  async () => {
    const repository = await openTest(undefined, false);
    const world = new World(shares, 'via');
    const { vm, target, stateFolder } = world;
    const deps = {
      source: vm,
      repository,
      resolveVm: async () => vm.vm,
      destroyReferencePoint: async () => {},
    };
    const via = async (fill: number): Promise<ReplicateRecord> => {
      await vm.write(0, 3 * MiB, Buffer.alloc(64 * KiB, fill));
      return replicateVia(deps, { vm: 'web01', target, stateFolder, keep: 2, workers: 0 });
    };
    const [first] = [await via(1), await via(2)];
    const replica = await findReplica(stateFolder, 'web01');
    const to = { kind: 'generation', number: 1 } as const;
    await rollReplica({ replica, stateFolder, target, to });
    const { generation } = (await findReplica(stateFolder, 'web01')).state;
    assert.deepEqual([generation!.number, generation!.point?.id], [3, first.point!.id]);
    const next = await via(3);
    assert.deepEqual(
      [next.disks[0]!.kind, next.disks[0]!.readBytes, await world.kept()],
      ['delta', 64 * KiB, [2, 4]],
    );
    await world.assertKept(next);
  },
);

test('an image that was lost is brought back by a roll to a kept generation', canMount, async () => {
  const world = new World(shares, 'lost');
  const first = await world.cycle(2);
  await world.cycle(2);
  const replica = await findReplica(world.stateFolder, 'web01');
  await rm(join(shares, 'lost', 'web01-disk1.raw'));
  await assert.rejects(world.cycle(2), { code: 'TARGET_DISK_MISSING' });
  const { stateFolder, target } = world;
  const to = { kind: 'generation', number: 1 } as const;
  const record = await rollReplica({ replica, stateFolder, target, to });
  assert.deepEqual(
    [record.rolledTo, record.generation, record.warnings.map(({ code }) => code)],
    [1, 3, ['REPLICA_NOT_KEPT']],
  );
  await world.assertKept(first);
  const { id } = await findReplica(stateFolder, 'web01');
  const [is, kept] = await Promise.all(
    [[], ['.generations', id, '1']].map((path) => readFile(join(shares, 'lost', ...path, 'web01-disk1.raw'))),
  );
  assert.ok(is!.equals(kept!));
  assert.deepEqual((await world.cycle(2)).disks[0]!.kind, 'compare');
});

/** As soon as the rehearsal has let the replica go. */
async function whileRehearsed(world: World): Promise<ReplicateRecord> {
  for (;;) {
    const { folder } = await findReplica(world.stateFolder, 'web01');
    if ((await readdir(folder)).some((name) => name.startsWith('rehearsal-'))) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  for (;;)
    try {
      return await world.cycle(2);
    } catch (error) {
      if ((error as { code?: string }).code !== 'REPLICA_BUSY') throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

test('where blocks cannot be shared, or the target keeps nothing, that is said before anything is read', async () => {
  const folder = join(root, 'plain');
  await mkdir(folder);
  const copy = spawnSync('cp', ['--reflink=always', import.meta.filename, join(folder, 'copy')]);
  if (copy.status !== 0) {
    const world = new World(folder, 'no-reflinks');
    await assert.rejects(world.cycle(2), { code: 'TARGET_NO_REFLINKS' });
    assert.equal(world.vm.truth.size, 0, 'the VM was not touched');
  }
  const { vm } = new MemoryVm(new Fate(), [SIZE]);
  const target = openTarget('nbd+unix:///x?socket=/nowhere');
  await assert.rejects(
    replicateVm(
      { source: new MemoryVm(new Fate(), [SIZE]), resolveVm: async () => vm },
      { vm: 'web01', target, stateFolder: join(root, 'nbd'), keep: 2 },
    ),
    { code: 'TARGET_KEEPS_NONE' },
  );
});
