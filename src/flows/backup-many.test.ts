import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Vm } from '../hyperv/index.ts';
import { backupMany, placeVms, type VmPlace } from './backup-many.ts';

function vm(number: number): Vm {
  return { id: `id-${number}`, name: `vm${number}`, state: 'running' };
}

/** Runs 40 VMs whose backups end in no order, and counts how many of each kind ran at once. */
async function mostAtOnce(
  place: (number: number) => VmPlace,
  caps: { parallel: number; perHost: number; perVolume: number },
) {
  const vms = Array.from({ length: 40 }, (_, number) => vm(number));
  const placeOf = async ({ id }: Vm): Promise<VmPlace> => place(Number(id.slice(3)));
  const now = new Map<string, number>();
  const most = new Map<string, number>();
  const count = (what: string, by: number): void => {
    now.set(what, (now.get(what) ?? 0) + by);
    most.set(what, Math.max(now.get(what)!, most.get(what) ?? 0));
  };
  const work = async ({ id }: Vm): Promise<string> => {
    const { host, diskPaths } = place(Number(id.slice(3)));
    const uses = ['all', host, ...new Set(diskPaths.map((path) => path.slice(0, path.lastIndexOf('\\'))))];
    for (const use of uses) count(use, 1);
    for (let turn = 0; turn < (Number(id.slice(3)) * 7) % 5; turn += 1) await new Promise(setImmediate);
    for (const use of uses) count(use, -1);
    return id;
  };
  const placed = await placeVms(vms, placeOf, {});
  const done = await Array.fromAsync(backupMany(placed, caps, work));
  assert.equal(new Set(done).size, 40);
  return most;
}

const CSV = 'C:\\ClusterStorage\\Volume';

test('VMs at once, VMs of a host and VMs of a volume are counted apart; a shared volume counts over all hosts', async () => {
  const place = (number: number): VmPlace => ({
    host: `node${number % 2}`,
    diskPaths: [`${CSV}${number % 3}\\a.vhdx`, `${CSV}${number % 3}\\b.vhdx`],
  });
  const most = await mostAtOnce(place, { parallel: 10, perHost: 3, perVolume: 2 });
  assert.deepEqual([most.get('node0'), most.get('node1')], [3, 3]);
  for (const volume of [0, 1, 2]) assert.equal(most.get(`${CSV}${volume}`), 2);
  assert.equal((await mostAtOnce(place, { parallel: 2, perHost: 9, perVolume: 9 })).get('all'), 2);
});

test('the drive D: of one host is not that of another', async () => {
  const place = (number: number): VmPlace => ({ host: `node${number % 4}`, diskPaths: ['D:\\a.vhdx'] });
  const most = await mostAtOnce(place, { parallel: 40, perHost: 9, perVolume: 1 });
  assert.equal(most.get('all'), 4);
});

test('a VM whose place cannot be found out is backed up all the same', async () => {
  const placed = await placeVms(
    [vm(1), vm(2)],
    async ({ id }) => {
      if (id === 'id-1') throw new Error('its host does not answer');
      return { host: 'HV1', diskPaths: ['C:\\a.vhdx'] };
    },
    {},
  );
  const done = await Array.fromAsync(
    backupMany(placed, { parallel: 1, perHost: 1, perVolume: 1 }, async ({ name }) => name),
  );
  assert.deepEqual(done, ['vm1', 'vm2']);
});
