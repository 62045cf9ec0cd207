/**
 * Replication against the lab: after every cycle, and after every cycle that died, the target is byte for byte what the VM was
 * at a seal.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { KiB, MiB } from '../../src/base/index.ts';
import { diskFaults } from '../../src/disk/index.ts';
import {
  backupVm,
  Replica,
  replicaId,
  replicateVia,
  replicateVm,
  rollReplica,
  settleTarget,
  type ReplicaState,
  type ReplicateRecord,
  type ReplicateRequest,
} from '../../src/flows/index.ts';
import { openDirectoryStore } from '../../src/objectstore/index.ts';
import { createRepository } from '../../src/repository/index.ts';
import { openTarget, type Target } from '../../src/targets/index.ts';
import { requires } from '../requires.ts';
import { openLabStack, type LabStack } from './lab-stack.fixture.ts';

const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), 'hvlift-replicate-'));
after(() => rm(folder, { recursive: true }));
let made = 0;
const fresh = (name: string): string => join(folder, `${(made += 1)}-${name}`);

const SIZES = [24 * MiB, 8 * MiB + 512];

/** A VM of two disks, and the state folder of its replicas. */
class World implements AsyncDisposable {
  readonly stack: LabStack;
  readonly vmId: string;
  readonly diskIds: readonly string[];
  readonly stateFolder = fresh('state');
  #writes = 0;

  private constructor(stack: LabStack, vmId: string, diskIds: readonly string[]) {
    this.stack = stack;
    this.vmId = vmId;
    this.diskIds = diskIds;
  }

  static async open(): Promise<World> {
    const stack = await openLabStack();
    const { id, disks } = await stack.lab.createVm({ name: 'sql01', disks: SIZES.map((size) => ({ size })) });
    const world = new World(
      stack,
      id,
      disks.map(({ diskId }) => diskId),
    );
    for (let write = 0; write < 5; write += 1) await world.write();
    return world;
  }

  /** Each at another place of both disks; every third takes something away again. Returns the bytes that changed. */
  async write(): Promise<number> {
    this.#writes += 1;
    const { lab } = this.stack;
    for (const [index, diskId] of this.diskIds.entries()) {
      const cells = Math.floor(SIZES[index]! / (64 * KiB));
      const at = (this.#writes * 37 + index) % cells;
      const range = { diskId, offset: at * 64 * KiB + 512 * (this.#writes % 3), length: 16 * KiB };
      await lab.guestWrite(this.vmId, { ...range, seed: this.#writes });
      if (this.#writes % 3 === 0) {
        const earlier = (((this.#writes - 2) * 37 + index) % cells) * 64 * KiB;
        await lab.guestWrite(this.vmId, { diskId, offset: earlier, bytes: new Uint8Array(64 * KiB) });
      }
    }
    return this.diskIds.length * (this.#writes % 3 === 0 ? 80 : 16) * KiB;
  }

  cycle(target: Target, request: Partial<ReplicateRequest> = {}): Promise<ReplicateRecord> {
    const { source, hyperv } = this.stack;
    const resolveVm: typeof hyperv.vm = (vm, options) => hyperv.vm(vm, options);
    return replicateVm(
      { source, resolveVm },
      { vm: 'sql01', target, stateFolder: this.stateFolder, ...request },
    );
  }

  /** The images are the VM as it was at the newest seal. */
  async assertExact(paths: readonly string[], format: 'raw' | 'vhdx' = 'raw'): Promise<void> {
    const seal = (await this.stack.lab.seals(this.vmId)).at(-1)!;
    for (const [index, path] of paths.entries()) {
      const raw = format === 'raw' ? path : await asRaw(path, format);
      const differs = await this.stack.lab.compareImage(seal.id, this.diskIds[index]!, raw);
      assert.equal(differs, null, `disk ${index + 1} differs at ${differs}`);
    }
  }

  async onHost(): Promise<{ points: number; checkpoints: number }> {
    const { hyperv } = this.stack;
    const vmId = this.vmId.toLowerCase();
    const points = await hyperv.referencePoints(vmId);
    return { points: points.length, checkpoints: (await hyperv.checkpoints(vmId)).length };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack[Symbol.asyncDispose]();
  }
}

async function asRaw(path: string, format: string): Promise<string> {
  const raw = fresh('judged.raw');
  await run('qemu-img', ['convert', '-f', format, '-O', 'raw', path, raw]);
  return raw;
}

function images(at: string, extension: string): string[] {
  return SIZES.map((_, index) => join(at, `sql01-disk${index + 1}.${extension}`));
}

test('raw images: seed and five delta cycles, each exact, of two disks, and only what changed is read and written', async () => {
  await using world = await World.open();
  const at = fresh('raw');
  const target = openTarget(`dir:${at}`);
  const seed = await world.cycle(target);
  assert.deepEqual(
    seed.disks.map(({ kind, reason }) => [kind, reason]),
    [
      ['full', 'seed'],
      ['full', 'seed'],
    ],
  );
  await world.assertExact(images(at, 'raw'));
  for (let cycle = 1; cycle <= 5; cycle += 1) {
    const changed = (await world.write()) + (await world.write());
    const record = await world.cycle(target);
    assert.deepEqual(record.warnings, []);
    assert.equal(record.generation, cycle + 1);
    assert.deepEqual([...new Set(record.disks.map(({ kind }) => kind))], ['delta']);
    const sum = (of: 'readBytes' | 'writtenBytes' | 'zeroedBytes'): number =>
      record.disks.reduce((total, disk) => total + disk[of], 0);
    // The host tells changes in steps of 64 KiB here; a write at an odd place touches two of them.
    assert.ok(sum('readBytes') <= changed + 8 * 128 * KiB, `read ${sum('readBytes')} for ${changed}`);
    assert.equal(sum('writtenBytes') + sum('zeroedBytes'), sum('readBytes'));
    await world.assertExact(images(at, 'raw'));
    assert.deepEqual(await world.onHost(), { points: 1, checkpoints: 0 });
  }
  const idle = await world.cycle(target);
  assert.equal(
    idle.disks.reduce((sum, disk) => sum + disk.readBytes, 0),
    0,
    'nothing changed is a generation too',
  );
  const [first] = images(at, 'raw');
  const { size, blocks } = await stat(first!);
  assert.equal(size, SIZES[0]);
  assert.ok(blocks * 512 < 8 * MiB, `what is zeros takes no room: ${blocks * 512} bytes`);
});

test(
  'VHDX images: seed and deltas, each exact as qemu-img reads them',
  requires(['qemu-img'], 'VHDX replicas as qemu reads them'),
  async () => {
    await using world = await World.open();
    const at = fresh('vhdx');
    const target = openTarget(`dir:${at}?format=vhdx`);
    for (let cycle = 0; cycle < 3; cycle += 1) {
      await world.write();
      const record = await world.cycle(target);
      assert.equal(record.disks[0]!.kind, cycle === 0 ? 'full' : 'delta');
      await world.assertExact(images(at, 'vhdx'), 'vhdx');
    }
    for (const path of images(at, 'vhdx')) await run('qemu-img', ['check', '-f', 'vhdx', path]);
  },
);

test(
  'NBD: qcow2 images behind qemu-nbd, one larger than its disk, seeded and kept up to date',
  requires(['qemu-nbd', 'qemu-img'], 'replicas behind an NBD server'),
  async () => {
    await using world = await World.open();
    const sockets = fresh('nbd');
    const paths: string[] = [];
    await using servers = new AsyncDisposableStack();
    for (const [index, size] of SIZES.entries()) {
      const path = `${sockets}-${index + 1}.qcow2`;
      await run('qemu-img', ['create', '-f', 'qcow2', path, String(Math.ceil(size / MiB) * MiB)]);
      servers.use(await qemuNbd(path, `${sockets}-${index + 1}.sock`));
      paths.push(path);
    }
    const target = openTarget(`nbd+unix:///?socket=${sockets}-{n}.sock`);
    for (let cycle = 0; cycle < 3; cycle += 1) {
      await world.write();
      const record = await world.cycle(target);
      assert.equal(record.disks[0]!.kind, cycle === 0 ? 'full' : 'delta');
    }
    await servers.disposeAsync();
    const raw: string[] = [];
    for (const [index, path] of paths.entries()) {
      const image = await asRaw(path, 'qcow2');
      await truncate(image, SIZES[index]);
      raw.push(image);
    }
    await world.assertExact(raw);
  },
);

async function qemuNbd(path: string, socket: string): Promise<AsyncDisposable> {
  const args = ['-t', '-f', 'qcow2', '-e', '8', '-k', socket, '--discard=unmap', path];
  const server = spawn('qemu-nbd', args, { stdio: 'ignore' });
  const exited = new Promise((resolve) => server.once('exit', resolve));
  while (!(await stat(socket).catch(() => undefined)) && server.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 20));
  return {
    async [Symbol.asyncDispose]() {
      server.kill();
      await exited;
    },
  };
}

test('a backup and two replicas of one VM each go on with a mark of their own', async () => {
  await using world = await World.open();
  const store = await openDirectoryStore(fresh('repository'), { create: true });
  const { repository } = await createRepository(store, { encryption: 'none' });
  const { source, hyperv } = world.stack;
  const resolveVm: typeof hyperv.vm = (vm, options) => hyperv.vm(vm, options);
  const backup = async (): Promise<string> => {
    const record = await backupVm(
      { source, repository, resolveVm },
      { vm: 'sql01', workers: 0, audit: 'off' },
    );
    return record.disks[0]!.kind;
  };
  const folders = [fresh('one'), fresh('two')];
  const targets = folders.map((at) => openTarget(`dir:${at}`));
  for (let round = 0; round < 2; round += 1) {
    const expected = round === 0 ? 'full' : 'delta';
    for (const [index, target] of targets.entries()) {
      await world.write();
      const record = await world.cycle(target);
      assert.equal(record.disks[0]!.kind, expected);
      await world.assertExact(images(folders[index]!, 'raw'));
    }
    await world.write();
    assert.equal(await backup(), expected);
  }
  assert.deepEqual(await world.onHost(), { points: 3, checkpoints: 0 });
});

test('what is on the target already is not written over, unless it is said to be a copy: then only differences are', async () => {
  await using world = await World.open();
  const at = fresh('copy');
  const target = openTarget(`dir:${at}`);
  await world.cycle(target);
  // The same copy for a replica whose state was lost.
  const stateFolder = fresh('state');
  await assert.rejects(world.cycle(target, { stateFolder }), { code: 'TARGET_OCCUPIED' });
  assert.equal((await world.onHost()).checkpoints, 0);
  const changed = await world.write();
  const record = await world.cycle(target, { stateFolder, over: 'existing' });
  assert.deepEqual(
    record.disks.map(({ kind }) => kind),
    ['compare', 'compare'],
  );
  const written = record.disks.reduce((sum, disk) => sum + disk.writtenBytes + disk.zeroedBytes, 0);
  assert.ok(written <= changed + 8 * 64 * KiB, `written ${written} for ${changed}`);
  await world.assertExact(images(at, 'raw'));
  await assert.rejects(world.cycle(target, { stateFolder, over: 'existing' }), { code: 'REPLICA_BEGUN' });
});

test('somebody else wrote to the replica: that disk is compared, the other goes on as a delta', async () => {
  await using world = await World.open();
  const at = fresh('touched');
  const target = openTarget(`dir:${at}`);
  await world.cycle(target);
  const [first] = images(at, 'raw');
  const bytes = await readFile(first!);
  bytes.fill(0xaa, 5 * MiB, 5 * MiB + 300);
  await writeFile(first!, bytes);
  await world.write();
  const record = await world.cycle(target);
  assert.deepEqual(
    record.disks.map(({ kind, reason }) => [kind, reason]),
    [
      ['compare', 'target-changed'],
      ['delta', 'changes-since-reference-point'],
    ],
  );
  await world.assertExact(images(at, 'raw'));
});

test('a target that is gone is refused before anything is changed, on the host and there', async () => {
  await using world = await World.open();
  const at = fresh('gone');
  const target = openTarget(`dir:${at}`);
  await world.cycle(target);
  await rm(images(at, 'raw')[1]!);
  const before = await world.onHost();
  await assert.rejects(world.cycle(target), { code: 'TARGET_DISK_MISSING' });
  assert.deepEqual(await world.onHost(), before);
  await assert.rejects(world.cycle(openTarget('nbd+unix:///?socket=/nowhere/{n}.sock')), {
    code: 'NBD_UNREACHABLE',
  });
  assert.equal((await world.onHost()).checkpoints, 0);
});

test('a disk that is added is seeded beside the deltas of the others; one that is removed is named and left', async () => {
  await using world = await World.open();
  const at = fresh('added');
  const target = openTarget(`dir:${at}`);
  await world.cycle(target);
  const { lab } = world.stack;
  const added = await lab.addDisk(world.vmId, { size: 4 * MiB, name: 'third' });
  await lab.guestWrite(world.vmId, { diskId: added.diskId, offset: MiB, length: 64 * KiB, seed: 9 });
  await world.write();
  const record = await world.cycle(target);
  assert.deepEqual(
    record.disks.map(({ kind }) => kind),
    ['delta', 'delta', 'full'],
  );
  await world.assertExact(images(at, 'raw'));
  const seal = (await lab.seals(world.vmId)).at(-1)!;
  assert.equal(await lab.compareImage(seal.id, added.diskId, join(at, 'sql01-disk3.raw')), null);
  await lab.detachDisk(world.vmId, world.diskIds[1]!);
  const without = await world.cycle(target);
  assert.deepEqual(
    without.warnings.map(({ code }) => code),
    ['REPLICA_DISK_LEFT'],
  );
  assert.ok(await stat(images(at, 'raw')[1]!));
});

test('a resized disk: raw files follow, a VHDX is refused before the checkpoint becomes a mark', async () => {
  await using world = await World.open();
  const [raw, vhdx] = [fresh('grown'), fresh('fixed')];
  const targets = [openTarget(`dir:${raw}`), openTarget(`dir:${vhdx}?format=vhdx`)] as const;
  for (const target of targets) await world.cycle(target);
  const { lab } = world.stack;
  await lab.resizeDisk(world.vmId, world.diskIds[0]!, 26 * MiB);
  await lab.guestWrite(world.vmId, { offset: 25 * MiB, length: 64 * KiB, seed: 3 });
  const record = await world.cycle(targets[0]);
  assert.deepEqual(
    record.disks.map(({ kind, reason }) => [kind, reason]),
    [
      ['compare', 'size-changed'],
      ['delta', 'changes-since-reference-point'],
    ],
  );
  await world.assertExact(images(raw, 'raw'));
  assert.equal((await stat(images(raw, 'raw')[0]!)).size, 26 * MiB);
  await assert.rejects(world.cycle(targets[1]), { code: 'TARGET_SIZE_FIXED' });
  assert.deepEqual(await world.onHost(), { points: 2, checkpoints: 0 });
});

test('through a repository: a disk added, removed, grown; each generation is exact, and so is each roll over it', async () => {
  await using world = await World.open();
  const at = fresh('via');
  const target = openTarget(`dir:${at}`);
  const store = await openDirectoryStore(fresh('repository'), { create: true });
  const { repository } = await createRepository(store, { encryption: 'none' });
  const { lab, source, hyperv } = world.stack;
  const deps = {
    source,
    repository,
    resolveVm: (vm: string) => hyperv.vm(vm),
    destroyReferencePoint: (which: Parameters<typeof hyperv.destroyReferencePoint>[0]) =>
      hyperv.destroyReferencePoint(which),
  };
  const { stateFolder } = world;
  const moments: { readonly point: string; readonly images: readonly Buffer[] }[] = [];
  const cycle = async (expected: readonly (readonly [kind: string, size: number])[]): Promise<void> => {
    await world.write();
    const record = await replicateVia(deps, { vm: 'sql01', target, stateFolder, workers: 0 });
    const seal = (await lab.seals(world.vmId)).at(-1)!;
    const kept: Buffer[] = [];
    for (const { diskId, place } of record.disks) {
      assert.equal(await lab.compareImage(seal.id, diskId, place), null, place);
      kept.push(await readFile(place));
    }
    const seen = record.disks.map(({ kind, virtualBytes }) => [kind, virtualBytes]);
    assert.deepEqual(seen, expected);
    moments.push({ point: record.point!.id, images: kept });
  };
  const [first, second] = SIZES as [number, number];
  await cycle([
    ['full', first],
    ['full', second],
  ]);
  const added = await lab.addDisk(world.vmId, { size: 4 * MiB, name: 'third' });
  await lab.guestWrite(world.vmId, { diskId: added.diskId, offset: MiB, length: 64 * KiB, seed: 9 });
  await cycle([
    ['delta', first],
    ['delta', second],
    ['full', 4 * MiB],
  ]);
  await lab.resizeDisk(world.vmId, world.diskIds[0]!, 26 * MiB);
  await lab.guestWrite(world.vmId, { offset: 25 * MiB, length: 64 * KiB, seed: 3 });
  await cycle([
    ['delta', 26 * MiB],
    ['delta', second],
    ['delta', 4 * MiB],
  ]);
  await lab.detachDisk(world.vmId, added.diskId);
  await cycle([
    ['delta', 26 * MiB],
    ['delta', second],
  ]);
  const { id } = await hyperv.vm('sql01');
  for (const index of [2, 0, 3, 1, 2]) {
    const { point: pointId, images: wanted } = moments[index]!;
    const point = await repository.point(pointId);
    const to = { kind: 'point', repository, point } as const;
    const state = { vm: { id, name: 'sql01' }, target: target.address } as ReplicaState;
    const rolled = await rollReplica({ replica: { state }, stateFolder, target, to, workers: 0 });
    for (const [disk, { place }] of rolled.disks.entries())
      assert.ok((await readFile(place)).equals(wanted[disk]!), `${place} in moment ${index}`);
  }
});

test('a target that is full while a generation is brought to it: the generation stands, and is brought when there is room', async () => {
  await using world = await World.open();
  const at = fresh('full');
  const target = openTarget(`dir:${at}`);
  await world.cycle(target);
  await world.write();
  const full = failing(target, () => diskFaults.noSpace({ path: at }));
  await assert.rejects(world.cycle(full), { code: 'DISK_NO_SPACE' });
  assert.deepEqual(await world.onHost(), { points: 1, checkpoints: 0 });
  const { id, name } = await world.stack.hyperv.vm('sql01');
  {
    await using replica = await Replica.hold(world.stateFolder, {
      vm: { id, name },
      target: target.address,
    });
    assert.equal(replica.state.phase, 'staged');
    assert.equal(await settleTarget(replica, target, { advance() {} }), true);
  }
  await world.assertExact(images(at, 'raw'));
  await world.write();
  await assert.rejects(world.cycle(full), { code: 'DISK_NO_SPACE' });
  // The staging is part of the generation: without it nothing is said to be one, and nothing is written.
  const staging = join(world.stateFolder, replicaId(id, target.address), 'staging');
  await rename(staging, `${staging}-away`);
  await assert.rejects(world.cycle(target), { code: 'REPLICA_STAGING_LOST' });
  await rename(`${staging}-away`, staging);
  await world.write();
  const next = await world.cycle(target);
  assert.deepEqual([next.generation, next.resumed, next.disks[0]!.kind], [4, true, 'delta']);
  await world.assertExact(images(at, 'raw'));
});

/** Every write to a disk that is there already fails. */
function failing(target: Target, fault: () => Error): Target {
  const failingDisk = async (...args: Parameters<Target['openDisk']>): ReturnType<Target['openDisk']> => {
    const disk = await target.openDisk(...args);
    return new Proxy(disk, {
      get(inner, name) {
        if (name === 'write') return () => Promise.reject(fault());
        const value: unknown = Reflect.get(inner, name, inner);
        return typeof value === 'function' ? value.bind(inner) : value;
      },
    });
  };
  return new Proxy(target, {
    get(inner, name) {
      if (name === 'openDisk') return failingDisk;
      const value: unknown = Reflect.get(inner, name, inner);
      return typeof value === 'function' ? value.bind(inner) : value;
    },
  });
}

test('cut at every step of the hand-over: the host keeps one mark of the replica after the next cycle, which is a delta', async () => {
  await using world = await World.open();
  const at = fresh('handover');
  const target = openTarget(`dir:${at}`);
  await world.cycle(target);
  let cuts = 0;
  for (let cut = 0; ; cut += 1) {
    await world.write();
    const saves = await savesUntil(cut, () => world.cycle(target));
    if (saves <= cut) break;
    cuts += 1;
    await world.write();
    const { disks } = await world.cycle(target);
    assert.deepEqual([disks[0]!.kind, disks[1]!.kind], ['delta', 'delta'], `cut at save ${cut}`);
    await world.assertExact(images(at, 'raw'));
    assert.deepEqual(await world.onHost(), { points: 1, checkpoints: 0 }, `cut at save ${cut}`);
  }
  assert.ok(cuts >= 6, `${cuts} changes of the state in a cycle`);
});

/** Lets `count` changes of the state through, and none after them, as when the program is killed there. Counts those tried. */
async function savesUntil(count: number, work: () => Promise<unknown>): Promise<number> {
  const save = Replica.prototype.save; // oxlint-disable-line typescript/unbound-method
  let tried = 0;
  Replica.prototype.save = function (changes) {
    tried += 1;
    return tried > count ? Promise.reject(new Error('killed')) : save.call(this, changes);
  };
  try {
    await work().catch(() => {});
    return tried;
  } finally {
    Replica.prototype.save = save;
  }
}

test('a second run of the same replica is refused while the first one works', async () => {
  await using world = await World.open();
  const target = openTarget(`dir:${fresh('twice')}`);
  const [first, second] = await Promise.allSettled([world.cycle(target), world.cycle(target)]);
  const refused = [first, second].filter((each) => each.status === 'rejected');
  assert.equal(refused.length, 1);
  assert.equal((refused[0]!.reason as { code?: string }).code, 'REPLICA_BUSY');
});

test('a cancelled cycle leaves the replica at its generation and nothing on the host', async () => {
  await using world = await World.open();
  const at = fresh('cancelled');
  const target = openTarget(`dir:${at}`);
  await world.cycle(target);
  const before = await Promise.all(images(at, 'raw').map((path) => readFile(path)));
  await world.write();
  const gone = new AbortController();
  const progress = {
    phase: (name: string): void => {
      if (name.startsWith('delta')) gone.abort(new Error('enough'));
    },
    advance() {},
    note() {},
  };
  await assert.rejects(world.cycle(target, { signal: gone.signal, progress }), /enough/);
  assert.deepEqual(await world.onHost(), { points: 1, checkpoints: 0 });
  const now = await Promise.all(images(at, 'raw').map((path) => readFile(path)));
  assert.ok(now.every((bytes, index) => bytes.equals(before[index]!)));
  assert.equal((await world.cycle(target)).disks[0]!.kind, 'delta');
  await world.assertExact(images(at, 'raw'));
});
