/** A cutover from the lab: real checkpoints, real disk files and a real clone; only what runs the machine is in memory. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { LabCluster } from '../../lab/cluster/index.ts';
import { INSTANT, LabHost, type VmInfo } from '../../lab/model/index.ts';
import { MiB, silentProgress, sleep } from '../../src/base/index.ts';
import { createClusterSource, type Source } from '../../src/capture/index.ts';
import {
  cutOver,
  failBack,
  openOtherSide,
  replicateVm,
  type CutoverRecord,
  type FailbackRecord,
} from '../../src/flows/index.ts';
import { CHOICES, MemoryHypervisor, Watch } from '../../src/flows/cutover-world.fixture.ts';
import { Fate } from '../../src/flows/replicate-world.fixture.ts';
import { createFsHostFiles, type HostFiles } from '../../src/hostfile/index.ts';
import {
  Cluster,
  createClusterHyperV,
  createHyperV,
  type ClusterNode,
  type HyperV,
} from '../../src/hyperv/index.ts';
import { openTarget } from '../../src/targets/index.ts';
import { ProviderSession } from '../property/provider-session.ts';
import { requires } from '../requires.ts';

const run = promisify(execFile);

const folder = await mkdtemp(join(tmpdir(), 'hvlift-cutover-'));
after(() => rm(folder, { recursive: true }));
let worlds = 0;

type Before = (call: string) => Promise<void>;

/** Every call to a host is a step at which the run can die. */
function steppedHost(hyperv: HyperV, fate: Fate, before: Before): HyperV {
  return new Proxy(hyperv, {
    get(host, name: keyof HyperV) {
      const call = host[name] as ((...args: unknown[]) => unknown) | undefined;
      // It is no promise, and a stream of changes is none of one answer.
      if (!call || name === 'changedExtents') return call?.bind(host);
      return (...args: unknown[]) =>
        fate.around(name, async () => {
          await before(name);
          return call.apply(host, args);
        });
    },
  });
}

const NODES = ['NODE1', 'NODE2'] as const;
const NAME = 'CL01';
const clock = { now: () => performance.now(), sleep };

/** A cluster of two emulated nodes, without a wire in between, and the client's stack on it. */
class LabStack implements AsyncDisposable {
  readonly lab: LabHost;
  readonly nodes: LabCluster;
  readonly hyperv: HyperV;
  readonly source: Source;
  readonly #files: HostFiles;

  constructor(lab: LabHost, fate: Fate, before: Before) {
    this.lab = lab;
    this.nodes = new LabCluster(() => lab, { name: NAME, nodes: NODES });
    const connect = async (node: string): Promise<ClusterNode> => {
      const session = new ProviderSession(() => this.nodes.provider(node));
      return { session, hyperv: steppedHost(createHyperV(session, { pollMs: 5 }), fate, before) };
    };
    const cluster = new Cluster({ name: NAME, nodes: NODES }, connect, clock);
    this.#files = createFsHostFiles({ mappings: [{ from: 'C:\\', to: join(lab.volumesFolder, 'C') }] });
    this.hyperv = createClusterHyperV(cluster);
    this.source = createClusterSource({ cluster, files: () => this.#files, hostName: NAME });
  }

  /** To the other node. */
  async move(vmId: string): Promise<void> {
    await this.nodes.move(
      vmId,
      NODES.find((node) => node !== this.nodes.ownerOf(vmId))!,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files.close();
    await this.lab.close();
  }
}

class LabWorld implements AsyncDisposable {
  readonly stack: LabStack;
  readonly vmId: string;
  readonly diskIds: readonly string[];
  readonly fate: Fate;
  readonly watch = new Watch();
  readonly hypervisor: MemoryHypervisor;
  readonly folder: string;
  /** Before each call to a node, for what happens meanwhile. */
  before: Before = async () => {};
  readonly #format: 'raw' | 'vhdx';
  readonly #address: string;
  #writes = 0;

  private constructor(
    at: string,
    format: 'raw' | 'vhdx',
    { stack, fate, vm }: { stack: LabStack; fate: Fate; vm: VmInfo },
  ) {
    this.stack = stack;
    this.vmId = vm.id;
    this.diskIds = vm.disks.map(({ diskId }) => diskId);
    this.fate = fate;
    this.hypervisor = new MemoryHypervisor(fate, this.watch);
    this.folder = at;
    this.#format = format;
    this.#address = `dir:${join(at, 'replica')}?format=${format}`;
  }

  static async open(format: 'raw' | 'vhdx' = 'raw'): Promise<LabWorld> {
    const at = join(folder, String((worlds += 1)));
    const fate = new Fate();
    const before: Before = async (call) => {
      if (call === 'shutDown') await world.writes();
      await world.before(call);
    };
    const stack = new LabStack(await LabHost.open(join(at, 'lab'), { settings: INSTANT }), fate, before);
    const disks = [{ size: 12 * MiB }, { size: 6 * MiB }];
    const world = new LabWorld(at, format, {
      stack,
      fate,
      vm: await stack.lab.createVm({ name: 'db', disks }),
    });
    await world.writes();
    await world.cycle();
    return world;
  }

  /** Some of it stays in the guest's cache, until it shuts down. */
  async writes(): Promise<void> {
    this.#writes += 1;
    for (const diskId of this.diskIds) {
      const offset = (this.#writes % 5) * MiB;
      await this.stack.lab.guestWrite(this.vmId, { diskId, offset, length: 65_536, seed: this.#writes });
      const late = { diskId, offset: offset + 131_072, length: 4096, seed: this.#writes, cached: true };
      await this.stack.lab.guestWrite(this.vmId, late);
    }
  }

  async cycle(): Promise<{ kinds: string[] }> {
    const { disks } = await replicateVm(
      { source: this.stack.source, resolveVm: (vm) => this.stack.hyperv.vm(vm) },
      { vm: 'db', target: openTarget(this.#address), stateFolder: join(this.folder, 'state') },
    );
    return { kinds: [...new Set(disks.map(({ kind }) => kind))] };
  }

  cutOver(action: 'begin' | 'resume' | 'rollback', commit = false): Promise<CutoverRecord> {
    const { hyperv, source } = this.stack;
    const target = openTarget(this.#address);
    const { hypervisor } = this;
    return cutOver(
      async (replica, choices) => {
        const { clone } = await openOtherSide(replica, target, { ...choices, hypervisor: 'qemu' });
        const host = hyperv.forVm(this.vmId.toLowerCase());
        return { source, host, target, hypervisor, clone, async [Symbol.asyncDispose]() {} };
      },
      {
        replica: 'db',
        stateFolder: join(this.folder, 'state'),
        action,
        choices: { ...CHOICES, folder: join(this.folder, 'clone') },
        commit,
        force: false,
        progress: silentProgress,
        mayTurnOff: async () => false,
        agree: async () => true,
      },
    );
  }

  failBack(to: string): Promise<FailbackRecord> {
    const { hypervisor, folder: at } = this;
    const open: typeof openOtherSide = async (replica, target, choices) => ({
      ...(await openOtherSide(replica, target, { ...choices, hypervisor: 'qemu' })),
      hypervisor,
    });
    return failBack(open, {
      replica: 'db',
      stateFolder: join(at, 'state'),
      to,
      progress: silentProgress,
    });
  }

  /** The replica is what the disks of the VM hold now. */
  async assertHoldsSource(): Promise<void> {
    const { lab } = this.stack;
    const { id: seal } = await lab.mark(this.vmId);
    for (const [index, diskId] of this.diskIds.entries()) {
      const image = openTarget(this.#address).placeOf({
        diskId,
        number: index + 1,
        name: `db-disk${index + 1}`,
      });
      assert.equal(await lab.compareImage(seal, diskId, image, this.#format), null, image);
    }
  }

  async traces(): Promise<{ checkpoints: number; referencePoints: number; action: unknown; power: string }> {
    const { lab, hyperv } = this.stack;
    const id = this.vmId.toLowerCase();
    return {
      checkpoints: (await hyperv.checkpoints(id)).length,
      referencePoints: (await hyperv.referencePoints(id)).length,
      action: await hyperv.startAction(id),
      power: (await lab.vm(this.vmId)).power,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack[Symbol.asyncDispose]();
  }
}

for (const format of ['raw', 'vhdx'] as const)
  test(`a VM leaves its host from ${format}: what its guest wrote last is there, and the host does not start it again`, async () => {
    await using world = await LabWorld.open(format);
    const healthy = await world.cutOver('begin');
    assert.equal(healthy.step, 'healthy');
    assert.ok(healthy.final!.changedBytes > 0, 'what was in the cache of the guest');
    await world.assertHoldsSource();
    assert.equal((await world.cutOver('resume', true)).step, 'committed');
    const off = { checkpoints: 0, referencePoints: 0, action: 'none', power: 'off' };
    assert.deepEqual(await world.traces(), off);
    await world.stack.lab.restart();
    assert.deepEqual(await world.traces(), off);
    console.log(
      `# ${format}: off for ${healthy.offSeconds} s, last delta ${healthy.final!.changedBytes} bytes, compared ${healthy.verified!.comparedBytes}`,
    );
  });

test('a VM that moves to another node while things are done to it is shut down, read and left off there', async () => {
  await using world = await LabWorld.open();
  const moves: string[] = [];
  world.before = async (call) => {
    if (!['shutDown', 'setStartAction', 'createRecoveryCheckpoint', 'power'].includes(call)) return;
    moves.push(call);
    // A call that meets a move each time it is made never ends well.
    const times = moves.filter((each) => each === call).length;
    if (times === 1 || times === 4) await world.stack.move(world.vmId);
  };
  let step: string | undefined;
  for (let attempt = 0; step !== 'committed' && attempt < 8; attempt += 1) {
    const action = attempt === 0 ? 'begin' : 'resume';
    const end = await world.cutOver(action, true).catch((error: unknown) => error);
    if (end instanceof Error) assert.match((end as { code?: string }).code ?? '', /^HYPERV_VM_MOVED$/);
    else step = (end as CutoverRecord).step;
  }
  assert.equal(step, 'committed', moves.join());
  assert.ok(moves.length > 9);
  world.before = async () => {};
  await world.assertHoldsSource();
  const { power, action } = await world.traces();
  assert.deepEqual([power, action, world.watch.violations], ['off', 'none', []]);
});

test('taken back: the VM runs as before, and the next cycle of a replica in VHDX is a delta', async () => {
  await using world = await LabWorld.open('vhdx');
  await world.writes();
  await world.cutOver('begin');
  await world.cutOver('rollback');
  assert.deepEqual(await world.traces(), {
    checkpoints: 0,
    referencePoints: 1,
    action: 'if-it-ran',
    power: 'running',
  });
  await world.writes();
  assert.deepEqual((await world.cycle()).kinds, ['delta']);
});

test('a disk that was added since the last cycle goes along; one that was resized follows where it can', async () => {
  await using world = await LabWorld.open();
  const { lab } = world.stack;
  await lab.addDisk(world.vmId, { size: 2 * MiB });
  await lab.resizeDisk(world.vmId, world.diskIds[1]!, 8 * MiB);
  await world.writes();
  assert.equal((await world.cutOver('begin', true)).step, 'committed');
  await world.assertHoldsSource();
});

test('a resize that the target cannot follow ends it before anything is done to the VM', async () => {
  await using world = await LabWorld.open('vhdx');
  await world.stack.lab.resizeDisk(world.vmId, world.diskIds[1]!, 8 * MiB);
  await assert.rejects(world.cutOver('begin'), { code: 'TARGET_SIZE_FIXED' });
  const { action, power } = await world.traces();
  assert.deepEqual([action, power], ['if-it-ran', 'running']);
});

test(
  'the way back: what was written on the other side is in VHDX files; the second time only what differs is written',
  { ...requires(['qemu-img', 'qemu-io'], 'a clone that QEMU wrote to goes back into VHDX files') },
  async () => {
    await using world = await LabWorld.open();
    const back = join(world.folder, 'back');
    await world.cutOver('begin');
    await assert.rejects(world.failBack(back), { code: 'CUTOVER_NOT_COMMITTED' });
    await world.cutOver('resume', true);
    await assert.rejects(world.failBack(back), { code: 'CUTOVER_MACHINE_RUNS' });
    world.hypervisor.clear();
    const [clone] = await readdir(join(world.folder, 'clone'));
    const image = join(world.folder, 'clone', clone!, 'disk1.qcow2');
    const writtenThere = (at: string): Promise<unknown> =>
      run('qemu-io', ['-c', `write -P 7 ${at} 64k`, '-c', 'write -z 5M 64k', image]);
    await writtenThere('3M');
    const first = await world.failBack(back);
    assert.deepEqual(
      first.disks.map(({ isNew }) => isNew),
      [true, true],
    );
    await writtenThere('9M');
    const second = await world.failBack(back);
    assert.deepEqual(
      second.disks.map(({ isNew, writtenBytes, zeroedBytes }) => [isNew, writtenBytes + zeroedBytes]),
      [
        [false, 65_536],
        [false, 0],
      ],
    );
    await run('qemu-img', ['compare', image, join(back, 'db-disk1.vhdx')]);
    await run('qemu-img', [
      'compare',
      join(world.folder, 'replica', 'db-disk2.raw'),
      join(back, 'db-disk2.vhdx'),
    ]);
  },
);

test('cut at calls to the host all along: gone on with, or taken back, in turn', async () => {
  await using world = await LabWorld.open();
  let cuts = 0;
  // Each takes a second or two; every one of them is cut in src/flows/cutover-crash.test.ts.
  for (let dieAt = 5; ; dieAt += 53) {
    await world.writes();
    world.fate.startOver(dieAt);
    const outcome = await world.cutOver('begin').catch((error: unknown) => error);
    const step = world.fate.steps[dieAt];
    world.fate.startOver();
    if (step === undefined && outcome instanceof Error) throw outcome;
    if (step !== undefined) {
      cuts += 1;
      if (cuts % 2 === 0) {
        assert.equal((await world.cutOver('resume')).step, 'healthy', `cut at ${step}`);
        await world.assertHoldsSource();
      }
    }
    await world.cutOver('rollback').catch((error: unknown) => assert.match(String(error), /no cutover/));
    const { power, action, checkpoints } = await world.traces();
    assert.deepEqual([power, action], ['running', 'if-it-ran'], `cut at ${step}`);
    assert.ok(checkpoints <= 1, 'what a dead run left, the next cycle removes');
    assert.deepEqual((await world.cycle()).kinds, ['delta'], `cut at ${step}`);
    assert.equal((await world.traces()).checkpoints, 0);
    if (step === undefined) break;
  }
  console.log(`# cut at ${cuts} of the calls to the host`);
  assert.ok(cuts >= 3);
});
