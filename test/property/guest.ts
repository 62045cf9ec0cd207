/** What goes on inside the VM: writes of every size at every place, trims, zeros, a cache, and a VSS service with moods. */
import fc from 'fast-check';
import { KiB, MiB } from '../../src/base/index.ts';
import type { DiskInfo } from '../../lab/model/index.ts';
import { Random } from '../../lab/model/random.ts';
import { commands, ifPossible, pick } from './command.ts';
import type { World } from './world.ts';

const BY_MILLE = 1000;

const change = fc.record(
  {
    what: fc.constantFrom('bytes', 'bytes', 'bytes', 'trim', 'zeros', 'cached'),
    disk: fc.nat({ max: 3 }),
    /** Thousandths of the way from the first possible place to the last; the last ends with the disk. */
    place: fc.oneof(fc.nat({ max: BY_MILLE }), fc.constantFrom(0, BY_MILLE)),
    length: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(512, 4 * KiB, 64 * KiB, 64 * KiB + 512) },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 512 }).map((sectors) => sectors * 512) },
      { weight: 1, arbitrary: fc.constantFrom(MiB, MiB + 4 * KiB, 3 * MiB) },
    ),
    seed: fc.nat({ max: 20 }),
  },
  { noNullPrototype: true },
);

export type GuestChange = typeof change extends fc.Arbitrary<infer C> ? C : never;
export { change as guestChanges };

export async function changeGuest(
  world: World,
  { what, disk, place, length, seed }: GuestChange,
): Promise<void> {
  const { disks } = await world.vm();
  const target = pick(disks, disk);
  if (!target) return;
  const range = rangeOf(target, { place, length });
  const done = await ifPossible(() => apply(world, what, { diskId: target.diskId, ...range }, seed));
  if (done) world.knowledge.changed(target.diskId);
}

interface Range {
  readonly diskId: string;
  readonly offset: number;
  readonly length: number;
}

function apply(world: World, what: string, range: Range, seed: number): Promise<void> {
  if (what === 'trim') return world.lab.guestTrim(world.vmId, range);
  const bytes = what === 'zeros' ? new Uint8Array(range.length) : new Random(seed).bytes(range.length);
  const cached = what === 'cached';
  return world.lab.guestWrite(world.vmId, { diskId: range.diskId, offset: range.offset, bytes, cached });
}

/** Whole sectors, clipped to the disk. */
export function rangeOf(
  disk: Pick<DiskInfo, 'size' | 'logicalSectorSize'>,
  { place, length }: { place: number; length: number },
): { offset: number; length: number } {
  const sector = disk.logicalSectorSize;
  const whole = Math.min(Math.ceil(length / sector) * sector, disk.size);
  const last = (disk.size - whole) / sector;
  return { offset: Math.floor((last * place) / BY_MILLE) * sector, length: whole };
}

export const guestCommands = [
  {
    weight: 12,
    arbitrary: commands(
      'guest',
      fc.record({ changes: fc.array(change, { minLength: 1, maxLength: 4 }) }, { noNullPrototype: true }),
      async (world, { changes }) => {
        for (const each of changes) await changeGuest(world, each);
      },
    ),
  },
  {
    weight: 2,
    arbitrary: commands(
      'VSS',
      fc.record(
        { mode: fc.constantFrom('ok', 'ok', 'disabled', 'no-contact', 'timeout', 'fails') },
        { noNullPrototype: true },
      ),
      (world, { mode }) => world.lab.setGuest(world.vmId, { vss: mode }),
    ),
  },
  {
    weight: 2,
    arbitrary: commands(
      'power',
      fc.record(
        { to: fc.constantFrom('running', 'running', 'off', 'saved', 'paused'), flushed: fc.boolean() },
        { noNullPrototype: true },
      ),
      (world, { to, flushed }) => world.lab.setPower(world.vmId, to, { flushed }),
    ),
  },
] as const;
