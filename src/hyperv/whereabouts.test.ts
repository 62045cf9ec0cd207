import assert from 'node:assert/strict';
import { test } from 'node:test';
import { winrmFaults } from '../winrm/index.ts';
import { Cluster, readCluster, type ClusterNode } from './cluster.ts';
import { createClusterHyperV } from './cluster-hyperv.ts';
import { hypervFaults } from './faults.ts';
import { FakeClock } from './testing/clock.fixture.ts';
import { VmWhereabouts } from './whereabouts.ts';

const VM = 'b637f347-6a0e-4dec-af52-bd70cb80a21d';
const NODES = ['NODE1', 'NODE2', 'NODE3'] as const;
const gone = (): Error => hypervFaults.vmNotFound({ vm: VM, visible: 0 });

/** Three nodes that agree on an owner, or are down; each shows the VMs it is told to. */
class FakeCluster {
  readonly clock = new FakeClock();
  owner: string | null = 'NODE1';
  readonly down = new Set<string>();
  readonly shown = new Map<string, { id: string; name: string }[]>();
  readonly connected: string[] = [];
  /** Nodes in the order in which they were asked for the owner. */
  readonly asked: string[] = [];
  readonly cluster = new Cluster({ name: 'CL01', nodes: NODES }, (node) => this.#connect(node), this.clock);
  readonly where = new VmWhereabouts(this.cluster, VM);

  async #connect(node: string): Promise<ClusterNode> {
    if (this.down.has(node))
      throw winrmFaults.unreachable({ host: node, port: 5985, reason: 'ECONNREFUSED' });
    this.connected.push(node);
    return { session: this.#session(node), hyperv: { vms: async () => this.shown.get(node) ?? [] } } as never;
  }

  #session(node: string): unknown {
    const query = async function* (this: FakeCluster) {
      this.asked.push(node);
      if (this.down.has(node)) throw winrmFaults.connectionLost({ host: node, reason: 'ECONNRESET' });
      if (this.owner !== null) yield { OwnerNode: this.owner };
    };
    return { query: query.bind(this) };
  }
}

test('an answer counts when its node still owned the VM afterwards, else the new owner is asked', async () => {
  const fake = new FakeCluster();
  const answers = await fake.where.anywhere(async (node) => {
    if (node === 'NODE1') fake.owner = 'node2';
    return node;
  }, {});
  assert.equal(answers, 'node2', 'what NODE1 said did not count');
});

test('a failure is the reason to follow the VM, and the failure itself when it did not move', async () => {
  const fake = new FakeCluster();
  const call = async (node: string): Promise<string> => {
    if (node !== 'NODE1') return node;
    fake.owner = 'NODE3';
    throw gone();
  };
  assert.equal(await fake.where.unlessItFails(call, {}), 'NODE3');
  const refused = hypervFaults.diskInUse({ path: 'a', code: 1 });
  await assert.rejects(
    fake.where.anywhere(() => Promise.reject(refused), {}),
    refused,
  );
});

test('what must not be done twice is done once: a failure with a move is HYPERV_VM_MOVED, with the failure inside', async () => {
  const fake = new FakeCluster();
  let calls = 0;
  const call = async (): Promise<never> => {
    calls += 1;
    fake.owner = 'NODE2';
    throw gone();
  };
  await assert.rejects(fake.where.once(call, {}), (error: Error) => {
    assert.match(error.message, /from node NODE1 to NODE2/);
    assert.equal((error.cause as { code: string }).code, 'HYPERV_VM_NOT_FOUND');
    return true;
  });
  assert.equal(calls, 1);
});

test('the new owner is given half a minute to show the VM, and no other failure is waited for', async () => {
  const fake = new FakeCluster();
  let calls = 0;
  const late = async (): Promise<number> => {
    calls += 1;
    if (fake.clock.nowMs < 20_000) throw gone();
    return calls;
  };
  assert.ok((await fake.where.anywhere(late, {})) < 40, 'with growing pauses');
  const never = (): Promise<never> => Promise.reject(gone());
  await assert.rejects(fake.where.anywhere(never, {}), { code: 'HYPERV_VM_NOT_FOUND' });
  assert.ok(fake.clock.nowMs < 60_000);
});

test('a VM that is passed around without end is given up', async () => {
  const fake = new FakeCluster();
  let calls = 0;
  const moving = async (): Promise<void> => {
    calls += 1;
    fake.owner = NODES[calls % NODES.length]!;
  };
  await assert.rejects(fake.where.anywhere(moving, {}), { code: 'HYPERV_VM_MOVED', kind: 'retry' });
  assert.equal(calls, 4);
});

test('whichever node answers is asked for the owner, and asked first the next time', async () => {
  const fake = new FakeCluster();
  fake.down.add('NODE1');
  fake.owner = 'NODE3';
  assert.equal(await fake.where.now({}), 'NODE3');
  assert.equal(await fake.where.now({}), 'NODE3');
  assert.deepEqual(fake.asked, ['NODE2', 'NODE2']);
  fake.down.add('NODE2').delete('NODE1');
  assert.equal(await fake.where.now({}), 'NODE3');
  assert.deepEqual(
    fake.connected,
    ['NODE2', 'NODE1'],
    'a node that could not be reached is tried again later',
  );
  for (const node of NODES) fake.down.add(node);
  await assert.rejects(fake.where.now({}), { kind: 'retry' });
});

test('a VM that is no role of the cluster is looked for on every node', async () => {
  const fake = new FakeCluster();
  fake.owner = null;
  fake.shown.set('NODE3', [{ id: VM, name: 'local' }]);
  assert.equal(await fake.where.now({}), 'NODE3');
  fake.shown.clear();
  await assert.rejects(fake.where.now({}), { code: 'HYPERV_VM_NOT_FOUND' });
});

test('VMs of all nodes are listed, of a node that is down none, and a VM that shows twice once', async () => {
  const fake = new FakeCluster();
  const hyperv = createClusterHyperV(fake.cluster);
  const both = { id: VM, name: 'moving' };
  fake.shown.set('NODE1', [both, { id: '1', name: 'twin' }]).set('NODE3', [both, { id: '2', name: 'twin' }]);
  fake.down.add('NODE2');
  assert.deepEqual((await hyperv.vms()).map(({ id }) => id).sort(), ['1', '2', VM]);
  assert.equal((await hyperv.vm('moving')).id, VM);
  await assert.rejects(hyperv.vm('twin'), { code: 'HYPERV_VM_AMBIGUOUS' });
  const dead = new FakeCluster();
  for (const node of NODES) dead.down.add(node);
  await assert.rejects(createClusterHyperV(dead.cluster).vms(), { code: 'WINRM_UNREACHABLE' });
});

const WITHOUT = [
  winrmFaults.classUnknown({ host: 'a', resource: 'b', code: 1, message: '' }),
  winrmFaults.notFound({ host: 'a', resource: 'b', code: 1, message: '' }),
  winrmFaults.accessDenied({ user: 'u', host: 'a', resource: 'b', code: 5, message: '' }),
];

test('a host without a cluster, or one that hides it, is a host; one that cannot be reached is a fault', async () => {
  const failing = (error: Error) =>
    ({
      enumerate: async function* () {
        yield await Promise.reject(error);
      },
    }) as never;
  for (const error of WITHOUT) assert.equal(await readCluster(failing(error)), undefined);
  const broken = winrmFaults.connectionLost({ host: 'a', reason: 'r' });
  await assert.rejects(readCluster(failing(broken)), broken);
});
