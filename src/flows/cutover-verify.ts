/**
 * Is the replica what the source holds? Both are read, from one more checkpoint of the VM that is off, and from the target.
 *
 *   sample   pieces drawn from all that is allocated, all that the last delta changed (of very much, pieces too), all that the host says
 *            changed since
 *   full     all that either side has
 */
import { GiB, KiB, MiB, mapOrdered, newGuid } from '../base/index.ts';
import type { Capture, CapturedDisk } from '../capture/index.ts';
import type { Disk } from '../disk/index.ts';
import {
  alignStream,
  piecesOf,
  totalBytes,
  unionStream,
  type Extent,
  type ExtentStream,
} from '../extents/index.ts';
import { cutoverFaults } from './cutover-faults.ts';
import type { Changes, CutoverRun } from './cutover-run.ts';
import { samplePieces } from './cutover-sample.ts';
import { mustBeOff } from './cutover-source.ts';
import { abortQuietly } from './replicate-hand-over.ts';
import { specOf } from './replicate-target.ts';

const PIECE_BYTES = MiB;
const PIECES_AT_ONCE = 8;
/**
 * Of each disk. When one in a hundred were wrong, 256 drawn ones would all miss it once in 13 times; one in ten, never. Larger ones
 * would find no more of what is wrong in many places, and 256 MiB of each disk take a link of 1 Gbit/s two seconds, with the VM off.
 */
const SAMPLE_PIECES = 256;
const SAMPLE_PIECE_BYTES = 64 * KiB;
/** The VM is off meanwhile: of more that the last delta changed on a disk, pieces of as much are drawn. */
const CHANGED_BYTES_MAX = GiB;
const GRID = 4096;

export async function verifyReplica(run: CutoverRun): Promise<Changes> {
  const { off, final, choices } = run.state;
  if (choices.verify === 'none') return { step: 'cloning' };
  const started = performance.now();
  const before = await mustBeOff(run);
  if (before.changedAt !== off?.changedAt) return { step: 'final-delta' };
  const { comparedBytes, difference } = await compareAll(run);
  const after = await mustBeOff(run);
  // A checkpoint may itself move that time, which the last delta has shown then by its second round.
  if (after.changedAt !== before.changedAt && final!.rounds === 1) return { step: 'final-delta' };
  if (difference) throw cutoverFaults.verifyFailed({ ...run.about, ...difference });
  const { changedAt } = after;
  return {
    step: 'cloning',
    off: { seenAt: off!.seenAt, ...(changedAt === undefined ? {} : { changedAt }) },
    verified: { comparedBytes, seconds: (performance.now() - started) / 1000 },
  };
}

interface Compared {
  comparedBytes: number;
  difference?: { readonly disk: string; readonly offset: number };
}

async function compareAll(run: CutoverRun): Promise<Compared> {
  const compared: Compared = { comparedBytes: 0 };
  const capture = await openForReading(run);
  try {
    for (const disk of capture.disks) {
      if (!compared.difference) await compareDisk(run, disk, compared);
    }
  } finally {
    await abortQuietly(capture);
  }
  return compared;
}

/** By the marks of the last delta, which tell what changed since; its checkpoint goes again when it has been read. */
function openForReading({ deps, replica, options, state }: CutoverRun): Promise<Capture> {
  const { vm, baselines, disks } = replica.state;
  return deps.source.open({
    vm: vm.id,
    runId: newGuid(),
    consistency: 'crash',
    baselines,
    earlierDisks: disks.map(({ diskId }) => diskId),
    skipUnprotectable: state.choices.skipUnprotectable,
    journal: replica.journal,
    ...options,
  });
}

async function compareDisk(run: CutoverRun, disk: CapturedDisk, compared: Compared): Promise<void> {
  const { deps, replica, options } = run;
  const there = await deps.target.openDisk(specOf(replica, { ...disk, diskId: disk.id }), options);
  try {
    options.progress.phase(`verify ${disk.path}`);
    for await (const extents of extentsToCompare(run, disk, there)) {
      const at = await firstDifference(run, { here: disk.reader, there, extents }, compared);
      if (at === undefined) continue;
      compared.difference = { disk: disk.path, offset: at };
      return;
    }
  } finally {
    await there.close();
  }
}

async function* extentsToCompare(
  { state, options }: CutoverRun,
  disk: CapturedDisk,
  there: Disk,
): AsyncGenerator<ExtentStream | readonly Extent[]> {
  const { signal } = options;
  const here = disk.reader.allocated(undefined, { signal });
  if (state.choices.verify === 'full') {
    const other = there.allocated(undefined, { signal });
    yield unionStream(alignStream(here, GRID, disk.size), alignStream(other, GRID, disk.size));
    return;
  }
  const pairs = state.final?.changed.find(({ diskId }) => diskId === disk.id)?.extents ?? [];
  const changed = pairs.map(([offset, length]) => ({ offset, length }));
  const count = CHANGED_BYTES_MAX / PIECE_BYTES;
  yield totalBytes(changed) <= CHANGED_BYTES_MAX
    ? changed
    : await samplePieces(changed, { count, pieceBytes: PIECE_BYTES });
  if (disk.kind === 'delta') yield disk.extents;
  yield await samplePieces(here, { count: SAMPLE_PIECES, pieceBytes: SAMPLE_PIECE_BYTES });
}

interface Sides {
  readonly here: Disk;
  readonly there: Disk;
  readonly extents: ExtentStream | readonly Extent[];
}

async function firstDifference(
  { options: { signal, progress } }: CutoverRun,
  { here, there, extents }: Sides,
  compared: Compared,
): Promise<number | undefined> {
  const compare = async ({ offset, length }: Extent): Promise<number> => {
    signal?.throwIfAborted();
    const [one, other] = [new Uint8Array(length), new Uint8Array(length)];
    await Promise.all([here.read(offset, one, { signal }), there.read(offset, other, { signal })]);
    compared.comparedBytes += length;
    progress.advance(length);
    if (Buffer.compare(one, other) === 0) return -1;
    return offset + one.findIndex((byte, index) => byte !== other[index]);
  };
  for await (const at of mapOrdered(piecesOf(extents, PIECE_BYTES), PIECES_AT_ONCE, compare))
    if (at >= 0) return at;
  return undefined;
}
