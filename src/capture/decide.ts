/** Full, compare or delta, for one disk, and why. Pure: the run record shows exactly what was decided here. */
import type { Baseline, CompareReason, DeltaReason, DiskBaseline, FullReason } from './source.ts';

export interface DiskFacts {
  readonly diskId: string;
  readonly size: number;
  readonly chain: readonly string[];
  readonly trackable: boolean;
}

export type Decision =
  | { readonly kind: 'full'; readonly reason: FullReason }
  | { readonly kind: 'compare'; readonly reason: CompareReason }
  | {
      readonly kind: 'delta';
      readonly reason: DeltaReason;
      readonly baseline: Baseline;
      readonly disk: DiskBaseline;
    };

export interface BaselineState {
  /** The newest baseline whose reference point stands on the host with the same tracking ids. */
  readonly usable: Baseline | undefined;
  /** The consumer had baselines at all. */
  readonly hadAny: boolean;
  /** Disks of which it holds content, with a baseline or without. */
  readonly earlierDisks: readonly string[];
  /** Nobody can have taken the VM back to a moment before the usable baseline. */
  readonly neverWentBack: boolean;
}

export function decide(disk: DiskFacts, state: BaselineState, fullRequested: boolean): Decision {
  const compare = (reason: CompareReason): Decision => ({ kind: 'compare', reason });
  if (fullRequested) return { kind: 'full', reason: 'requested' };
  if (!disk.trackable) return compare('tracking-unsupported');
  if (!state.hadAny && state.earlierDisks.length === 0) return { kind: 'full', reason: 'first-backup' };
  if (!state.hadAny) return compare('no-baseline');
  if (!state.usable) return compare('reference-point-lost');
  const known = state.usable.disks.find((candidate) => candidate.diskId === disk.diskId);
  if (!known)
    return compare(state.earlierDisks.includes(disk.diskId) ? 'not-in-reference-point' : 'new-disk');
  if (known.size !== disk.size) return compare('size-changed');
  if (!continues(known.chain, disk.chain, state.neverWentBack)) return compare('chain-changed');
  return {
    kind: 'delta',
    reason: 'changes-since-reference-point',
    baseline: state.usable,
    disk: known,
  };
}

/**
 * Whether the disk of now has the moment of the baseline in its past. Chains are leaf first.
 *
 *   before   u1 ─ base                  the leaf of then holds that moment
 *   now      u2 ─ u1 ─ base             a user took a checkpoint: it still does
 *            u2 ─ base                  the leaf is gone: it was merged into the base, or thrown away when the VM went back
 *            base                       likewise: a checkpoint was deleted, perhaps after the VM had gone back to it
 *
 * By the files alone, merged and thrown away look the same, and a host that believes in its tracking ids would then tell nothing of
 * what was undone. So a leaf that is gone is believed to be merged only when nobody can have gone back. Another base means that
 * the disk was moved or rebuilt.
 */
function continues(before: readonly string[], now: readonly string[], neverWentBack: boolean): boolean {
  const then = before.map((path) => path.toLowerCase());
  const files = now.map((path) => path.toLowerCase());
  if (then.length === 0 || then.at(-1) !== files.at(-1)) return false;
  const isThere = files.includes(then[0]!);
  if (!isThere && !neverWentBack) return false;
  const from = files.findIndex((path) => then.includes(path));
  return isPartOf(files.slice(from), then);
}

/** Some of `whole`, in its order: files between them were merged away. */
function isPartOf(some: readonly string[], whole: readonly string[]): boolean {
  const places = some.map((path) => whole.indexOf(path));
  return places.every((place, index) => place > (places[index - 1] ?? -1));
}

export interface HostReferencePoint {
  readonly instanceId: string;
  readonly disks: readonly { readonly rctId: string }[];
}

/** The newest baseline (they come newest first) that the host still knows, tracking ids included. */
export function usableBaseline(
  baselines: readonly Baseline[],
  onHost: readonly HostReferencePoint[],
): Baseline | undefined {
  return baselines.find((baseline) => {
    const point = onHost.find((candidate) => candidate.instanceId === baseline.referencePointId);
    if (!point) return false;
    const known = new Set(point.disks.map((disk) => disk.rctId));
    return baseline.disks.every((disk) => known.has(disk.rctId));
  });
}
