import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../../src/base/index.ts';
import type { LabInstance, LabValue } from '../cim.ts';
import { INSTANT, LabHost, RETURN } from '../model/index.ts';
import { scratch } from '../model/scratch.fixture.ts';
import { ProviderView } from '../wire/provider-view.ts';
import { runQuery } from '../wire/query.ts';
import { LabCluster } from './lab-cluster.ts';

const CALLER = { user: 'HV01\\somebody', filtered: false };

async function withCluster(run: (cluster: LabCluster, vm: { id: string; path: string }) => Promise<void>) {
  await using temporary = await scratch();
  const lab = await LabHost.open(temporary.folder, { settings: INSTANT });
  try {
    const { id, disks } = await lab.createVm({ name: 'sql01', disks: [{ size: MiB }] });
    await lab.createVm({ name: 'web01' });
    const cluster = new LabCluster(() => lab, { name: 'CL01', nodes: ['NODE1', 'NODE2'] });
    await run(cluster, { id, path: disks[0]!.files[0]! });
  } finally {
    await lab.close();
  }
}

async function names(cluster: LabCluster, node: string): Promise<LabValue[]> {
  const rows = await cluster.provider(node).instances('Msvm_ComputerSystem', CALLER);
  return rows.map(({ properties }) => properties['ElementName']!);
}

test('a node shows itself and the VMs it owns; a move takes one from node to node, with what belongs to it', () =>
  withCluster(async (cluster, { id }) => {
    assert.deepEqual(await names(cluster, 'NODE1'), ['NODE1', 'sql01', 'web01']);
    assert.deepEqual(await names(cluster, 'NODE2'), ['NODE2']);
    await cluster.move(id, 'NODE2');
    assert.deepEqual(await names(cluster, 'NODE1'), ['NODE1', 'web01']);
    assert.deepEqual(await names(cluster, 'NODE2'), ['NODE2', 'sql01']);
    for (const className of ['Msvm_VirtualSystemSettingData', 'Msvm_StorageAllocationSettingData']) {
      const rows = await cluster.provider('NODE1').instances(className, CALLER);
      assert.ok(!JSON.stringify(rows, plain).includes(id), `${className} of the VM that left`);
    }
  }));

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

/** The query that Microsoft's own Go client sends (facts: hyperv-classes.md Part G), on any node. */
async function ownerBy(cluster: LabCluster, node: string, vmId: string): Promise<LabValue | undefined> {
  const shared = cluster.provider(node).others!.find(({ namespace }) => namespace === 'root/MSCluster')!;
  const query = `SELECT * FROM MSCluster_Resource WHERE PrivateProperties.VmID='${vmId}' AND Type='Virtual Machine'`;
  const { instances } = await runQuery(query, new ProviderView(shared, CALLER));
  const [row] = instances as LabInstance[];
  return row?.properties['OwnerNode'];
}

test('every node names the owner of a VM, at once when it moves, while the new owner may show it later', () =>
  withCluster(async (cluster, { id }) => {
    assert.equal(await ownerBy(cluster, 'NODE2', id.toLowerCase()), 'NODE1');
    const arrival = Promise.withResolvers<void>();
    await cluster.move('sql01', 'NODE2', { arrival: arrival.promise });
    assert.equal(await ownerBy(cluster, 'NODE1', id), 'NODE2');
    assert.deepEqual(await names(cluster, 'NODE2'), ['NODE2']);
    arrival.resolve();
    await new Promise(setImmediate);
    assert.deepEqual(await names(cluster, 'NODE2'), ['NODE2', 'sql01']);
    assert.equal(await ownerBy(cluster, 'NODE1', '00000000-0000-0000-0000-000000000000'), undefined);
  }));

test('a call on the wrong node fails: its disks are in use there, it itself is not there', () =>
  withCluster(async (cluster, { id, path }) => {
    const images = { className: 'Msvm_ImageManagementService', keys: {} };
    const look = (node: string) =>
      cluster.provider(node).invoke(images, 'GetVirtualHardDiskSettingData', { Path: path }, CALLER);
    assert.equal((await look('NODE1')).returnValue, RETURN.done);
    assert.equal((await look('NODE2')).returnValue, RETURN.inUse);
    const snapshots = { className: 'Msvm_VirtualSystemSnapshotService', keys: { SystemName: 'NODE2' } };
    const AffectedSystem = { className: 'Msvm_ComputerSystem', keys: { Name: id } };
    const freeze = (): Promise<unknown> =>
      cluster
        .provider('NODE2')
        .invoke(snapshots, 'CreateSnapshot', { AffectedSystem, SnapshotType: 2 }, CALLER);
    await assert.rejects(freeze(), { status: 0x8004_1002 });
    await cluster.move(id, 'NODE2');
    await freeze();
    await cluster.host().settle();
    const jobs = async (node: string): Promise<number> =>
      (await cluster.provider(node).instances('Msvm_ConcreteJob', CALLER)).length;
    assert.deepEqual([await jobs('NODE1'), await jobs('NODE2')], [0, 1], 'a job lives where it was begun');
  }));
