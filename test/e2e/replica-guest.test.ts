/**
 * A real guest moves: it runs on the emulated host and writes files all the time, its replica follows it, is rehearsed, and takes its
 * place, in a real libvirtd and in QEMU alone. Whatever it wrote before it was shut down is there with its hash, and the replica is to
 * the byte what its disks held.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, glob as globFiles, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import type { SealState, VmInfo } from '../../lab/model/index.ts';
import { makeGuestImages } from '../../lab/guest-qemu/index.ts';
import { formatBytes, MiB } from '../../src/base/index.ts';
import { Libvirtd } from '../../src/hypervisors/libvirtd.fixture.ts';
import { CliHome, LabProcess } from './cli.fixture.ts';
import { requiresGuest, SerialLog, startLabGuest } from './guest.fixture.ts';

const exec = promisify(execFile);

async function glob(cwd: string, pattern: string): Promise<string[]> {
  return (await Array.fromAsync(globFiles(pattern, { cwd }))).map((path) => join(cwd, path));
}

const NEEDS = requiresGuest(['qemu-img'], 'a real guest moved from the emulated host to QEMU');
const NEEDS_LIBVIRT = requiresGuest(
  ['qemu-img', 'libvirtd', 'virsh'],
  'a real guest rehearsed in libvirt, and moved there',
);

const folder = await mkdtemp(join(tmpdir(), 'hvlift-move-'));
const images = [join(folder, 'system.raw'), join(folder, 'files.raw')] as const;
let lab: LabProcess;
before(async () => {
  if (NEEDS.skip !== undefined) return;
  await makeGuestImages(...images);
  lab = await LabProcess.start();
});
after(async () => {
  await rm(folder, { recursive: true, force: true });
  await lab?.[Symbol.asyncDispose]();
});

interface Source {
  /** What runs it when it has moved, as `--on` has it. */
  readonly on: string;
  readonly home: CliHome;
  readonly vm: VmInfo;
  readonly serial: SerialLog;
}

/** The guest has written two more files. */
async function writesOn({ serial }: Source): Promise<void> {
  await serial.said(`WROTE ${(await serial.written()) + 2}\n`);
}

/** A cycle, once there is something for it. Every disk comes as `kind`, frozen by VSS. */
async function cycle(source: Source, kind: 'full' | 'delta'): Promise<{ readonly generation: number }> {
  const { home, vm } = source;
  await writesOn(source);
  const run = await home.run('replicate', vm.name, '--to', `dir:./${vm.name}`, '--json');
  const [record] = run.json().cycles;
  assert.notEqual(record.outcome, 'failed', run.stderr);
  assert.equal(record.consistency.reached, 'application', run.stdout);
  assert.deepEqual(
    record.disks.map((disk: { kind: string }) => disk.kind),
    vm.disks.map(() => kind),
  );
  return record;
}

/** The guest of the source writes on, and a cycle comes in between: what starts is the generation of before. */
async function rehearse(t: TestContext, source: Source): Promise<void> {
  const { on, home, vm, serial } = source;
  const written = await serial.written();
  await cycle(source, 'delta');
  const machine = ['--on', on, '--convert', 'none', '--no-secure-boot', '--folder', '.', '--keep'];
  const sign = ['--until-serial', 'GUEST-READY', '--time-limit', '150s'];
  const running = home.start(['rehearse', vm.name, ...machine, ...sign, '--json', '--progress', 'json']);
  await running.said('waiting for');
  const meanwhile = await cycle(source, 'delta');
  const run = await running.ended;
  const { result, seconds, kept } = run.json();
  assert.equal(result, 'healthy', run.stderr);
  const found = await new SerialLog(join(kept.folder, 'serial.log')).checked();
  assert.ok(found.good >= written && found.bad === 0, `${JSON.stringify(found)} of at least ${written}`);
  await home.ok('rehearse', vm.name, '--end');
  assert.deepEqual(await glob(home.folder, 'rehearsal-*'), [], 'nothing is left of it');
  t.diagnostic(
    `${vm.name}: rehearsed in ${seconds.health.toFixed(1)} s with ${found.good} files; meanwhile generation ${meanwhile.generation}`,
  );
}

async function cutOver(t: TestContext, { on, home, vm, serial }: Source): Promise<void> {
  const machine = ['--on', on, '--folder', '.', '--convert', 'none', '--no-secure-boot'];
  const health = ['--until-serial', 'GUEST-READY', '--probe-time', '150s'];
  const run = await home.ok(
    'cutover', vm.name, ...machine, ...health, '--verify', 'full', '--yes', '--commit', '--json',
  ); // oxfmt-ignore
  const record = run.json();
  assert.equal(record.step, 'committed', run.stdout);
  assert.equal((await lab.client.vm(vm.id)).power, 'off');
  assert.match(await serial.text(), /GUEST-OFF/, 'it was shut down, not cut off');
  const there = new SerialLog(home.path(`cutover-${record.replica.slice(0, 8)}`, 'serial.log'));
  const written = await serial.written();
  assert.deepEqual(await there.checked(), { good: written, bad: 0 });
  const { final, downtimeSeconds, offSeconds, healthySeconds } = record;
  t.diagnostic(
    `${vm.name}: ${written} files moved; final delta ${formatBytes(final.changedBytes)} in ${final.seconds.toFixed(1)} s; ` +
      `from asking the guest to the start there ${downtimeSeconds.toFixed(1)} s, ${offSeconds.toFixed(1)} s of it off; ` +
      `ready ${healthySeconds.toFixed(1)} s later`,
  );
}

/** Whatever runs on the other side when a test ends. */
async function endMachines(home: CliHome): Promise<void> {
  for (const path of await glob(home.folder, '*/*/qemu.pid')) {
    const { stdout } = await exec('ps', ['-o', 'comm=', '-p', (await readFile(path, 'utf8')).trim()]).catch(
      () => ({ stdout: '' }),
    );
    if (stdout.startsWith('qemu')) process.kill(Number(await readFile(path, 'utf8')), 'SIGKILL');
  }
}

const SUPERBLOCK = MiB + 1024;
/** In `s_feature_incompat` of ext4: its journal has to be replayed first. */
const RECOVER = 4;

async function needsRecovery(seal: SealState, { diskId }: VmInfo['disks'][number]): Promise<boolean> {
  const superblock = await lab.client.truthRead(seal.id, { diskId, offset: SUPERBLOCK, length: 1024 });
  return (Buffer.from(superblock).readUInt32LE(0x60) & RECOVER) !== 0;
}

/** On the second disk, whose file system begins at its first MiB. The negative is an instant nobody announced to the guest. */
async function wasFrozen({ vm }: Source): Promise<void> {
  const unannounced = await lab.client.mark(vm.id);
  assert.ok(await needsRecovery(unannounced, vm.disks[1]!), 'the guest has its file system mounted');
  const checkpoints = (await lab.client.seals(vm.id)).filter(({ kind }) => kind === 'recovery');
  assert.ok(checkpoints.length > 0);
  for (const seal of checkpoints) assert.ok(!(await needsRecovery(seal, vm.disks[1]!)), 'frozen as a whole');
}

/** The images of the replica, which the machine on the other side only reads, against what the disks of the VM held. */
async function equalsTruth({ home, vm }: Source): Promise<void> {
  const program = join(import.meta.dirname, '..', '..', 'bin', 'hvlift.js');
  const labFolder = ['--folder', join(lab.address.controlTokenFile, '..')];
  for (const [index, { diskId }] of vm.disks.entries()) {
    const truth = join(folder, `${diskId}.raw`);
    await exec(process.execPath, [program, 'lab', 'truth', 'export', 'now', diskId, truth, ...labFolder]);
    const replica = home.path(vm.name, `${vm.name}-disk${index + 1}.raw`);
    const { stdout } = await exec('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', truth, replica]);
    assert.match(stdout, /identical/);
    await rm(truth);
  }
}

/** It tries every QEMU there is when it is first asked: that is done while the guest starts. */
async function startLibvirtd(): Promise<Libvirtd & { readonly known: Promise<unknown> }> {
  const libvirtd = await Libvirtd.start();
  const uri = libvirtd.address.slice('libvirt:'.length);
  const known = exec('virsh', ['--connect', uri, 'capabilities']);
  return Object.assign(libvirtd, { known });
}

/** libvirtd is another user, where the test is root: it reads the replica, and writes to its clone. */
async function letOthersIn(home: CliHome): Promise<Disposable> {
  await chmod(home.folder, 0o711);
  const umask = process.umask(0);
  return { [Symbol.dispose]: () => void process.umask(umask) };
}

test(
  'a guest of BIOS with two disks is replicated while it writes, rehearsed, and cut over to libvirt: every file is there',
  NEEDS_LIBVIRT,
  async (t) => {
    await using home = await CliHome.open(lab, 'plain');
    await using libvirtd = await startLibvirtd();
    using _others = await letOthersIn(home);
    const guest = await startLabGuest(lab, { name: 'old', generation: 1 }, images);
    const source = { on: libvirtd.address, home, ...guest };
    await cycle(source, 'full');
    for (let n = 0; n < 2; n += 1) await cycle(source, 'delta');
    await libvirtd.known;
    await rehearse(t, source);
    await cycle(source, 'delta');
    await wasFrozen(source);
    await cutOver(t, source);
    await equalsTruth(source);
  },
);

test('a guest of UEFI is cut over to QEMU, after fewer cycles', NEEDS, async (t) => {
  await using home = await CliHome.open(lab, 'plain');
  try {
    const guest = await startLabGuest(lab, { name: 'new', generation: 2 }, images);
    const source = { on: 'qemu:./machines', home, ...guest };
    await cycle(source, 'full');
    await cycle(source, 'delta');
    await cutOver(t, source);
    await equalsTruth(source);
  } finally {
    await endMachines(home);
  }
});
