/** A lab that is a cluster: what is kept of it, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../../src/base/index.ts';
import { INSTANT, RETURN } from '../model/index.ts';
import { scratch } from '../model/scratch.fixture.ts';
import { connectLab, createLab } from './index.ts';

test('a cluster is what it was after a new start: its nodes, who has which VM, and where new disks go', async () => {
  await using temporary = await scratch();
  const { folder } = temporary;
  {
    await using lab = await createLab({ folder, nodes: 3, settings: INSTANT });
    const client = await connectLab(lab);
    await client.createVm({ name: 'sql' });
    await client.moveVm('sql', 'node3');
    await assert.rejects(client.moveVm('sql', 'NODE4'), { code: RETURN.invalidParameter });
  }
  await using lab = await createLab({ folder, settings: INSTANT });
  const client = await connectLab(lab);
  const { disks } = await client.createVm({ name: 'web', disks: [{ size: MiB }] });
  assert.equal(disks[0]!.files[0], String.raw`C:\ClusterStorage\Volume1\web\disk.vhdx`);
  const nodes = await client.nodes();
  assert.deepEqual(
    nodes.map(({ name, vms }) => [name, ...vms]),
    [['NODE1', 'web'], ['NODE2'], ['NODE3', 'sql']],
  );
  assert.deepEqual(
    lab.nodes!.map(({ url }) => url),
    nodes.map(({ url }) => url),
  );
  assert.equal(new Set(nodes.map(({ url }) => url)).size, 3);
});

test('another number of nodes than a folder began with is refused, and so are too few and too many', async () => {
  await using temporary = await scratch();
  const refused = async (folder: string, nodes: number): Promise<void> =>
    assert.rejects(createLab({ folder, nodes }), { code: RETURN.invalidParameter });
  await (await createLab({ folder: temporary.folder, nodes: 2 })).close();
  await refused(temporary.folder, 3);
  await refused(`${temporary.folder}/few`, 1);
  await refused(`${temporary.folder}/many`, 65);
});

test('a single host has no nodes, and says so to who would move a VM', async () => {
  await using temporary = await scratch();
  await using lab = await createLab({ folder: temporary.folder });
  const client = await connectLab(lab);
  await client.createVm({ name: 'sql' });
  assert.equal(lab.nodes, undefined);
  assert.deepEqual(await client.nodes(), []);
  await assert.rejects(client.moveVm('sql', 'NODE1'), { code: RETURN.notSupported });
});
