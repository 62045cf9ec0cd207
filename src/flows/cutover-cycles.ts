/** The cycles of a cutover: those before the shutdown, until little is left to bring, and the last one, of a VM that is off. */
import { endOf, normalise, type Extent } from '../extents/index.ts';
import { cutoverFaults } from './cutover-faults.ts';
import type { Changes, CutoverRun } from './cutover-run.ts';
import { mustBeOff } from './cutover-source.ts';
import { CHANGED_KEPT_MAX, type FinalDelta } from './cutover-state.ts';
import { replicateHeld, type HeldCycle, type ReplicateRecord } from './replicate.ts';

/** A cycle that changes more than this share of what the one before did is not worth another. */
const SHRINKS_TO = 0.8;
/** Whoever starts and stops the VM again and again has to be found. */
const ROUNDS_MAX = 3;

/** Until a cycle changes little, or no less than the one before it: then it is as small as it gets. */
export async function preCopy(run: CutoverRun): Promise<Changes> {
  const { deltaTargetBytes, preCopiesMax } = run.state.choices;
  let before = Infinity;
  for (let copies = 0; copies < preCopiesMax; copies += 1) {
    const bytes = changedBytes(await cycle(run));
    if (bytes <= deltaTargetBytes || bytes > before * SHRINKS_TO) break;
    before = bytes;
  }
  return { step: 'shutting-down' };
}

/**
 * What the VM wrote last. When the host shows that the VM was on while it was read, again; a round that finds nothing new is
 * as good as one in which nothing happened.
 */
export async function finalDelta(run: CutoverRun): Promise<Changes> {
  const changed = new Map<string, Extent[]>();
  const rounds: ReplicateRecord[] = [];
  while (rounds.length < ROUNDS_MAX) {
    const before = await mustBeOff(run);
    const record = await lastCycle(run, changed);
    rounds.push(record);
    const after = await mustBeOff(run);
    const calm = after.changedAt === before.changedAt || (rounds.length > 1 && changedBytes(record) === 0);
    if (!calm) continue;
    const { changedAt } = after;
    return {
      step: 'verifying',
      off: { ...run.state.off!, ...(changedAt === undefined ? {} : { changedAt }) },
      final: finalOf(rounds, changed),
    };
  }
  throw cutoverFaults.sourceUnsteady({ ...run.about, rounds: ROUNDS_MAX });
}

function lastCycle(run: CutoverRun, changed: Map<string, Extent[]>): Promise<ReplicateRecord> {
  return cycle(run, {
    turnedOff: run.state.turnedOff ?? false,
    changed: (diskId, runs) => changed.set(diskId, coarse(changed.get(diskId) ?? [], runs)),
    // The host merges by itself; whoever waits for it keeps a service down.
    mergeTimeoutMs: 0,
  });
}

function cycle(
  { deps, replica, options, state }: CutoverRun,
  about: Partial<HeldCycle> = {},
): Promise<ReplicateRecord> {
  const { signal, progress } = options;
  const { target } = deps;
  return replicateHeld(deps, replica, {
    vm: replica.state.vm.id,
    target,
    stateFolder: replica.folder,
    skipUnprotectable: state.choices.skipUnprotectable,
    signal,
    progress,
    ...about,
  });
}

function changedBytes({ disks }: ReplicateRecord): number {
  return disks.reduce((sum, { writtenBytes, zeroedBytes }) => sum + writtenBytes + zeroedBytes, 0);
}

/** Of all rounds together. */
function finalOf(
  rounds: readonly ReplicateRecord[],
  changed: ReadonlyMap<string, readonly Extent[]>,
): FinalDelta {
  const sum = (of: (record: ReplicateRecord) => number): number =>
    rounds.reduce((total, record) => total + of(record), 0);
  return {
    generation: rounds.at(-1)!.generation,
    readBytes: sum(({ disks }) => disks.reduce((total, { readBytes }) => total + readBytes, 0)),
    changedBytes: sum(changedBytes),
    seconds: sum(({ startedAt, finishedAt }) => (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000),
    rounds: rounds.length,
    changed: [...changed].map(([diskId, extents]) => ({
      diskId,
      extents: extents.map(({ offset, length }) => [offset, length]),
    })),
  };
}

/** All of `first` and `second`, in few enough extents to be kept: the smallest gaps are taken in. */
export function coarse(first: readonly Extent[], second: Iterable<Extent>): Extent[] {
  const all = normalise([...first, ...second]);
  const tooMany = all.length - CHANGED_KEPT_MAX;
  if (tooMany <= 0) return all;
  const gapBefore = (index: number): number => all[index]!.offset - endOf(all[index - 1]!);
  const byGap = Array.from(all.keys()).slice(1);
  byGap.sort((a, b) => gapBefore(a) - gapBefore(b));
  const joined = new Set(byGap.slice(0, tooMany));
  const kept: Extent[] = [];
  for (const [index, extent] of all.entries()) {
    const before = joined.has(index) ? kept.pop()! : extent;
    kept.push({ offset: before.offset, length: endOf(extent) - before.offset });
  }
  return kept;
}
