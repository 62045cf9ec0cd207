/** Domains of a real libvirtd: defined, run and removed by virsh, and those of others left alone. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { libvirtDomain } from '../machines/index.ts';
import { assertBoots, assertRunsMachines, assertSpares } from './conformance.ts';
import { openHypervisor, type Hypervisor, type OwnedMachine } from './index.ts';
import { Libvirtd } from './libvirtd.fixture.ts';
import { TINY_ID, tinyMachine, writeTinyDisk } from './tiny-guest.fixture.ts';

const withLibvirt = requires(['libvirtd', 'virsh', 'qemu-system-x86_64'], 'machines run by libvirt');

let libvirtd: Libvirtd;
let hypervisor: Hypervisor;
before(async () => {
  if (withLibvirt.skip) return;
  libvirtd = await Libvirtd.start();
  hypervisor = await openHypervisor(libvirtd.address);
});
after(() => libvirtd?.[Symbol.asyncDispose]());

async function machineOn(name: string, changes: Partial<OwnedMachine> = {}): Promise<OwnedMachine> {
  const disk = join(libvirtd.folder, `${name}.raw`);
  await writeTinyDisk(disk);
  await chmod(disk, 0o666);
  return tinyMachine(disk, { name, ...changes });
}

function virsh(...command: string[]): string {
  const uri = libvirtd.address.slice('libvirt:'.length);
  const run = spawnSync('virsh', ['--quiet', '--connect', uri, ...command], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout;
}

test(
  'a domain is defined, started, shut down, cut off and forgotten, and every step may be repeated',
  withLibvirt,
  async () => {
    const umask = process.umask(0);
    try {
      await assertRunsMachines(hypervisor, libvirtd.folder);
    } finally {
      process.umask(umask);
    }
    assert.equal(virsh('list', '--all', '--name').trim(), '');
  },
);

test(
  'a domain of somebody else, by its uuid or its name, is refused and untouched',
  withLibvirt,
  async () => {
    const machine = await machineOn('theirs');
    const path = join(libvirtd.folder, 'theirs.xml');
    await writeFile(path, libvirtDomain(machine, { accelerator: 'tcg' }));
    virsh('define', path);
    const before = virsh('dumpxml', TINY_ID);
    await assertSpares(hypervisor, machine);
    await assertSpares(hypervisor, { ...machine, name: 'another' });
    await assertSpares(hypervisor, { ...machine, uuid: TINY_ID.replace('5a0e', 'ffff') });
    for (const call of ['start', 'undefine'] as const)
      await assert.rejects(hypervisor[call](TINY_ID), { code: 'HYPERVISOR_FOREIGN_MACHINE' });
    virsh('start', TINY_ID);
    for (const call of ['shutDown', 'powerOff', 'undefine'] as const)
      await assert.rejects(hypervisor[call](TINY_ID), { code: 'HYPERVISOR_FOREIGN_MACHINE' });
    assert.equal(await hypervisor.state(TINY_ID), 'running');
    virsh('destroy', TINY_ID);
    assert.equal(virsh('dumpxml', TINY_ID), before);
    virsh('undefine', TINY_ID);
  },
);

test('a domain of another replica is refused, one of ours is replaced', withLibvirt, async () => {
  const machine = await machineOn('a <b> & "c"');
  await hypervisor.define(machine);
  await assertSpares(hypervisor, { ...machine, owner: { ...machine.owner, replica: 'fedcba9876543210' } });
  await hypervisor.define({ ...machine, processors: 2, owner: { ...machine.owner, generation: 4 } });
  assert.match(virsh('dumpxml', TINY_ID), /<vcpu[^>]*>2</);
  assert.match(virsh('metadata', TINY_ID, 'urn:hvlift:machine:1'), /generation=["']4["']/);
  await hypervisor.undefine(TINY_ID);
});

test(
  'when libvirtd dies its guests go on, and it can be told again when it is back',
  withLibvirt,
  async () => {
    const machine = await machineOn('goes on');
    await hypervisor.define(machine);
    await hypervisor.start(TINY_ID);
    await libvirtd.kill();
    for (const call of ['state', 'start', 'undefine'] as const)
      await assert.rejects(hypervisor[call](TINY_ID), { code: 'HYPERVISOR_UNREACHABLE' });
    await libvirtd.run();
    assert.equal(await hypervisor.state(TINY_ID), 'running');
    await hypervisor.undefine(TINY_ID);
    assert.equal(await hypervisor.state(TINY_ID), 'absent');
  },
);

test('a QEMU that was killed under libvirt is crashed, and starts again', withLibvirt, async () => {
  const serialLog = join(libvirtd.folder, 'crashed.log');
  await writeFile(serialLog, '');
  await chmod(serialLog, 0o666);
  const machine = await machineOn('crashed', { serialLog });
  await hypervisor.define(machine);
  await hypervisor.start(TINY_ID);
  process.kill(pidOf(TINY_ID), 'SIGKILL');
  while ((await hypervisor.state(TINY_ID)) === 'running');
  assert.equal(await hypervisor.state(TINY_ID), 'crashed');
  await hypervisor.start(TINY_ID);
  await assertBoots(hypervisor, machine);
  await hypervisor.undefine(TINY_ID);
});

function pidOf(machineId: string): number {
  const run = spawnSync('pgrep', ['-f', `qemu-system-x86_64.*${machineId}`], { encoding: 'utf8' });
  return Number(run.stdout.trim());
}

test(
  'UEFI with and without Secure Boot is found; a network that is not there, too much memory and a forwarded port are refused',
  withLibvirt,
  async () => {
    const machine = await machineOn('prepared');
    for (const secureBoot of [false, true])
      await hypervisor.prepare({ ...machine, firmware: 'uefi', secureBoot });
    if (requires(['swtpm'], '').skip)
      await assert.rejects(hypervisor.prepare({ ...machine, tpm: true }), { code: 'HYPERVISOR_NO_TPM' });
    const on = (network: OwnedMachine['adapters'][number]['network']) =>
      hypervisor.prepare({ ...machine, adapters: [{ model: 'e1000', network }] });
    await assert.rejects(on({ kind: 'network', name: 'nowhere' }), { code: 'HYPERVISOR_NO_NETWORK' });
    await assert.rejects(on({ kind: 'forwarded', port: 22 }), { code: 'MACHINE_NETWORK_OF_QEMU' });
    await assert.rejects(hypervisor.prepare({ ...machine, memoryMiB: 2 ** 32 }), {
      code: 'HYPERVISOR_NO_MEMORY',
    });
  },
);

test('a domain with UEFI starts, and its variables go with it', withLibvirt, async () => {
  const machine = await machineOn('efi', { firmware: 'uefi', memoryMiB: 128 });
  const sata = { ...machine, disks: machine.disks.map((disk) => ({ ...disk, bus: 'sata' as const })) };
  await hypervisor.define(sata);
  await hypervisor.start(TINY_ID);
  await hypervisor.undefine(TINY_ID);
  assert.equal(virsh('list', '--all', '--name').trim(), '');
});

test('a libvirt that nobody answers for is unreachable, and a virsh that is missing is told of', async () => {
  const nowhere = await openHypervisor('libvirt:qemu+unix:///session?socket=/nowhere/libvirt-sock');
  await assert.rejects(nowhere.state(TINY_ID), {
    code: withLibvirt.skip ? /HYPERVISOR_(UNREACHABLE|NO_VIRSH)/ : 'HYPERVISOR_UNREACHABLE',
  });
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  try {
    await assert.rejects(nowhere.state(TINY_ID), { code: 'HYPERVISOR_NO_VIRSH' });
  } finally {
    process.env['PATH'] = path;
  }
});
