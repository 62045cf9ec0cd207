/** Rehearsals with a real QEMU: the replica stays what it is, cycles go on, and nothing is left, whatever dies. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { KiB, MiB, silentProgress, sleep } from '../base/index.ts';
import { createReplicateEngine } from '../cli/replicate-engine.ts';
import { openHypervisor } from '../hypervisors/index.ts';
import { Libvirtd } from '../hypervisors/libvirtd.fixture.ts';
import { bootSector, READY, removeWithMachines } from '../hypervisors/tiny-guest.fixture.ts';
import { openTarget, type Target } from '../targets/index.ts';
import { endKeptRehearsal } from './rehearsal-end.ts';
import { CutoverWorld } from './cutover-world.fixture.ts';
import { readNote, readRehearsals, writeNote } from './rehearsal-note.ts';
import type { RehearseRequest } from './rehearsal-begin.ts';
import { rehearse } from './rehearse.ts';
import { ReplicaClone } from './replica-clone.ts';
import { rehearsalUuid } from './replica-machine.ts';
import { findReplica, type KnownReplica } from './replicate-state.ts';
import { Fate, MemoryVm } from './replicate-world.fixture.ts';
import { replicateVm, type ReplicateRecord } from './replicate.ts';

const withQemu = requires(['qemu-system-x86_64'], 'a replica is rehearsed in QEMU');
const SIZE = 4 * MiB;
const SERIAL = { kind: 'serial', text: READY } as const;

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'hvlift-reh-'));
  // libvirt runs as another user.
  await chmod(root, 0o711);
});
after(() => removeWithMachines(root));

/** A VM of one disk with the tiny guest on it, and its replica in files. */
class World {
  readonly vm = new MemoryVm(new Fate(), [SIZE]);
  readonly folder: string;
  readonly #format: string;

  constructor(name: string, format = 'raw') {
    this.folder = join(root, name);
    this.#format = format;
  }

  async seed(): Promise<this> {
    await mkdir(this.folder);
    await this.vm.write(0, 0, bootSector());
    await this.vm.write(0, MiB, Buffer.alloc(64 * KiB, 1));
    await this.cycle();
    return this;
  }

  get target(): Target {
    return openTarget(`dir:${join(this.folder, 'target')}?format=${this.#format}`);
  }

  get stateFolder(): string {
    return join(this.folder, 's');
  }

  cycle(): Promise<ReplicateRecord> {
    const { vm, target, stateFolder } = this;
    return replicateVm({ source: vm, resolveVm: async () => vm.vm }, { vm: 'web01', target, stateFolder });
  }

  replica(): Promise<KnownReplica> {
    return findReplica(this.stateFolder, 'web01');
  }

  async rehearse(changes: Partial<RehearseRequest> = {}): ReturnType<typeof rehearse> {
    const { target, stateFolder } = this;
    return rehearse({
      replica: await this.replica(),
      stateFolder,
      target,
      on: 'qemu',
      probe: SERIAL,
      limitMs: 120_000,
      conversion: 'compatible',
      choices: { memoryMiB: 32 },
      ...changes,
    });
  }

  get image(): string {
    return join(this.folder, 'target', `web01-disk1.${this.#format}`);
  }

  async hash(): Promise<string> {
    return createHash('sha256')
      .update(await readFile(this.image))
      .digest('hex');
  }

  /** Of a replica that is raw: what the VM's disk holds now, or held when a cycle ran. */
  async assertHolds({ runId }: ReplicateRecord): Promise<void> {
    const was = Buffer.alloc(SIZE);
    await [...this.vm.truth.get(runId!)!.values()][0]!.read(0, was);
    assert.ok((await readFile(this.image)).equals(was), 'the replica is what the VM held');
  }

  async assertNothingLeft(): Promise<void> {
    const { folder } = await this.replica();
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('rehearsal') && name !== 'rehearsals.json'),
      [],
    );
  }
}

for (const format of ['raw', 'vhdx'])
  test(
    `the guest of a rehearsal writes, and the replica in ${format} stays as it was; it is measured, and nothing is left`,
    withQemu,
    async () => {
      const world = await new World(`writes-${format}`, format).seed();
      const before = await world.hash();
      const run = await world.rehearse();
      assert.equal(run.result, 'healthy', run.reason);
      assert.equal(await world.hash(), before);
      for (const part of ['clone', 'start', 'health'] as const) assert.ok(run.seconds[part]! > 0, part);
      await world.assertNothingLeft();
      const { folder, id } = await world.replica();
      const [kept] = await readRehearsals(folder);
      const { replica, vm: _vm, warnings: _warnings, ...record } = run;
      assert.deepEqual([kept, replica], [record, id]);
      assert.equal((await world.cycle()).disks[0]!.kind, 'delta');
    },
  );

test(
  'cycles go on while a rehearsal runs: one is complete in its staging, the next waits, and both are exact afterwards',
  withQemu,
  async () => {
    const world = await new World('meanwhile').seed();
    const kept = await world.rehearse({ keep: true });
    const before = await world.hash();
    await world.vm.write(0, 2 * MiB, Buffer.alloc(64 * KiB, 2));
    const second = await world.cycle();
    assert.deepEqual(
      [second.generation, second.warnings.map(({ code }) => code)],
      [2, ['REPLICA_BROUGHT_LATER']],
    );
    assert.equal(await world.hash(), before, 'nothing changes below the machine');
    await world.vm.write(0, 3 * MiB, Buffer.alloc(64 * KiB, 3));
    await assert.rejects(world.cycle(), { code: 'REPLICA_REHEARSED', kind: 'retry' });
    assert.equal(await world.hash(), before, 'nothing changes below the machine');
    await assert.rejects(world.rehearse(), { code: 'REHEARSAL_KEPT' });

    const hypervisor = await openHypervisor(kept.hypervisor);
    assert.equal(await hypervisor.state(kept.kept!.machine), 'running');
    await endKeptRehearsal(await world.replica());
    assert.equal(await hypervisor.state(kept.kept!.machine), 'absent');
    await world.assertNothingLeft();
    const third = await world.cycle();
    assert.deepEqual([third.generation, third.resumed, third.disks[0]!.kind], [3, true, 'delta']);
    await world.assertHolds(third);
    const after = await world.rehearse();
    assert.deepEqual([after.generation, after.result], [3, 'healthy']);
    await world.assertHolds(third);
  },
);

test(
  'a replica that others wrote to is not rehearsed, nor one whose machine cannot be had as it is asked for; nothing is left',
  withQemu,
  async () => {
    const world = await new World('refused').seed();
    await writeFile(world.image, Buffer.alloc(SIZE, 9));
    await assert.rejects(world.rehearse(), { code: 'REHEARSAL_TARGET_CHANGED' });
    await world.assertNothingLeft();
    const repaired = await world.cycle();
    assert.equal(repaired.disks[0]!.reason, 'target-changed');
    await world.assertHolds(repaired);
    await assert.rejects(world.rehearse({ probe: { kind: 'port', port: 22 } }), {
      code: 'REHEARSAL_NO_ADAPTER',
    });
    const nobody = 'libvirt:qemu+unix:///session?socket=/nowhere/libvirt-sock';
    await assert.rejects(world.rehearse({ on: nobody }), { code: /^HYPERVISOR_(UNREACHABLE|NO_VIRSH)$/ });
    await world.assertNothingLeft();
  },
);

test(
  'a guest that gives no sign is told of and removed, and so is one of a rehearsal that is cancelled',
  withQemu,
  async () => {
    const world = await new World('unhealthy').seed();
    const silent = await world.rehearse({ probe: { kind: 'serial', text: 'never said' }, limitMs: 3_000 });
    assert.deepEqual(
      [silent.result, (silent.error as { code: string }).code],
      ['unhealthy', 'REHEARSAL_UNHEALTHY'],
    );
    await world.assertNothingLeft();
    const running = await world.rehearse({ probe: { kind: 'running' }, limitMs: 1_500 });
    assert.equal(running.result, 'healthy');
    const stopped = new AbortController();
    const cancelled = world.rehearse({
      probe: { kind: 'serial', text: 'never said' },
      signal: stopped.signal,
    });
    setTimeout(() => stopped.abort(), 2_500);
    const run = await cancelled.catch((error: Error) => ({ result: error.name, hypervisor: '' }));
    assert.ok(['cancelled', 'AbortError'].includes(run.result), run.result);
    await world.assertNothingLeft();
    const { folder } = await world.replica();
    const results = (await readRehearsals(folder)).map(({ result }) => result);
    assert.deepEqual(results.slice(0, 2), ['unhealthy', 'healthy']);
  },
);

test(
  'a rehearsal that was killed is found by the next one: its machine and its clone go, and cycles were never held up',
  withQemu,
  async () => {
    const world = await new World('killed').seed();
    const code = `
    import { openTarget } from ${JSON.stringify(join(import.meta.dirname, '../targets/index.ts'))};
    import { rehearse } from ${JSON.stringify(join(import.meta.dirname, 'rehearse.ts'))};
    import { findReplica } from ${JSON.stringify(join(import.meta.dirname, 'replicate-state.ts'))};
    const stateFolder = ${JSON.stringify(world.stateFolder)};
    await rehearse({
      replica: await findReplica(stateFolder, 'web01'), stateFolder, target: openTarget(${JSON.stringify(world.target.address)}),
      on: 'qemu', probe: { kind: 'serial', text: 'never said' }, limitMs: 600_000, conversion: 'compatible', choices: { memoryMiB: 32 },
    });`;
    const child = spawn(process.execPath, ['-C', 'source', '--input-type=module', '-e', code], {
      stdio: 'inherit',
    });
    const { folder, id } = await world.replica();
    const signal = AbortSignal.timeout(60_000);
    const ended = once(child, 'exit');
    let note = await readNote({ id, folder });
    for (
      ;
      !note || !existsSync(join(note.folder, rehearsalUuid(id).slice(0, 8), 'qmp.sock'));
      note = await readNote({ id, folder })
    )
      await sleep(50, signal);
    child.kill('SIGKILL');
    await ended;
    const hypervisor = await openHypervisor(note.hypervisor);
    assert.equal(await hypervisor.state(note.machine), 'running');
    await world.vm.write(0, 2 * MiB, Buffer.alloc(64 * KiB, 2));
    const cycle = await world.cycle();
    assert.deepEqual([cycle.generation, cycle.warnings], [2, []]);
    await world.assertHolds(cycle);
    const run = await world.rehearse();
    assert.deepEqual([run.result, run.generation], ['healthy', 2]);
    await world.assertHolds(cycle);
    await world.assertNothingLeft();
  },
);

test(
  'libvirt rehearses too: the domain is gone afterwards, and the replica as it was',
  requires(['libvirtd', 'virsh', 'qemu-system-x86_64'], 'a replica is rehearsed in libvirt'),
  async () => {
    const umask = process.umask(0);
    try {
      const world = await new World('libvirt').seed();
      await using libvirtd = await Libvirtd.start();
      const before = await world.hash();
      const on = libvirtd.address;
      const kept = await world.rehearse({ on, folder: libvirtd.folder, keep: true });
      assert.equal(kept.result, 'healthy', kept.reason);
      const hypervisor = await openHypervisor(on);
      assert.equal(await hypervisor.state(kept.kept!.machine), 'running');
      await endKeptRehearsal(await world.replica());
      assert.equal(await hypervisor.state(kept.kept!.machine), 'absent');
      assert.equal(await world.hash(), before);
      await world.assertNothingLeft();
    } finally {
      process.umask(umask);
    }
  },
);

test('a cutover does not begin over a machine that was kept: the last delta could not be brought below it', async () => {
  const world = await CutoverWorld.open(join(root, 'cutover'), [512 * KiB]);
  const replica = await world.replica();
  const machine = rehearsalUuid(replica.id);
  const note = {
    machine,
    hypervisor: `qemu:${root}`,
    folder: join(root, 'gone'),
    generation: 1,
    startedAt: '',
  };
  await writeNote(replica, { ...note, kept: true });
  await assert.rejects(world.cutOver({ commit: true }), { code: 'REHEARSAL_KEPT' });
  assert.equal(world.vm.state, 'running');
  await endKeptRehearsal(replica);
  assert.equal((await world.cutOver({ commit: true })).step, 'committed');
  await assert.rejects(endKeptRehearsal(replica), { code: 'REHEARSAL_NONE' });
});

test(
  'whatever step a rehearsal died at, what it made goes with the next list of replicas',
  withQemu,
  async () => {
    const world = await new World('steps').seed();
    const engine = createReplicateEngine(world.stateFolder);
    const task = { signal: new AbortController().signal, progress: silentProgress };
    const known = await world.replica();
    const { target } = world;
    const clone = new ReplicaClone({
      target,
      purpose: 'rehearsal',
      folder: known.folder,
      conversion: 'compatible',
    });
    const hypervisor = await openHypervisor(`qemu:${clone.folderOf(known)}`);
    const { machine } = clone.describe(known);
    const steps = [
      async () => {},
      () => clone.make(known),
      () => hypervisor.define({ ...machine, memoryMiB: 32 }),
      () => hypervisor.start(machine.uuid),
    ];
    for (const died of steps.keys()) {
      const { uuid, owner } = machine;
      await writeNote(known, {
        machine: uuid,
        hypervisor: hypervisor.address,
        folder: clone.folderOf(known),
        generation: owner.generation,
        startedAt: '2026-11-23T08:00:00.000Z',
      });
      for (const step of steps.slice(0, died + 1)) await step();
      const [listed] = await engine.replicas({}, task);
      assert.equal(listed!.rehearsal, undefined);
      assert.equal(await hypervisor.state(uuid), 'absent', `step ${died}`);
      await world.assertNothingLeft();
    }
  },
);

test(
  'when the machine cannot be removed, what was found out is told all the same, and it is removed later',
  withQemu,
  async () => {
    const world = await new World('stuck').seed();
    const running = world.rehearse({ probe: { kind: 'serial', text: 'never said' } });
    const { folder, id } = await world.replica();
    const machine = join(folder, `rehearsal-${id.slice(0, 8)}`, rehearsalUuid(id).slice(0, 8));
    const signal = AbortSignal.timeout(60_000);
    while (!existsSync(join(machine, 'qmp.sock'))) await sleep(20, signal);
    const definition = await readFile(join(machine, 'machine.json'), 'utf8');
    await writeFile(join(machine, 'machine.json'), '{');
    const run = await running;
    assert.equal(run.result, 'failed');
    assert.ok(run.warnings.some(({ code }) => code === 'REHEARSAL_NOT_ENDED'));
    assert.equal((await readRehearsals(folder)).length, 1);
    await writeFile(join(machine, 'machine.json'), definition);
    await endKeptRehearsal(await world.replica());
    await world.assertNothingLeft();
  },
);

test('a note of a rehearsal that is damaged is told of, and nothing is brought below what may run', async () => {
  const world = await new World('note').seed();
  const known = await world.replica();
  await writeFile(join(known.folder, 'rehearsal.json'), '{"machine": 1}');
  const before = await world.hash();
  await world.vm.write(0, 2 * MiB, Buffer.alloc(64 * KiB, 2));
  await assert.rejects(world.cycle(), { code: 'REHEARSAL_NOTE_UNREADABLE' });
  assert.equal(await world.hash(), before);
  await rm(join(known.folder, 'rehearsal.json'));
  const next = await world.cycle();
  assert.deepEqual([next.generation, next.resumed], [3, true]);
});

test('a replica behind TLS is refused before anything is made: QEMU would read it unencrypted, or not at all', async () => {
  const world = await new World('tls').seed();
  const target = openTarget('nbds://localhost/web01-{n}');
  const clone = new ReplicaClone({
    target,
    purpose: 'rehearsal',
    folder: world.folder,
    conversion: 'compatible',
  });
  const replica = await world.replica();
  await assert.rejects(clone.plan(replica), { code: 'TARGET_NOT_READ_BY_QEMU' });
  assert.equal(existsSync(clone.folderOf(replica)), false);
});

test(
  'a replica behind an NBD server is rehearsed as well, over the same export that cycles write to',
  requires(['qemu-system-x86_64', 'qemu-nbd'], 'a replica behind an NBD server is rehearsed'),
  async () => {
    const folder = join(root, 'nbd');
    await mkdir(folder);
    const [image, socket] = [join(folder, 'image.raw'), join(folder, 'sock')];
    await writeFile(image, Buffer.alloc(SIZE));
    const server = spawn('qemu-nbd', ['-f', 'raw', '-x', 'web01-1', '-k', socket, '-t', '-e', '8', image]);
    try {
      const signal = AbortSignal.timeout(10_000);
      while (!existsSync(socket)) await sleep(20, signal);
      class NbdWorld extends World {
        override get target(): Target {
          return openTarget(`nbd+unix:///web01-{n}?socket=${socket}`);
        }
        override get image(): string {
          return image;
        }
      }
      const world = await new NbdWorld('nbd-world').seed();
      const before = await world.hash();
      const run = await world.rehearse({ keep: true });
      assert.equal(run.result, 'healthy', run.reason);
      await world.vm.write(0, 2 * MiB, Buffer.alloc(64 * KiB, 2));
      assert.deepEqual(
        (await world.cycle()).warnings.map(({ code }) => code),
        ['REPLICA_BROUGHT_LATER'],
      );
      assert.equal(await world.hash(), before);
      await endKeptRehearsal(await world.replica());
      await world.assertHolds(await world.cycle());
      await world.assertNothingLeft();
    } finally {
      const ended = once(server, 'exit');
      server.kill();
      await ended;
    }
  },
);
