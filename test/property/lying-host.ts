/**
 * Sequences on a host that lies: increment after increment of scattered changes, so that what is kept back stands until the audit
 * comes by, among which anything else may happen. A sequence of the common kind has too few increments for that.
 */
import fc from 'fast-check';
import { KiB, MiB } from '../../src/base/index.ts';
import { Random } from '../../lab/model/random.ts';
import { backUp, QUIET } from './backup.ts';
import { commands, ifPossible, type Command } from './command.ts';
import type { Setup, World } from './world.ts';

/** One change in two hundred, as the audit is measured by; and more, to be met in few increments. */
export const LIES = [0.005, 0.1, 0.4] as const;
const GRANULE = 4 * KiB;

interface Increments {
  readonly runs: number;
  readonly writes: number;
  readonly seed: number;
}

/** So many times: writes of one granule each, here and there, and a quiet run, of which the host keeps back other changes each time. */
async function increments(world: World, { runs, writes, seed }: Increments): Promise<void> {
  const random = new Random(seed);
  for (let run = 0; run < runs; run += 1) {
    const { disks } = await world.vm();
    if (disks.length === 0) return;
    for (const { diskId, size } of disks) {
      for (let n = 0; n < writes; n += 1) {
        const offset = random.below(Math.floor(size / GRANULE)) * GRANULE;
        const write = { diskId, offset, bytes: random.bytes(GRANULE) };
        await ifPossible(() => world.lab.guestWrite(world.vmId, write));
      }
      world.knowledge.changed(diskId);
    }
    await backUp(world, { ...QUIET, report: { seed: random.below(2 ** 20) } });
  }
}

const drawn = fc.record(
  { runs: fc.integer({ min: 2, max: 3 }), writes: fc.integer({ min: 8, max: 24 }), seed: fc.nat() },
  { noNullPrototype: true },
);

const setups: fc.Arbitrary<Setup> = fc
  .record(
    { size: fc.constantFrom(2 * MiB, 3 * MiB), lies: fc.constantFrom(LIES[0], ...LIES) },
    { noNullPrototype: true },
  )
  .map(({ size, lies }) => ({
    disks: [{ size, sector: 512 }],
    wire: false,
    encrypted: false,
    granularity: GRANULE,
    lies,
  }));

/** `command`: anything else. */
export function lyingSequences(
  command: fc.Arbitrary<Command>,
): fc.Arbitrary<{ setup: Setup; steps: Command[] }> {
  const step = fc.oneof(
    { weight: 3, arbitrary: commands('increments', drawn, increments) },
    { weight: 1, arbitrary: command },
  );
  const steps = fc.array(step, { minLength: 2, maxLength: 4, size: 'max' });
  return fc.record({ setup: setups, steps }, { noNullPrototype: true });
}
