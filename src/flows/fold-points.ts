/**
 * Folding without a backup: the newest restore point of each VM, once more, with its slots of many pieces stored whole.
 *
 *   newest point (of each consumer) ─► which slots? ─► a point of the same content, behind it ─► the baseline is its own now
 *
 * So the next increment is laid over whole slots, and a restore of the newest state reads front to back. Nothing is changed and
 * nothing dropped: the point before it goes by the rules of retention, which count the two as one. The baseline is recorded for
 * the new point before it is forgotten for the old one: cut anywhere, the next backup finds one of the two, and both are right.
 */
import {
  hasCode,
  isFault,
  newGuid,
  silentProgress,
  warningOf,
  type Progress,
  type Warning,
} from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { FoldState, PointDisk, Repository, RestorePoint, WriteSession } from '../repository/index.ts';
import { flowFaults } from './faults.ts';
import { isMeant } from './selection.ts';
import { SuspectPoints } from './suspect-points.ts';

export interface FoldPointsRequest extends CallOptions {
  /** Only VMs of this name or GUID. */
  readonly vm?: string | undefined;
  /** What may be stored, of all VMs together and before compression; default: as much as is worth it. */
  readonly bytesMax?: number | undefined;
  /** Says what would be folded, and stores nothing. */
  readonly dryRun: boolean;
  /** Advanced by the bytes of slots that were folded. */
  readonly progress?: Progress;
  /** Threads at most; default: one a processor. */
  readonly workers?: number;
}

export interface FoldedDisk extends FoldState {
  readonly diskId: string;
  /** On the host. */
  readonly path: string;
  /** Of the slots, those that are whole now; 0 with a dry run. */
  readonly foldedSlots: number;
  /** Stored for that, before and after compression. */
  readonly newRawBytes: number;
  readonly newStoredBytes: number;
}

/** The newest restore point of a VM and consumer. */
export interface FoldedPoint {
  readonly pointId: string;
  readonly vm: { readonly id: string; readonly name: string };
  readonly consumer?: string;
  readonly createdAt: string;
  /** The point that has its content from now on; absent: nothing was folded. */
  readonly foldedInto?: string;
  readonly disks: readonly FoldedDisk[];
}

export interface FoldRecord {
  readonly runId: string;
  readonly dryRun: boolean;
  readonly points: readonly FoldedPoint[];
  readonly warnings: readonly Warning[];
}

export function foldPoints(repository: Repository, request: FoldPointsRequest): Promise<FoldRecord> {
  return new Folding(repository, request).run();
}

class Folding {
  readonly #repository: Repository;
  readonly #request: FoldPointsRequest;
  readonly #call: CallOptions;
  readonly #warnings: Warning[] = [];
  readonly #runId = newGuid();
  #bytesLeft: number;

  constructor(repository: Repository, request: FoldPointsRequest) {
    this.#repository = repository;
    this.#request = request;
    this.#call = { signal: request.signal };
    this.#bytesLeft = request.bytesMax ?? Infinity;
  }

  async run(): Promise<FoldRecord> {
    const points: FoldedPoint[] = [];
    for (const [vmId, name] of await this.#vms()) points.push(...(await this.#vm(vmId, name)));
    return { runId: this.#runId, dryRun: this.#request.dryRun, points, warnings: this.#warnings };
  }

  async #vms(): Promise<Map<string, string>> {
    const { vm } = this.#request;
    const names = new Map<string, string>();
    const points = this.#repository.shownPoints(this.#call);
    await this.#despiteDamage(async () => {
      for await (const { vm: each } of points)
        if (vm === undefined || isMeant({ ...each, notes: [] }, vm)) names.set(each.id, each.name);
    });
    if (vm !== undefined && names.size === 0) throw flowFaults.noPointsOf({ vm });
    return names;
  }

  /** A manifest that is damaged is not folded; the others are. */
  async #despiteDamage(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      if (!isFault(error) || error.kind !== 'corrupt') throw error;
      const warning = warningOf(error);
      if (!this.#warnings.some(({ message }) => message === warning.message)) this.#warnings.push(warning);
    }
  }

  async #vm(vmId: string, name: string): Promise<FoldedPoint[]> {
    if (this.#request.dryRun) return this.#each(vmId, (point) => this.#measured(point));
    try {
      await using _lease = await this.#repository.lockVm(vmId, this.#call);
      return await this.#each(vmId, (point) => this.#folded(point));
    } catch (error) {
      if (!hasCode(error, 'REPO_VM_BUSY')) throw error;
      this.#warnings.push(warningOf(flowFaults.vmNotFolded({ vm: name }, { cause: error })));
      return [];
    }
  }

  async #each(vmId: string, use: (point: RestorePoint) => Promise<FoldedPoint>): Promise<FoldedPoint[]> {
    const done: FoldedPoint[] = [];
    for (const point of await this.#newest(vmId)) done.push(await use(point));
    return done;
  }

  /** Of each consumer. Not one that is suspect of lacking changes: later points name it, and would not name its copy. */
  async #newest(vmId: string): Promise<RestorePoint[]> {
    const newest = new Map<string | undefined, RestorePoint>();
    const suspects = new SuspectPoints();
    await this.#despiteDamage(async () => {
      for await (const point of this.#repository.points({ vmId, ...this.#call })) {
        const isSuspect = suspects.of(point) !== undefined;
        if (!newest.has(point.consumer) && !isSuspect) newest.set(point.consumer, point);
      }
    });
    return [...newest.values()];
  }

  async #measured(point: RestorePoint): Promise<FoldedPoint> {
    const disks: FoldedDisk[] = [];
    for (const disk of point.disks) disks.push(await this.#measure(disk));
    return recordOf(point, disks);
  }

  async #measure(disk: PointDisk): Promise<FoldedDisk> {
    const state = await this.#repository.foldState(disk, this.#call);
    const { diskId, path } = disk;
    return { diskId, path, ...state, foldedSlots: 0, newRawBytes: 0, newStoredBytes: 0 };
  }

  async #folded(point: RestorePoint): Promise<FoldedPoint> {
    const before = await this.#measured(point);
    if (before.disks.every(({ foldableSlots }) => foldableSlots === 0)) return before;
    const { workers } = this.#request;
    const options = { ...this.#call, ...(workers === undefined ? {} : { workers }) };
    await using session = await this.#repository.startSession(options);
    const disks: PointDisk[] = [];
    const told: FoldedDisk[] = [];
    for (const [index, disk] of point.disks.entries()) {
      const made = await this.#disk(session, disk, before.disks[index]!);
      disks.push(made.disk);
      told.push(made.told);
    }
    if (told.every(({ foldedSlots }) => foldedSlots === 0)) return before;
    const folded = await session.commitFolded(point, { runId: this.#runId, disks });
    await this.#moveBaseline(point, folded);
    const record = recordOf(point, told, folded.id);
    return record;
  }

  async #disk(
    session: WriteSession,
    disk: PointDisk,
    told: FoldedDisk,
  ): Promise<{ readonly disk: PointDisk; readonly told: FoldedDisk }> {
    const { root, size } = disk;
    if (told.foldableSlots === 0 || this.#bytesLeft <= 0) return { disk: withoutStats(disk), told };
    const { progress = silentProgress } = this.#request;
    const reader = this.#repository.openDisk(root, size, { order: 'ascending' });
    const bytesMax = this.#bytesLeft;
    const made = await session.foldDisk({ root, size, reader, bytesMax, progress, ...this.#call });
    const { foldedSlots, foldedBytes, newRawBytes, newStoredBytes } = made.stats;
    this.#bytesLeft -= foldedBytes;
    return {
      disk: { ...disk, root: made.root, stats: made.stats },
      told: { ...told, foldedSlots, newRawBytes, newStoredBytes },
    };
  }

  async #moveBaseline(from: RestorePoint, to: RestorePoint): Promise<void> {
    const baselines = await this.#repository.baselines(from.vm.id, this.#call);
    for (const baseline of baselines.filter(({ pointId }) => pointId === from.id)) {
      await this.#repository.recordBaseline({ ...baseline, pointId: to.id }, this.#call);
      await this.#repository.forgetBaseline(baseline, this.#call);
    }
  }
}

/** They count what the backup stored, and its point tells that already. */
function withoutStats({ stats: _stats, ...disk }: PointDisk): PointDisk {
  return disk;
}

function recordOf(point: RestorePoint, disks: readonly FoldedDisk[], foldedInto?: string): FoldedPoint {
  const { id, name } = point.vm;
  return {
    pointId: point.id,
    vm: { id, name },
    ...(point.consumer === undefined ? {} : { consumer: point.consumer }),
    createdAt: point.created,
    ...(foldedInto === undefined ? {} : { foldedInto }),
    disks,
  };
}
