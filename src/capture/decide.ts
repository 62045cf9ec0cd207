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
  if (!continues(known.chain, disk.chain)) return compare('chain-changed');
  return {
    kind: 'delta',
    reason: 'changes-since-reference-point',
    baseline: state.usable,
    disk: known,
  };
}

/**
 * A chain grows at the leaf when a user takes a checkpoint and shrinks at the leaf when one is deleted. Any other difference
 * (a sibling leaf: the VM was reverted; another base: the disk was moved or rebuilt) means that tracking may not know
 * every change. Chains are leaf first; what is compared is the common part at the base.
 */
function continues(before: readonly string[], now: readonly string[]): boolean {
  const shared = Math.min(before.length, now.length);
  const baseEnd = (chain: readonly string[]): string =>
    chain
      .slice(chain.length - shared)
      .join('|')
      .toLowerCase();
  return shared > 0 && baseEnd(before) === baseEnd(now);
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
