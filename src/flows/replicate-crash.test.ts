/** A cycle cut at every step: what the replica then holds is a complete generation, and it goes on without a seed. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KiB, MiB } from '../base/index.ts';
import { Replica, type ReplicaState } from './replicate-state.ts';
import { settleTarget } from './replicate-target.ts';
import { Fate, MemoryTarget, MemoryVm } from './replicate-world.fixture.ts';
import { replicateVm, type ReplicateRecord } from './replicate.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-replica-crash-'));
after(() => rm(folder, { recursive: true }));
const SIZES = [3 * MiB + 512, MiB];
let worlds = 0;

class World {
  readonly fate = new Fate();
  readonly vm = new MemoryVm(this.fate, SIZES);
  readonly target = new MemoryTarget(this.fate);
  readonly stateFolder = join(folder, String((worlds += 1)));
  #writes = 0;

  /** Of both disks: data at an odd place, data over whole blocks, and zeros over what was data before. */
  async write(): Promise<void> {
    this.#writes += 1;
    const n = this.#writes;
    for (const [index, size] of SIZES.entries()) {
      const at = (n * 190_000 + 512 * n) % (size - 200_000);
      await this.vm.write(index, at, Buffer.alloc(70_000, n));
      await this.vm.write(index, (n * 128 * KiB) % (size - 128 * KiB), Buffer.alloc(64 * KiB, 100 + n));
      await this.vm.write(index, ((n + 3) * 128 * KiB) % (size - 128 * KiB), Buffer.alloc(64 * KiB));
    }
    await this.vm.write(0, SIZES[0]! - 512, Buffer.alloc(512, n));
  }

  cycle(): Promise<ReplicateRecord> {
    return withSavesAsSteps(this.fate, () =>
      replicateVm(
        { source: this.vm, resolveVm: async () => this.vm.vm },
        { vm: 'web01', target: this.target, stateFolder: this.stateFolder },
      ),
    );
  }

  /** What another process finds: the state as it is on disk, and the target settled. */
  async settled(): Promise<ReplicaState> {
    await using replica = await Replica.hold(this.stateFolder, {
      vm: this.vm.vm,
      target: this.target.address,
    });
    await settleTarget(replica, this.target, { advance() {} });
    const { state } = replica;
    return state;
  }

  async assertIs({ generation }: ReplicaState): Promise<void> {
    const truth = this.vm.truth.get(generation!.runId)!;
    for (const [id, disk] of truth) {
      const [is, was] = [Buffer.alloc(disk.size), Buffer.alloc(disk.size)];
      await this.target.contentOf(id).read(0, is);
      await disk.read(0, was);
      assert.ok(is.equals(was), `disk ${id} of generation ${generation!.number} differs`);
    }
  }
}

/** Every change of the state is a step, and dying right after it is another. */
async function withSavesAsSteps<T>(fate: Fate, work: () => Promise<T>): Promise<T> {
  const save = Replica.prototype.save; // oxlint-disable-line typescript/unbound-method
  Replica.prototype.save = function (changes) {
    return fate.around('save', () => save.call(this, changes));
  };
  try {
    return await work();
  } finally {
    Replica.prototype.save = save;
  }
}

/** Half of what was not flushed arrives, another half each time. */
function someOf(seed: number): () => boolean {
  let state = seed * 2_654_435_761 + 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state > 0x7fff_ffff;
  };
}

test('a delta cycle cut at every step of target, host and state leaves a complete generation, and the next is a delta', async () => {
  const world = await seeded();
  let generation = (await world.settled()).generation!.number;
  const cuts: { step: string; committed: boolean }[] = [];
  for (let dieAt = 0; ; dieAt += 1) {
    await world.write();
    const step = await killedAt(world, dieAt);
    if (step === undefined) break;
    const state = await world.settled();
    await world.assertIs(state);
    cuts.push({ step, committed: state.generation!.number > generation });
    await world.write();
    const next = await world.cycle();
    assert.deepEqual([...new Set(next.disks.map(({ kind }) => kind))], ['delta'], `cut at ${step}`);
    assert.equal(next.generation, state.generation!.number + 1, `cut at ${step}`);
    await world.assertIs(await world.settled());
    generation = next.generation;
  }
  const steps = cuts.map(({ step }) => step);
  for (const name of ['write', 'zero', 'flush', 'after save', 'before seal', 'after retire'])
    assert.ok(steps.includes(name), `${name} is among ${steps.join()}`);
  const commit = cuts.findIndex(({ committed }) => committed);
  assert.equal(cuts[commit]!.step, 'after save');
  assert.ok(
    cuts.slice(commit).every(({ committed }) => committed),
    'what is committed stays so',
  );
  assert.ok(!steps.slice(0, commit).includes('write'), 'nothing is written to the target before the commit');
});

async function seeded(): Promise<World> {
  const world = new World();
  for (let write = 0; write < 3; write += 1) await world.write();
  await world.cycle();
  return world;
}

/** Dies, and power is lost where the target is. What the cycle says then nobody hears. The step; undefined when there are fewer. */
async function killedAt(world: World, dieAt: number): Promise<string | undefined> {
  world.fate.startOver(dieAt);
  await world.cycle().catch(() => {});
  const step = world.fate.steps[dieAt];
  world.fate.startOver();
  await world.target.lose(someOf(dieAt));
  return step;
}

test('a seed cut at every step is gone on with as a compare of what is there', async () => {
  let cuts = 0;
  for (let dieAt = 0; ; dieAt += 2) {
    const world = new World();
    for (let write = 0; write < 2; write += 1) await world.write();
    const step = await killedAt(world, dieAt);
    if (step === undefined) break;
    cuts += 1;
    const { phase, generation } = await world.settled();
    assert.equal(phase, generation ? 'idle' : 'seeding');
    if (generation) await world.assertIs(await world.settled());
    const { disks } = await world.cycle();
    await world.assertIs(await world.settled());
    assert.ok(!generation || disks.every(({ kind }) => kind !== 'full'), `cut at ${step}`);
  }
  assert.ok(cuts >= 8);
});

test('cuts one after the other, wherever they come, never cost a generation', async () => {
  const world = await seeded();
  let last = (await world.settled()).generation!.number;
  for (let round = 0; round < 8; round += 1) {
    await world.write();
    await killedAt(world, (round * 7) % 20);
    const state = await world.settled();
    assert.ok(state.generation!.number >= last);
    last = state.generation!.number;
    await world.assertIs(state);
  }
});
