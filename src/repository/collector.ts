/**
 * Collecting garbage, in two runs that must agree.
 *
 *   sessions ─► points ─► index ─► packs ─► mark ─► rewrite what is mostly dead ─► next epoch ─► index without ─► delete
 *
 * What nothing refers to is *condemned* by one run: writers do not use it any more. A later run, when every session that
 * could not know has ended, marks anew; what is still dead is *doomed*, and only then deleted. The order of the first four
 * matters: a session that has ended before they were listed has its point in the list of points, and one that began later sees
 * the epoch. Cut anywhere, everything a restore point needs is there, and the next run goes on.
 */
import { hasCode, MiB, silentProgress, type Progress } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { BlockMap } from './block-map.ts';
import { changes, planEpoch, type EpochPlan } from './epoch-plan.ts';
import { isUsable, noEpoch, type Epoch, type Epochs } from './epochs.ts';
import { repositoryFaults } from './faults.ts';
import { PACK_FRAME_BYTES, hexOf, packName } from './format.ts';
import { Lease, type LeaseOptions } from './lease.ts';
import { extendLocks } from './lock-extension.ts';
import { Marking } from './marking.ts';
import type { ObjectCodec } from './object.ts';
import { ObjectIndex, type AvoidedPlaces } from './object-index.ts';
import { ObjectReader } from './object-reader.ts';
import { PackReader } from './pack-reader.ts';
import { rewritePacks } from './pack-rewrite.ts';
import type { Points } from './points.ts';
import { READING_EPOCH, type SessionRegistry } from './session-registry.ts';

export interface CollectRequest extends CallOptions {
  /** Says what would be done, and does nothing. */
  readonly dryRun?: boolean;
  readonly progress?: Progress;
  /** So much of the index is written anew for any pack that goes: see {@link INDEX_SHARE_MAX}. Default: 16 MiB. */
  readonly indexBytesFree?: number;
  /** For the leases of the collector and of sessions. */
  readonly lease?: Pick<LeaseOptions, 'beatMs' | 'observeMs'>;
}

export interface PackTally {
  readonly packs: number;
  readonly bytes: number;
}

export interface CollectReport {
  /** Of the repository after the run; 0: nothing was ever to be collected. */
  readonly epoch: number;
  readonly points: number;
  readonly openSessions: number;
  /** Of these, those that only read: nothing is deleted meanwhile. */
  readonly readers: number;
  /** Packs that restore points need. */
  readonly alive: PackTally;
  /** Of those packs, what no restore point needs: less than half of each. */
  readonly deadInAliveBytes: number;
  /** Found dead just now: deleted by a later run. */
  readonly condemned: PackTally;
  /** Were condemned, and are needed again. */
  readonly revived: PackTally;
  /** Dead, and kept since a session that began before they were condemned is still open. */
  readonly waiting: PackTally;
  readonly deleted: PackTally;
  /** Doomed, and deleted when there are more of them: it would cost more to write the index without them than they are worth. */
  readonly postponed: PackTally;
  /** Mostly dead: what is alive in them was copied, and they are among the condemned. */
  readonly rewritten: PackTally;
  readonly segmentsDeleted: number;
}

export interface CollectorParts {
  readonly store: ObjectStore;
  readonly repositoryId: Uint8Array;
  readonly codec: ObjectCodec;
  readonly points: Points;
  readonly epochs: Epochs;
  readonly sessions: SessionRegistry;
  /** Of an object that is damaged in one place, another is taken to be the living one. */
  readonly quarantine: AvoidedPlaces;
}

/**
 * Of what packs give back, what may be written of the index for it. Ids are random, so a segment of a large index names packs of every
 * age: with a hundred million objects each run would write 5 GB for the packs of one dropped point. So dead packs wait, at most
 * four times the index.
 */
const INDEX_SHARE_MAX = 1 / 4;
const INDEX_BYTES_FREE = 16 * MiB;
/** Below it, a pack costs more to keep than to copy. */
const ALIVE_MIN = 0.5;

/** What a run found, before it decided anything. */
interface Found {
  readonly epoch: Epoch;
  readonly sessions: readonly number[];
  readonly points: number;
  readonly packs: ReadonlyMap<string, number>;
  /** Packs the index named before they were listed. */
  readonly indexed: ReadonlySet<string>;
  readonly marking: Marking;
  /** The object of the epoch is damaged, and has to be replaced. */
  readonly isDamaged: boolean;
}

export class Collector {
  readonly #parts: CollectorParts;
  readonly #request: CollectRequest;
  readonly #progress: Progress;
  /** Of its own: what others learn of the index meanwhile must not mix with what was marked. */
  readonly #index: ObjectIndex;
  readonly #packs: PackReader;

  constructor(parts: CollectorParts, request: CollectRequest) {
    this.#parts = parts;
    this.#request = request;
    this.#progress = request.progress ?? silentProgress;
    this.#index = new ObjectIndex(parts.store, parts.repositoryId, parts.quarantine);
    this.#packs = new PackReader(parts.store, parts.repositoryId);
  }

  /**
   * Throws `REPO_COLLECTOR_BUSY`; `REPO_EPOCH_MOVED` when another run made a step meanwhile; and what a damaged restore point
   * or index throws, with nothing deleted: what it needs cannot be told.
   */
  async run(): Promise<CollectReport> {
    await using lease = await this.#lock();
    const found = await this.#look();
    const kept = this.#index.segments;
    const half = this.#mostlyDead(found);
    const isSteady = kept === this.#index.segments; // else places were marked that are not the ones found again
    const copied =
      isSteady && !this.#request.dryRun ? await this.#rewrite(found, half) : { emptied: new Set<string>() };
    const emptied = this.#request.dryRun ? new Set(half.keys()) : copied.emptied;
    const plan = this.#plan(found, emptied);
    if (this.#request.dryRun) {
      const isTooDear = await this.#isTooDear(plan.next.doomed, found.packs);
      const deleted = isTooDear ? [] : [...plan.next.doomed.keys()];
      return this.#report(found, plan, emptied, { deleted, segments: 0 });
    }
    await lease.check(this.#request);
    const epoch = await this.#step(found, plan);
    const deleted = await this.#sweep(epoch, found.packs);
    const segments = await this.#index.collect(this.#request);
    await this.#parts.epochs.clear(this.#request);
    await extendLocks(this.#parts.store, this.#alivePacks(found, emptied).map(packNameOf), this.#request);
    const report = this.#report(found, { ...plan, next: epoch }, emptied, { deleted, segments });
    return report;
  }

  async #lock(): Promise<Lease> {
    const { signal, lease = {} } = this.#request;
    try {
      return await Lease.acquire(this.#parts.store, 'locks/collector', { ...lease, signal });
    } catch (error) {
      if (!hasCode(error, 'REPO_VM_BUSY')) throw error;
      throw repositoryFaults.collectorBusy({}, { cause: error });
    }
  }

  async #look(): Promise<Found> {
    const { store, epochs, points, codec } = this.#parts;
    const { epoch, isDamaged } = await this.#epoch(epochs);
    const sessions = await this.#sessions(epoch);
    const names = await points.names(this.#request);
    await this.#index.refresh(this.#request);
    const [damaged] = this.#index.damaged;
    if (damaged) throw damaged;
    const indexed = await this.#indexed();
    const packs = await this.#packFiles();
    const map = new BlockMap(new ObjectReader(store, this.#index, codec));
    const marking = new Marking({ map, index: this.#index, epoch, packs }, this.#request);
    for (const name of names) {
      const point = await points.readListed(name, this.#request);
      if (point) await marking.point(point);
      this.#progress.advance(1);
    }
    return { epoch, isDamaged, sessions, points: names.length, packs, indexed, marking };
  }

  /** One that is damaged is replaced by one that condemns nothing: what it listed is found dead again. */
  async #epoch(epochs: Epochs): Promise<{ epoch: Epoch; isDamaged: boolean }> {
    try {
      return { epoch: await epochs.current(this.#request), isDamaged: false };
    } catch (error) {
      if (!hasCode(error, 'REPO_POINT_DAMAGED')) throw error;
      return { epoch: noEpoch(await epochs.newest(this.#request)), isDamaged: true };
    }
  }

  /** Silent ones are watched only where packs wait for them. */
  async #sessions({ condemned, doomed }: Epoch): Promise<number[]> {
    const newest = Math.max(0, ...condemned.values(), ...doomed.values());
    const { dryRun, signal, lease = {} } = this.#request;
    const open = dryRun
      ? await this.#parts.sessions.registered({ signal })
      : await this.#parts.sessions.open(({ epoch }) => epoch < newest, { ...lease, signal });
    return open.map(({ epoch }) => epoch);
  }

  async #packFiles(): Promise<Map<string, number>> {
    const packs = new Map<string, number>();
    for await (const { name, size } of this.#parts.store.list('packs/', this.#request)) {
      const id = name.split('/').at(-1)!;
      if (name === packName(Buffer.from(id, 'hex'))) packs.set(id, size);
    }
    return packs;
  }

  #mostlyDead({ packs, marking, epoch }: Found): Map<string, number> {
    return new Map(
      [...packs].filter(([pack, size]) => {
        const alive = marking.aliveBytes(pack);
        return (
          alive > 0 &&
          alive < (size - PACK_FRAME_BYTES) * ALIVE_MIN &&
          isUsable(epoch, Buffer.from(pack, 'hex'))
        );
      }),
    );
  }

  #rewrite({ marking }: Found, half: ReadonlyMap<string, number>) {
    const { store, repositoryId, codec } = this.#parts;
    const parts = { store, repositoryId, codec, index: this.#index, packs: this.#packs, marking };
    return rewritePacks(parts, half, (bytes) => this.#progress.advance(bytes), this.#request);
  }

  async #indexed(): Promise<Set<string>> {
    const packs: string[] = [];
    for (const segment of this.#index.segments)
      for (const { packId } of await segment.packs()) packs.push(hexOf(packId));
    return new Set(packs);
  }

  #plan(found: Found, emptied: ReadonlySet<string>): EpochPlan {
    return planEpoch({ ...found, emptied, aliveBytes: (pack) => found.marking.aliveBytes(pack) });
  }

  async #step({ epoch, isDamaged }: Found, plan: EpochPlan): Promise<Epoch> {
    if (!isDamaged && !changes(plan, epoch)) return epoch;
    if (await this.#parts.epochs.advance(plan.next, this.#request)) return plan.next;
    throw repositoryFaults.epochMoved();
  }

  /** Deletes what is doomed, now or by a run that was cut: first the index forgets it, then the packs go. */
  async #sweep({ doomed }: Epoch, packs: ReadonlyMap<string, number>): Promise<string[]> {
    if (doomed.size === 0) return [];
    await this.#index.refresh(this.#request);
    if (await this.#isTooDear(doomed, packs)) return [];
    await this.#index.drop((packId) => !doomed.has(hexOf(packId)), this.#request);
    const present = [...doomed.keys()].filter((pack) => packs.has(pack));
    for (const pack of present) {
      await this.#parts.store.delete(packNameOf(pack), this.#request);
      this.#progress.advance(packs.get(pack)!);
    }
    return present;
  }

  /** Never where the index names what is not there: a reader would come upon it. */
  async #isTooDear(doomed: Epoch['doomed'], packs: ReadonlyMap<string, number>): Promise<boolean> {
    const { indexBytesFree = INDEX_BYTES_FREE } = this.#request;
    const lost = new Set([...doomed.keys()].filter((pack) => !packs.has(pack)));
    if (lost.size > 0 && (await this.#index.bytesOfDrop((packId) => !lost.has(hexOf(packId)))) > 0)
      return false;
    const written = await this.#index.bytesOfDrop((packId) => !doomed.has(hexOf(packId)));
    return written > indexBytesFree && written > tallyOf(doomed.keys(), packs).bytes * INDEX_SHARE_MAX;
  }

  #alivePacks({ packs, marking }: Pick<Found, 'packs' | 'marking'>, emptied: ReadonlySet<string>): string[] {
    return [...packs.keys()].filter((pack) => marking.aliveBytes(pack) > 0 && !emptied.has(pack));
  }

  #report(
    { epoch, points, packs, marking, sessions }: Found,
    plan: EpochPlan,
    emptied: ReadonlySet<string>,
    done: { readonly deleted: readonly string[]; readonly segments: number },
  ): CollectReport {
    const tally = (chosen: Iterable<string>): PackTally => tallyOf(chosen, packs);
    const alive = this.#alivePacks({ packs, marking }, emptied);
    const postponed = new Set(plan.next.doomed.keys()).difference(new Set(done.deleted));
    const aliveBytes = alive.reduce((sum, pack) => sum + marking.aliveBytes(pack), 0);
    return {
      epoch: this.#request.dryRun ? epoch.number : plan.next.number,
      points,
      openSessions: sessions.length,
      readers: sessions.filter((session) => session === READING_EPOCH).length,
      alive: tally(alive),
      deadInAliveBytes: tally(alive).bytes - aliveBytes - alive.length * PACK_FRAME_BYTES,
      condemned: tally(plan.condemned),
      revived: tally(plan.revived),
      waiting: tally(plan.waiting),
      deleted: tally(done.deleted),
      postponed: tallyOf(
        [...postponed].filter((pack) => packs.has(pack)),
        packs,
      ),
      rewritten: tally(emptied),
      segmentsDeleted: done.segments,
    };
  }
}

function packNameOf(pack: string): string {
  return packName(Buffer.from(pack, 'hex'));
}

function tallyOf(chosen: Iterable<string>, packs: ReadonlyMap<string, number>): PackTally {
  let [count, bytes] = [0, 0];
  for (const pack of chosen) {
    count += 1;
    bytes += packs.get(pack) ?? 0;
  }
  return { packs: count, bytes };
}
