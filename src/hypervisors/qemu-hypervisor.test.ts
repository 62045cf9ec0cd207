/** Machines run by a QEMU of their own: they outlive who started them, and are found again by their folder. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { assertBoots, assertRunsMachines, assertSpares, becomes } from './conformance.ts';
import { openHypervisor, waitUntilHealthy, type Hypervisor } from './index.ts';
import { removeWithMachines, TINY_ID, tinyMachine, writeTinyDisk } from './tiny-guest.fixture.ts';

const withQemu = requires(['qemu-system-x86_64'], 'machines run by QEMU');

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hvlift-qemu-'));
});
after(() => removeWithMachines(folder));

async function newHypervisor(name: string): Promise<{ hypervisor: Hypervisor; root: string; disk: string }> {
  // QEMU reads commas in options as the end of a value.
  const root = join(folder, `${name}, of a user`);
  await mkdir(root);
  const disk = join(root, 'disk.raw');
  await writeTinyDisk(disk);
  return { hypervisor: await openHypervisor(`qemu:${root}`), root, disk };
}

test(
  'a machine is defined, started, shut down, cut off and forgotten, and every step may be repeated',
  withQemu,
  async () => {
    // Deeper than the name of a socket may be long.
    const { hypervisor, root } = await newHypervisor(`life of ${'a machine '.repeat(12)}`);
    await assertRunsMachines(hypervisor, root);
    assert.deepEqual((await readdir(root)).toSorted(), ['disk.raw', 'serial.log']);
  },
);

test(
  'a machine of another replica, and one whose uuid begins alike, is refused and stays',
  withQemu,
  async () => {
    const { hypervisor, root, disk } = await newHypervisor('foreign');
    const machine = tinyMachine(disk);
    await hypervisor.define(machine);
    const path = join(root, '5a0e4a57', 'machine.json');
    const before = await readFile(path, 'utf8');
    await assertSpares(hypervisor, { ...machine, owner: { ...machine.owner, replica: 'fedcba9876543210' } });
    const alike = `${TINY_ID.slice(0, -1)}c`;
    await assertSpares(hypervisor, { ...machine, uuid: alike });
    for (const call of ['start', 'shutDown', 'powerOff', 'undefine'] as const)
      await assert.rejects(hypervisor[call](alike), { code: 'HYPERVISOR_FOREIGN_MACHINE' });
    assert.equal(await readFile(path, 'utf8'), before);
  },
);

test(
  'a QEMU that was killed is crashed, whoever has its process number now; the machine starts again',
  withQemu,
  async () => {
    const { hypervisor, root, disk } = await newHypervisor('killed');
    const machine = tinyMachine(disk, { serialLog: join(root, 'serial.log') });
    await hypervisor.define(machine);
    await hypervisor.start(TINY_ID);
    const pidFile = join(root, '5a0e4a57', 'qemu.pid');
    process.kill(Number(await readFile(pidFile, 'utf8')), 'SIGKILL');
    await becomes(hypervisor, TINY_ID, 'crashed');
    await writeFile(pidFile, String(process.pid));
    assert.equal(await hypervisor.state(TINY_ID), 'crashed');
    const probe = { kind: 'running' } as const;
    const health = await waitUntilHealthy(hypervisor, machine, { probe, limitMs: 60_000 });
    assert.deepEqual(health, { healthy: false, reason: 'crashed', seconds: health.seconds });
    await hypervisor.start(TINY_ID);
    await assertBoots(hypervisor, machine);
    await hypervisor.undefine(TINY_ID);
  },
);

test('a machine runs on when the process that started it is gone', withQemu, async () => {
  const { hypervisor, root, disk } = await newHypervisor('detached');
  await hypervisor.define(tinyMachine(disk));
  const code = `
    import { openHypervisor } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    await (await openHypervisor(${JSON.stringify(`qemu:${root}`)})).start('${TINY_ID}');
    process.kill(process.pid, 'SIGKILL');`;
  const run = spawnSync(process.execPath, ['-C', 'source', '--input-type=module', '-e', code], {
    encoding: 'utf8',
  });
  assert.equal(run.signal, 'SIGKILL', run.stderr);
  assert.equal(await hypervisor.state(TINY_ID), 'running');
  await hypervisor.undefine(TINY_ID);
});

test(
  'what QEMU says when it does not start is in the fault, and the machine stays off',
  withQemu,
  async () => {
    const { hypervisor, root } = await newHypervisor('no-disk');
    await hypervisor.define(tinyMachine(join(root, 'gone.raw')));
    await assert.rejects(hypervisor.start(TINY_ID), {
      code: 'HYPERVISOR_START_FAILED',
      message: /gone\.raw/,
    });
    assert.equal(await hypervisor.state(TINY_ID), 'off');
  },
);

test('a definition that is damaged is told of, not passed over', async () => {
  const { hypervisor, root, disk } = await newHypervisor('damaged');
  await hypervisor.define(tinyMachine(disk));
  const path = join(root, '5a0e4a57', 'machine.json');
  const text = await readFile(path, 'utf8');
  for (const damaged of [text.slice(0, 50), '[]', 'null', text.replace('"version": 1', '"version": 2')]) {
    await writeFile(path, damaged);
    await assert.rejects(hypervisor.state(TINY_ID), { code: 'HYPERVISOR_DEFINITION_UNREADABLE' });
  }
});

test(
  'more memory than there is, and a network of libvirt, are refused before anything is written',
  withQemu,
  async () => {
    const { hypervisor, root, disk } = await newHypervisor('refused');
    const network = { kind: 'network', name: 'default' } as const;
    await assert.rejects(hypervisor.prepare(tinyMachine(disk, { memoryMiB: 2 ** 32 })), {
      code: 'HYPERVISOR_NO_MEMORY',
    });
    await assert.rejects(hypervisor.prepare(tinyMachine(disk, { adapters: [{ model: 'e1000', network }] })), {
      code: 'MACHINE_NETWORK_OF_LIBVIRT',
    });
    assert.deepEqual(await readdir(root), ['disk.raw']);
  },
);

test('an address that names no hypervisor is refused', async () => {
  for (const address of [
    '',
    'xen:/x',
    'qemu:relative',
    'libvirt:',
    'libvirt:/run',
    'libvirt:-c://x',
    'libvirt:qemu:///a b',
  ])
    await assert.rejects(openHypervisor(address), { code: 'HYPERVISOR_ADDRESS_INVALID' }, address);
});
