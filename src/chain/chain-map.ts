/**
 * The map of a chain: each byte of the disk in one run, and where the run's bytes are.
 *
 *   data   in a file, at an offset of it
 *   zero   a file says that it reads as zeros, whatever its parents hold
 *   hole   no file says anything: it reads as zeros
 *
 * Runs come in the order of the disk, neighbours merged. Memory is that of one window, whatever the disk's size.
 */
import { MiB } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { clip, endOf, type Extent } from '../extents/index.ts';
import { absentFromChainUntil, LayerRuns, type ChainLayer } from './layer-runs.ts';

/** Bytes of the disk looked at together: at worst 524288 runs of a sector each. */
const WINDOW = 256 * MiB;

export type MappedRun =
  | (Extent & { readonly kind: 'data'; readonly layer: number; readonly fileOffset: number })
  | (Extent & { readonly kind: 'zero'; readonly layer: number })
  | (Extent & { readonly kind: 'hole' });

export interface MapOptions extends CallOptions {
  /** Only what this file says, 0 being the leaf: a hole is then what it leaves to its parent. Default: the whole chain. */
  readonly layer?: number | undefined;
}

/** `layers` are leaf first. */
export async function* mapLayers(
  layers: readonly ChainLayer[],
  { layer, signal }: MapOptions,
): AsyncGenerator<MappedRun> {
  const asked = [...layers.entries()].filter(([index]) => layer === undefined || index === layer);
  const size = asked[0]?.[1].size ?? 0;
  let pending: MappedRun | undefined;
  for await (const run of runsInParts(asked, size, { signal })) {
    const joined: MappedRun | undefined = pending && join(pending, run);
    if (pending && !joined) yield pending;
    pending = joined ?? run;
  }
  if (pending) yield pending;
}

type NumberedLayer = readonly [number, ChainLayer];

async function* runsInParts(
  layers: readonly NumberedLayer[],
  size: number,
  options: CallOptions,
): AsyncGenerator<MappedRun> {
  const chain = layers.map(([, layer]) => layer);
  for (let at = 0; at < size;) {
    options.signal?.throwIfAborted();
    const start = Math.min(size, absentFromChainUntil(chain, at));
    if (start > at) yield { offset: at, length: start - at, kind: 'hole' };
    at = Math.min(start + WINDOW, size);
    if (start < at) yield* await windowRuns(layers, start, at, options);
  }
}

async function windowRuns(
  layers: readonly NumberedLayer[],
  start: number,
  end: number,
  options: CallOptions,
): Promise<MappedRun[]> {
  const found: MappedRun[] = [];
  let unresolved: readonly Extent[] = [{ offset: start, length: end - start }];
  for (const [index, layer] of layers) {
    const runs = new LayerRuns();
    // Beyond the end of a smaller parent nothing is held, by its own parents neither.
    for (const range of clip(unresolved, layer.size)) {
      await layer.runs(range.offset, endOf(range), runs, options);
    }
    for (const run of runs.data) found.push({ ...run, kind: 'data', layer: index });
    for (const run of runs.zeros) found.push({ ...run, kind: 'zero', layer: index });
    unresolved = runs.absent;
    if (unresolved.length === 0) break;
  }
  found.sort((a, b) => a.offset - b.offset);
  return withHoles(found, start, end);
}

function withHoles(found: readonly MappedRun[], start: number, end: number): MappedRun[] {
  const runs: MappedRun[] = [];
  let reached = start;
  const holeUpTo = (offset: number): void => {
    if (offset > reached) runs.push({ offset: reached, length: offset - reached, kind: 'hole' });
  };
  for (const run of found) {
    holeUpTo(run.offset);
    runs.push(run);
    reached = endOf(run);
  }
  holeUpTo(end);
  return runs;
}

/** Two neighbours as one run, when they say the same. */
function join(a: MappedRun, b: MappedRun): MappedRun | undefined {
  if (a.kind !== b.kind) return undefined;
  if (a.kind !== 'hole' && a.layer !== (b as typeof a).layer) return undefined;
  if (a.kind === 'data' && a.fileOffset + a.length !== (b as typeof a).fileOffset) return undefined;
  return { ...a, length: a.length + b.length };
}
