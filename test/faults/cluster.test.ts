/**
 * The program as its user runs it, against a cluster of two emulated nodes, each with a wire of its own. Configured is the
 * address of one node; the other is discovered.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KiB, MiB, newGuid } from '../../src/base/index.ts';
import { checkpointName } from '../../src/capture/index.ts';
import { createHyperV } from '../../src/hyperv/index.ts';
import { openWinrm } from '../../src/winrm/index.ts';
import { LabCluster } from '../../lab/cluster/index.ts';
import { INSTANT, LabHost } from '../../lab/model/index.ts';
import { startWire, type Wire, type WireFaults } from '../../lab/wire/index.ts';
import { startProgram, type CliRun } from '../e2e/cli.fixture.ts';

const ACCOUNT = { user: 'Administrator', password: 'Passw0rd of a test' };
const NODES = ['NODE1', 'NODE2'] as const;

class ClusterHome implements AsyncDisposable {
  readonly lab: LabHost;
  readonly cluster: LabCluster;
  readonly folder: string;
  /** Of both nodes. */
  readonly faults: WireFaults = [];
  /** Of the nodes, in their order. */
  readonly wires: Wire[] = [];
  readonly #owned = new AsyncDisposableStack();

  private constructor(lab: LabHost, folder: string) {
    this.lab = lab;
    this.folder = folder;
    this.cluster = new LabCluster(() => lab, { name: 'CL01', nodes: NODES });
  }

  static async open(): Promise<ClusterHome> {
    const folder = await mkdtemp(join(tmpdir(), 'hvlift-cluster-'));
    const lab = await LabHost.open(join(folder, 'lab'), { settings: INSTANT });
    const home = new ClusterHome(lab, folder);
    home.#owned.defer(() => rm(folder, { recursive: true, force: true }));
    home.#owned.defer(() => lab.close());
    home.wires.push(...(await Promise.all(NODES.map((node) => home.#wire(node)))));
    await home.#configure(home.wires.map(({ url }) => url));
    return home;
  }

  run(...argv: readonly string[]): Promise<CliRun> {
    return startProgram(argv, this.folder, {}, [ACCOUNT.password]).ended;
  }

  async json(...argv: readonly string[]) {
    const run = await this.run(...argv, '--json');
    assert.equal(run.code, 0, `hvlift ${argv.join(' ')}: ${run.stderr}`);
    return run.json();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }

  async #wire(node: string): Promise<Wire> {
    const provider = this.cluster.provider(node);
    const wire = await startWire({ provider, users: [ACCOUNT], faults: this.faults });
    this.#owned.defer(() => wire.close());
    return wire;
  }

  async #configure([first, second]: readonly string[]): Promise<void> {
    await writeFile(join(this.folder, 'password'), ACCOUNT.password, { mode: 0o600 });
    const folder = join(this.lab.volumesFolder, 'C');
    const reached = ['--url', first!, '--user', ACCOUNT.user, '--password-file', 'password'];
    await this.run('host', 'add', 'cl', ...reached, '--map', `C:\\=${folder}`);
    const config = join(this.folder, '.config', 'hvlift', 'config.yaml');
    // Only here, where all nodes are one machine, do they have to be told apart by hand.
    const text = await readFile(config, 'utf8');
    const nodes = `    nodes:\n      NODE1: ${first}\n      NODE2: ${second}\n`;
    await writeFile(
      config,
      text.replace(/^ {4}url:.*\n/m, (line) => line + nodes),
    );
    await this.run('init', '--repo', './repo', '--name', 'main', '--no-encryption');
  }
}

async function assertExact(home: ClusterHome, vmId: string, pointId: string): Promise<void> {
  const seal = (await home.lab.seals(vmId)).at(-1)!;
  const to = join(home.folder, `restored-${pointId}`);
  const { disks } = await home.json('restore', pointId, '--to', to, '--format', 'raw');
  for (const { id, path } of disks as { id: string; path: string }[])
    assert.equal(await home.lab.compareImage(seal.id, id, path), null, `${path} is exact`);
  assert.equal(disks.length, seal.disks.length);
}

test('VMs of all nodes are listed, and one is backed up where it is, also when it moves in between and in the middle', async () => {
  await using home = await ClusterHome.open();
  const { id } = await home.lab.createVm({ name: 'sql01', disks: [{ size: 8 * MiB }, { size: 2 * MiB }] });
  const other = await home.lab.createVm({ name: 'web01', disks: [{ size: MiB }] });
  await home.cluster.move(other.id, 'NODE2');
  const { vms } = await home.json('vms');
  assert.deepEqual((vms as { name: string }[]).map(({ name }) => name).sort(), ['sql01', 'web01']);

  const kinds = async (seed: number): Promise<string[]> => {
    await home.lab.guestWrite(id, { offset: seed * MiB, length: 64 * KiB, seed });
    const { runs } = await home.json('backup', 'sql01');
    await assertExact(home, id, runs[0].pointId);
    return (runs[0].disks as { reason: string }[]).map(({ reason }) => reason);
  };
  assert.deepEqual(await kinds(1), ['first-backup', 'first-backup']);
  await home.cluster.move(id, 'NODE2');
  const delta = ['changes-since-reference-point', 'changes-since-reference-point'];
  assert.deepEqual(await kinds(2), delta, 'the mark went along');
  home.faults.push({
    action: 'GetVirtualDiskChanges',
    kind: 'delay',
    wait: () => home.cluster.move(id, 'NODE1'),
  });
  assert.deepEqual(await kinds(3), delta, 'the run began anew on the other node');
  assert.equal(home.faults.length, 0);
  const { checkpoints, referencePoints } = await home.lab.vm(id);
  assert.deepEqual([checkpoints.length, referencePoints.length], [0, 1]);
});

/** A recovery checkpoint of the repository, on whatever node has the VM, as a killed run leaves it. */
async function leave(home: ClusterHome, vmId: string, { url }: Wire): Promise<void> {
  const { repositoryId } = JSON.parse(await readFile(join(home.folder, 'repo', 'hvlift.json'), 'utf8'));
  const name = checkpointName(String(repositoryId).slice(0, 8), newGuid());
  const session = await openWinrm({ url, credentials: ACCOUNT });
  try {
    const options = { consistency: 'crash', name } as const;
    await createHyperV(session, { pollMs: 5 }).createRecoveryCheckpoint(vmId.toLowerCase(), options);
  } finally {
    await session.close();
  }
}

test('the janitor removes what runs left on every node, and names a node that does not answer', async () => {
  await using home = await ClusterHome.open();
  const [first, second] = home.wires;
  const here = await home.lab.createVm({ name: 'here', disks: [{ size: MiB }] });
  const there = await home.lab.createVm({ name: 'there', disks: [{ size: MiB }] });
  await home.cluster.move(there.id, 'NODE2');
  await leave(home, here.id, first!);
  await leave(home, there.id, second!);
  const states = (document: {
    vms: { vm: { name: string }; found: { checkpoints: { state: string }[] } }[];
  }) =>
    document.vms
      .toSorted((a, b) => a.vm.name.localeCompare(b.vm.name))
      .map(({ vm, found }) => [vm.name, ...found.checkpoints.map(({ state }) => state)]);
  assert.deepEqual(states(await home.json('janitor', '--dry-run')), [
    ['here', 'left-over'],
    ['there', 'left-over'],
  ]);
  assert.deepEqual(states(await home.json('janitor')), [
    ['here', 'removed'],
    ['there', 'removed'],
  ]);
  for (const { id } of [here, there]) assert.deepEqual((await home.lab.vm(id)).checkpoints, []);
  await second!.close();
  const partial = await home.run('janitor', '--json');
  assert.equal(partial.code, 4, partial.stderr);
  assert.deepEqual(states(partial.json()), [['here']]);
  assert.match(partial.json().warnings[0].message, /^node NODE2 of the cluster does not answer/);
});
