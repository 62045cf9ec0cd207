/**
 * Dropping restore points that no rule keeps.
 *
 *   points of a VM ─► good? held? baseline? ─► rules of its policy ─► under the VM's lock, once more ─► manifests deleted
 *
 * What the points alone needed is garbage from then on, and is collected apart. A VM that is being backed up is left alone: its
 * run may lay its changes over any of the points.
 */
import { hasCode, isFault, silentProgress, warningOf, type Progress, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import {
  isEmptyPolicy,
  retain,
  type KeepReason,
  type RetainablePoint,
  type RetentionPolicy,
  type Repository,
  type RestorePoint,
} from '../repository/index.ts';
import { flowFaults } from './faults.ts';
import { isMeant } from './selection.ts';
import { SuspectPoints } from './suspect-points.ts';
import { readSettings } from './vm-settings.ts';

/** The first that means the VM counts, as a whole. */
export interface VmRetention {
  /** A name, GUID, pattern or `#tag`, as a selection has it. */
  readonly match: string;
  readonly keep: RetentionPolicy;
}

export interface PruneRequest extends CallOptions {
  readonly retention: readonly VmRetention[];
  /** Only VMs of this name or GUID. */
  readonly vm?: string | undefined;
  /** Says what would be dropped, and drops nothing. */
  readonly dryRun: boolean;
  readonly progress?: Progress;
}

export interface PrunePoint {
  readonly pointId: string;
  readonly vm: { readonly id: string; readonly name: string };
  readonly consumer?: string;
  readonly createdAt: string;
  readonly good: boolean;
  /** Why it is kept; empty: it is dropped. */
  readonly keptBy: readonly (KeepReason | 'busy')[];
  readonly pin?: string;
}

export interface PruneRecord {
  readonly dryRun: boolean;
  readonly points: readonly PrunePoint[];
  readonly kept: number;
  /** With a dry run: would be dropped. */
  readonly dropped: number;
  readonly warnings: readonly Warning[];
}

interface Candidate extends RetainablePoint {
  readonly point: RestorePoint;
}

interface Verdict {
  readonly candidate: Candidate;
  readonly keptBy: PrunePoint['keptBy'];
}

/** Throws `REPO_PRUNE_BUSY`. */
export async function prunePoints(repository: Repository, request: PruneRequest): Promise<PruneRecord> {
  const pruning = new Pruning(repository, request);
  if (request.dryRun) return pruning.run();
  await using _lease = await repository.lockPruning({ signal: request.signal });
  return await pruning.run();
}

class Pruning {
  readonly #repository: Repository;
  readonly #request: PruneRequest;
  readonly #progress: Progress;
  readonly #warnings: Warning[] = [];
  /** Everything that was stored before was read back since; undefined: not everything ever was. */
  #verifiedSince: string | undefined;
  /** Read whole by themselves. */
  #verifiedPoints: ReadonlySet<string> = new Set();

  constructor(repository: Repository, request: PruneRequest) {
    this.#repository = repository;
    this.#request = request;
    this.#progress = request.progress ?? silentProgress;
  }

  async run(): Promise<PruneRecord> {
    const verdicts: Verdict[] = [];
    const call = { signal: this.#request.signal };
    this.#verifiedSince = (await this.#repository.verified(call)).since;
    this.#verifiedPoints = await this.#repository.verifiedPoints(call);
    for (const vmId of await this.#vms()) verdicts.push(...(await this.#vm(vmId)));
    const dropped = verdicts.filter(({ keptBy }) => keptBy.length === 0).length;
    return {
      dryRun: this.#request.dryRun,
      points: verdicts.map(recordOf),
      kept: verdicts.length - dropped,
      dropped,
      warnings: this.#warnings,
    };
  }

  /** Ids of the VMs that are meant. A damaged manifest is of no VM: it is left where it is, and said. */
  async #vms(): Promise<Set<string>> {
    const { signal, vm } = this.#request;
    const ids = new Set<string>();
    const points = this.#repository.points({ signal });
    try {
      for await (const { vm: each } of points)
        if (vm === undefined || isMeant({ ...each, notes: [] }, vm)) ids.add(each.id);
    } catch (error) {
      if (!isFault(error) || error.kind !== 'corrupt') throw error;
      this.#warnings.push(warningOf(error));
    }
    if (vm !== undefined && ids.size === 0) throw flowFaults.noPointsOf({ vm });
    return ids;
  }

  async #vm(vmId: string): Promise<Verdict[]> {
    this.#request.signal?.throwIfAborted();
    const seen = await this.#decide(vmId);
    this.#progress.advance(1);
    if (this.#request.dryRun || seen.every(({ keptBy }) => keptBy.length > 0)) return seen;
    try {
      return await this.#drop(vmId);
    } catch (error) {
      if (!hasCode(error, 'REPO_VM_BUSY')) throw error;
      const { name } = seen[0]!.candidate.point.vm;
      this.#warnings.push(warningOf(flowFaults.vmNotPruned({ vm: name }, { cause: error })));
      return seen.map((each) => (each.keptBy.length > 0 ? each : { ...each, keptBy: ['busy'] }));
    }
  }

  /** Decided anew under the lock: until then a run may have made a baseline of a point. Oldest first, as they came. */
  async #drop(vmId: string): Promise<Verdict[]> {
    const { signal } = this.#request;
    await using lease = await this.#repository.lockVm(vmId, { signal });
    const verdicts = await this.#decide(vmId);
    for (const { candidate, keptBy } of verdicts.toReversed()) {
      if (keptBy.length > 0) continue;
      await lease.check({ signal });
      await this.#repository.dropPoint(candidate.point, { signal });
    }
    return verdicts;
  }

  async #decide(vmId: string): Promise<Verdict[]> {
    const candidates = await this.#candidates(vmId);
    const policy = await this.#policyOf(candidates[0]?.point);
    const verdicts: Verdict[] = [];
    for (const group of Map.groupBy(candidates, ({ point }) => point.consumer).values()) {
      for (const { point: candidate, keptBy } of retain(group, policy)) verdicts.push({ candidate, keptBy });
    }
    return verdicts;
  }

  /** Newest first. Good is what can be read as far as is known, and what no later audit found to lack changes. */
  async #candidates(vmId: string): Promise<Candidate[]> {
    const { signal } = this.#request;
    const repository = this.#repository;
    const pins = await repository.pins({ vmId, signal });
    const baselines = new Set((await repository.baselines(vmId, { signal })).map(({ pointId }) => pointId));
    const suspects = new SuspectPoints();
    const candidates: Candidate[] = [];
    const replaced = new Set<string>();
    try {
      for await (const point of repository.points({ vmId, signal })) {
        const { id, created } = point;
        const isGood = suspects.of(point) === undefined && !(await this.#isDamaged(point));
        const isVerified =
          this.#verifiedPoints.has(id) ||
          (this.#verifiedSince !== undefined && created < this.#verifiedSince);
        const isBaseline = baselines.has(id);
        const isReplaced = replaced.has(id);
        // Newest first: the point that another one was folded from comes behind it.
        if (isGood && point.foldedFrom !== undefined) replaced.add(point.foldedFrom);
        candidates.push({
          id,
          created,
          point,
          isGood,
          isVerified,
          pin: pins.get(id),
          isBaseline,
          isReplaced,
        });
      }
    } catch (error) {
      if (!isFault(error) || error.kind !== 'corrupt') throw error; // it was said when the VMs were listed
    }
    return candidates;
  }

  async #isDamaged(point: RestorePoint): Promise<boolean> {
    const { disks, settings } = await this.#repository.lossesOf(point, { signal: this.#request.signal });
    return disks.length + settings.length > 0;
  }

  async #policyOf(newest: RestorePoint | undefined): Promise<RetentionPolicy> {
    const { retention } = this.#request;
    const isTagged = retention.some(({ match }) => match.startsWith('#'));
    const notes = newest && isTagged ? await this.#notesOf(newest) : [];
    // Without the tags of a VM, a policy that is meant for others could be taken for its own: everything is kept.
    if (!newest || !notes) return {};
    const { id, name } = newest.vm;
    const own = retention.find(
      ({ match, keep }) => !isEmptyPolicy(keep) && isMeant({ id, name, notes }, match),
    );
    return own?.keep ?? {};
  }

  /** Undefined when the settings cannot be read. */
  async #notesOf(point: RestorePoint): Promise<string[] | undefined> {
    const settings = await readSettings(this.#repository, point, { signal: this.#request.signal });
    if (!(settings instanceof Uint8Array)) return undefined;
    const { notes } = JSON.parse(Buffer.from(settings).toString()) as { notes?: unknown };
    return Array.isArray(notes) ? notes.map(String) : [];
  }
}

function recordOf({ candidate, keptBy }: Verdict): PrunePoint {
  const { point, pin, isGood } = candidate;
  const { id, name } = point.vm;
  return {
    pointId: point.id,
    vm: { id, name },
    ...(point.consumer === undefined ? {} : { consumer: point.consumer }),
    createdAt: point.created,
    good: isGood,
    keptBy,
    ...(pin === undefined ? {} : { pin }),
  };
}
