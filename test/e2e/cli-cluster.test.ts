/** A cluster of the lab and the program, as a user would try both: by commands alone. */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import type { NodeInfo } from '../../lab/control/nodes.ts';
import { CliHome, LabProcess } from './cli.fixture.ts';

/** The cluster as host `cl`, configured by its second node. */
async function addCluster(home: CliHome, { address }: LabProcess): Promise<void> {
  const nodes = address.nodes!.flatMap(({ name, url }) => ['--node', `${name}=${url}`]);
  const account = ['--user', address.user, '--password-file', address.passwordFile];
  const maps = address.mappings.flatMap(({ from, to }) => ['--map', `${from}=${to}`]);
  await home.ok('host', 'add', 'cl', '--url', address.nodes![1]!.url, ...nodes, ...account, ...maps);
}

async function backedUp(
  home: CliHome,
  vm: string,
): Promise<{ pointId: string; disks: { reason: string; path: string }[] }> {
  return (await home.ok('backup', vm, '--host', 'cl', '--repo', 'main', '--json')).json().runs[0];
}

test('a cluster of the lab: VMs on two nodes are backed up by the address of one, also after they moved', async () => {
  await using lab = await LabProcess.start('--nodes', '2', '--vm', 'sql=8MiB', '--vm', 'web=2MiB');
  await using home = await CliHome.open(lab, 'plain');
  await addCluster(home, lab);
  const inLab = ['--folder', dirname(lab.address.passwordFile)];
  const owners = async (): Promise<unknown> =>
    ((await home.ok('lab', 'nodes', ...inLab)).json() as NodeInfo[]).map(({ name, vms }) => [name, ...vms]);
  await home.ok('lab', 'vm', 'move', 'web', 'node2', ...inLab);
  assert.deepEqual(await owners(), [
    ['NODE1', 'sql'],
    ['NODE2', 'web'],
  ]);
  const { vms } = (await home.ok('vms', '--host', 'cl', '--json')).json();
  assert.deepEqual(vms.map(({ name }: { name: string }) => name).sort(), ['sql', 'web']);

  const { stdout } = await home.run('doctor', 'cl');
  assert.match(
    stdout,
    /cluster +NODE2 is a node of CL01[^]*\nnode NODE1:\n\n[^]*disk files .*C:\\ClusterStorage/,
  );

  const first = await backedUp(home, 'sql');
  assert.equal(first.disks[0]!.reason, 'first-backup');
  await lab.client.moveVm('sql', 'NODE2');
  await lab.client.guestWrite('sql', { offset: MiB, length: 64 * KiB, seed: 5 });
  const second = await backedUp(home, 'sql');
  assert.equal(second.disks[0]!.reason, 'changes-since-reference-point', 'the baseline went along');
  const [disk] = (await lab.client.vm('sql')).disks;
  assert.match(disk!.files[0]!, /^C:\\ClusterStorage\\Volume1\\sql\\/);
  const restored = (
    await home.ok('restore', second.pointId, '--to', 'out', '--format', 'raw', '--json')
  ).json();
  const seal = (await lab.client.seals('sql')).at(-1)!;
  assert.equal(await lab.client.compareImage(seal.id, disk!.diskId, restored.disks[0].path), null);
});

test('a VM that moves while it is replicated, and between two cycles: the replica is what it holds, without a second seed', async () => {
  await using lab = await LabProcess.start('--nodes', '2', '--vm', 'sql=8MiB');
  await using home = await CliHome.open(lab, 'plain');
  await addCluster(home, lab);
  const [disk] = (await lab.client.vm('sql')).disks;
  await lab.client.guestRun('sql', { seed: 1, writes: 40 });
  const argv = ['replicate', 'sql', '--host', 'cl', '--to', 'dir:./replica', '--json'];
  const exact = async (): Promise<void> => {
    const seal = (await lab.client.seals('sql')).at(-1)!;
    const image = home.path('replica', 'sql-disk1.raw');
    assert.equal(await lab.client.compareImage(seal.id, disk!.diskId, image), null);
  };
  const seeding = home.start([...argv, '--rate', '1MiB', '--progress', 'json']);
  await seeding.said('"full ');
  await lab.client.moveVm('sql', 'NODE2');
  const seed = await seeding.ended;
  assert.equal(seed.json().cycles[0].generation, 1, seed.stderr);
  await exact();
  for (const node of ['NODE1', 'NODE2']) {
    await lab.client.moveVm('sql', node);
    await lab.client.guestRun('sql', { seed: node.length, writes: 5 });
    const [cycle] = (await home.ok(...argv)).json().cycles;
    assert.equal(cycle.disks[0].kind, 'delta', 'the mark went along');
    await exact();
    assert.deepEqual(await lab.traces('sql'), { checkpoints: 0, referencePoints: 1 });
  }
});
