/** What an administrator does to the disks of the VM between two backups. */
import fc from 'fast-check';
import { KiB, MiB } from '../../src/base/index.ts';
import { commands, ifPossible, pick } from './command.ts';
import { rangeOf } from './guest.ts';
import { diskSpec, type World } from './world.ts';

/** Bytes: odd multiples of a sector, some of them beyond one block or one slot. */
export const diskSizes = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 400 }).map((sectors) => MiB + sectors * 512) },
  { weight: 2, arbitrary: fc.integer({ min: 2, max: 4 }).map((mebibytes) => mebibytes * MiB) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 6144 }).map((units) => 6 * MiB + units * 1024) },
);
export const sectors = fc.constantFrom<512 | 4096>(512, 512, 512, 4096);

const which = { disk: fc.nat({ max: 3 }) };
const fresh = { size: diskSizes, sector: sectors };
const DISKS_MAX = 4;

async function diskAt(world: World, disk: number) {
  return pick((await world.vm()).disks, disk);
}

async function add(world: World, spec: { size: number; sector: 512 | 4096 }): Promise<void> {
  if ((await world.vm()).disks.length >= DISKS_MAX) return;
  await ifPossible(() => world.lab.addDisk(world.vmId, diskSpec(spec.size, spec.sector)));
}

async function remove(world: World, { disk }: { disk: number }): Promise<void> {
  const found = await diskAt(world, disk);
  if (!found) return;
  if (await ifPossible(() => world.lab.detachDisk(world.vmId, found.diskId)))
    world.knowledge.detached.push(found.diskId);
}

/** A disk that was taken out comes back, perhaps into another slot. */
async function bringBack(world: World): Promise<void> {
  const [diskId] = world.knowledge.detached;
  if (diskId === undefined || (await world.vm()).disks.length >= DISKS_MAX) return;
  if (await ifPossible(() => world.lab.attachDisk(world.vmId, diskId))) world.knowledge.detached.shift();
}

/** Another disk in the same slot; with `samePath` also under the same name, the old one having been moved out of the way. */
async function replace(
  world: World,
  spec: { disk: number; size: number; sector: 512 | 4096; samePath: boolean },
): Promise<void> {
  const old = await diskAt(world, spec.disk);
  if (!old) return;
  const [path] = old.files;
  await ifPossible(async () => {
    if (spec.samePath) await world.lab.moveDisk(world.vmId, old.diskId, world.knowledge.freshPath());
    const content = diskSpec(spec.size, spec.sector);
    await world.lab.replaceDisk(
      world.vmId,
      old.diskId,
      spec.samePath ? { ...content, path: path! } : content,
    );
    world.knowledge.detached.push(old.diskId);
  });
}

async function exchange(world: World, spec: { disk: number; place: number; seed: number }): Promise<void> {
  const found = await diskAt(world, spec.disk);
  if (!found) return;
  const { diskId } = found;
  const range = { diskId, ...rangeOf(found, { place: spec.place, length: 64 * KiB }), seed: spec.seed };
  if (!(await ifPossible(() => world.lab.exchangeDisk(world.vmId, range)))) return;
  world.knowledge.changed(diskId);
  world.knowledge.trackingLost(diskId);
}

async function resize(world: World, spec: { disk: number; size: number }): Promise<void> {
  const found = await diskAt(world, spec.disk);
  if (!found) return;
  const { size } = diskSpec(spec.size, 4096);
  if (await ifPossible(() => world.lab.resizeDisk(world.vmId, found.diskId, size)))
    world.knowledge.changed(found.diskId);
}

async function move(world: World, { disk }: { disk: number }): Promise<void> {
  const found = await diskAt(world, disk);
  if (found)
    await ifPossible(() => world.lab.moveDisk(world.vmId, found.diskId, world.knowledge.freshPath()));
}

const record = <T extends object>(spec: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(spec, { noNullPrototype: true }) as fc.Arbitrary<T>;

export const diskCommands = [
  { weight: 2, arbitrary: commands('add a disk', record(fresh), add) },
  { weight: 1, arbitrary: commands('remove a disk', record(which), remove) },
  { weight: 1, arbitrary: commands('bring a disk back', record({}), bringBack) },
  {
    weight: 2,
    arbitrary: commands('replace a disk', record({ ...which, ...fresh, samePath: fc.boolean() }), replace),
  },
  {
    weight: 1,
    arbitrary: commands(
      'exchange the file of a disk',
      record({ ...which, place: fc.nat({ max: 1000 }), seed: fc.nat({ max: 9 }) }),
      exchange,
    ),
  },
  { weight: 2, arbitrary: commands('resize a disk', record({ ...which, size: diskSizes }), resize) },
  { weight: 1, arbitrary: commands('move a disk', record(which), move) },
] as const;
