/**
 * The staging of a generation: an overlay a disk, over what the target holds. It is the journal of the generation: durable
 * as a whole before the generation is committed, and brought to the target afterwards, again if that was cut short.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { forEachBounded, hasCode, MiB } from '../base/index.ts';
import { syncFolder, syncTree, type CallOptions } from '../disk/index.ts';
import { piecesOf } from '../extents/index.ts';
import { OverlayDisk, type WrittenRun } from '../overlay/index.ts';
import type { TargetDisk } from '../targets/index.ts';
import type { Replica } from './replicate-state.ts';

const PIECE_BYTES = MiB;
const PIECES_AT_ONCE = 8;
/** A server that restarts in each of them is not one to wait for. */
const MERGES_MAX = 4;

/** One disk of a generation: what changed, over what the target has. */
export class StagedDisk implements AsyncDisposable {
  readonly diskId: string;
  /** Reads as the new generation; what is written to it goes to the staging. */
  readonly disk: OverlayDisk;
  readonly #target: TargetDisk;

  private constructor(diskId: string, disk: OverlayDisk, target: TargetDisk) {
    this.diskId = diskId;
    this.disk = disk;
    this.#target = target;
  }

  /** For the generation that is being read. `target` belongs to the result, and is closed when it cannot be made. */
  static async create(
    replica: Replica,
    which: { diskId: string; generation: number },
    target: TargetDisk,
  ): Promise<StagedDisk> {
    return closingOnFailure(target, async () => {
      await mkdir(replica.stagingFolder, { recursive: true });
      const base = { disk: target, identity: identityOf(replica, which) };
      return new StagedDisk(which.diskId, await OverlayDisk.create(folderOf(replica, which), base), target);
    });
  }

  /** Of the generation that was committed. Throws `OVERLAY_NOT_ONE`, `OVERLAY_OTHER_BASE`. */
  static async open(
    replica: Replica,
    which: { diskId: string; generation: number },
    target: TargetDisk,
  ): Promise<StagedDisk> {
    return closingOnFailure(target, async () => {
      const base = { disk: target, identity: identityOf(replica, which) };
      return new StagedDisk(which.diskId, await OverlayDisk.open(folderOf(replica, which), base), target);
    });
  }

  /** Brings it to the target, durably. A connection that broke makes uncertain what arrived: then all of it again. */
  async merge(options: CallOptions & { advance(bytes: number): void }): Promise<void> {
    await this.#target.settleSize(options);
    for (let merge = 1; ; merge += 1) {
      const runs = partsOf(this.disk.written());
      await forEachBounded(runs, PIECES_AT_ONCE, (run) => this.#bring(run, options));
      try {
        return await this.#target.flush(options);
      } catch (error) {
        if (!hasCode(error, 'NBD_WRITES_UNCERTAIN') || merge === MERGES_MAX) throw error;
      }
    }
  }

  /** Closes the target's disk too. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disk.close();
  }

  async #bring(
    { offset, length, isZero }: WrittenRun,
    options: CallOptions & { advance(bytes: number): void },
  ): Promise<void> {
    options.signal?.throwIfAborted();
    if (isZero) await this.#target.zero(offset, length, options);
    else {
      const bytes = new Uint8Array(length);
      await this.disk.read(offset, bytes, options);
      await this.#target.write(offset, bytes, options);
    }
    options.advance(length);
  }
}

/**
 * Zeros as they are, data in pieces. Runs are brought at once like the pieces of one: what changed in a thousand places would be a
 * thousand round trips to a server, with the VM off in a cutover.
 */
async function* partsOf(runs: Iterable<WrittenRun>): AsyncGenerator<WrittenRun> {
  for (const run of runs) {
    if (run.isZero) yield run;
    else for await (const piece of piecesOf([run], PIECE_BYTES)) yield { ...piece, isZero: false };
  }
}

/** Everything that is staged survives a crash afterwards: the files, and the names that lead to them. */
export async function makeDurable(replica: Replica, staged: readonly StagedDisk[]): Promise<void> {
  if (staged.length === 0) return;
  for (const { disk } of staged) await disk.flush();
  await syncTree(replica.stagingFolder);
  await syncFolder(replica.folder);
}

async function closingOnFailure<T>(target: TargetDisk, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await target.close();
    throw error;
  }
}

function folderOf(replica: Replica, { diskId }: { diskId: string }): string {
  return join(replica.stagingFolder, diskId.toLowerCase().replaceAll(/[^0-9a-f-]/g, ''));
}

function identityOf(replica: Replica, which: { diskId: string; generation: number }): string {
  return `replica ${replica.id}, generation ${which.generation}, disk ${which.diskId.toLowerCase()}`;
}
