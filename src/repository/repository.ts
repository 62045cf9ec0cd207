/** A repository that is open: everything a flow does with it. */
import { hasCode, MiB } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import type { ObjectStore, ProcessState } from '../objectstore/index.ts';
import { writingThreads } from '../workers/index.ts';
import { outdatedAbout, writeAbout } from './about.ts';
import { Baselines, type BaselineRecord } from './baselines.ts';
import { BlockMap } from './block-map.ts';
import { ChunkReader, type ChunkReaderOptions } from './chunk-reader.ts';
import { Collector, type CollectReport, type CollectRequest } from './collector.ts';
import type { CopiedDisk, CopyOptions, CopyStats } from './copy-points.ts';
import { Epochs, isUsable, noEpoch, type Epoch } from './epochs.ts';
import type { RepositoryHeader } from './header.ts';
import { repositoryFaults } from './faults.ts';
import { foldStateOf, type FoldState } from './fold.ts';
import { hexOf } from './format.ts';
import { repositoryPool, type RepositoryPool } from './jobs.ts';
import { Journal } from './journal.ts';
import { checkKeySlot } from './key-slots.ts';
import { vmFolder, type RepositoryKeys } from './keys.ts';
import { holderState, Lease, type LeaseOptions } from './lease.ts';
import { Losses, type Affected } from './losses.ts';
import { mapDifference } from './map-difference.ts';
import { emptyRoot, type MapRoot } from './map-root.ts';
import { ObjectCodec } from './object.ts';
import { ObjectIndex } from './object-index.ts';
import { ObjectReader } from './object-reader.ts';
import { PackReader } from './pack-reader.ts';
import type { RestorePoint } from './point.ts';
import { Pins, type Pin } from './pins.ts';
import { Points, type PointQuery } from './points.ts';
import { Quarantine } from './quarantine.ts';
import { RandomAccessDisk } from './random-access-disk.ts';
import { ReadSession } from './read-session.ts';
import { IndexRebuild, type RebuildReport, type RebuildRequest } from './rebuild-index.ts';
import { DiskRestore, type RestoreRequest, type RestoreStats } from './restore.ts';
import { SealedRecords } from './sealed-record.ts';
import { SessionRegistry } from './session-registry.ts';
import { WriteSession, type SessionOptions } from './session.ts';
import { SessionObjects } from './session-objects.ts';
import { VerifiedRing } from './verified.ts';
import type { Verification } from './verify.ts';
import {
  verifiedState,
  verifyRepository,
  type RepositoryReport,
  type VerifiedState,
  type VerifyRequest,
} from './verify-repository.ts';

/**
 * Of a disk that shares no chunk reader. A guest that boots reads around in a few hundred MiB; the rest comes from the page cache
 * of the system. Who reads front to back needs a chunk once, or for a moment where changes have cut it.
 */
const CHUNK_CACHE_BYTES = { random: 64 * MiB, ascending: 8 * MiB } as const;

export interface OpenDiskOptions {
  readonly logicalSectorSize?: number;
  /** How it will be read; any order reads right. Default: `random`. `ascending` needs 56 MiB less memory. */
  readonly order?: keyof typeof CHUNK_CACHE_BYTES;
  /** See {@link Repository.chunkReader}. With it chunks are decoded by threads, and fetched ahead of who reads front to back. */
  readonly chunks?: ChunkReader;
}

export interface RepositoryStatus {
  readonly id: string;
  readonly location: string;
  readonly created: string;
  readonly formatVersion: number;
  readonly encrypted: boolean;
}

export interface CopiedPoint {
  readonly pointId: string;
  /** Absent when the point was there already. */
  readonly stats?: CopyStats;
}

export interface RepositoryParts {
  readonly store: ObjectStore;
  readonly header: RepositoryHeader;
  readonly keys: RepositoryKeys;
  readonly now: () => Date;
}

export class Repository implements AsyncDisposable {
  /** What runs wrote on hosts before they did it. */
  readonly journal: Journal;
  readonly #parts: RepositoryParts;
  readonly #repositoryId: Uint8Array;
  readonly #codec: ObjectCodec;
  readonly #index: ObjectIndex;
  readonly #objects: ObjectReader;
  readonly #map: BlockMap;
  readonly #points: Points;
  readonly #baselines: Baselines;
  readonly #pins: Pins;
  readonly #quarantine: Quarantine;
  readonly #ring: VerifiedRing;
  readonly #epochs: Epochs;
  readonly #sessions: SessionRegistry;
  readonly #leases = new Map<string, Lease>();

  private constructor(parts: RepositoryParts) {
    const { store, keys, header } = parts;
    this.#parts = parts;
    this.#repositoryId = Buffer.from(header.repositoryId, 'hex');
    this.#codec = new ObjectCodec(keys);
    const records = new SealedRecords(store, this.#codec);
    this.#quarantine = new Quarantine({ store, records, now: parts.now });
    this.#ring = new VerifiedRing({ store, records, now: parts.now });
    this.#index = new ObjectIndex(store, this.#repositoryId, this.#quarantine);
    this.#objects = new ObjectReader(store, this.#index, this.#codec);
    this.#map = new BlockMap(this.#objects);
    this.#points = new Points({ store, records, keys, now: parts.now });
    this.#pins = new Pins({ store, records, points: this.#points, now: parts.now });
    this.#epochs = new Epochs(store, records);
    this.#sessions = new SessionRegistry(store);
    this.#baselines = new Baselines({ store, records, points: this.#points });
    this.journal = new Journal({ store, records, folderOf: (vmId) => vmFolder(keys, vmId) });
  }

  static async open(parts: RepositoryParts, options: CallOptions = {}): Promise<Repository> {
    const repository = new Repository(parts);
    await repository.#index.refresh(options);
    await repository.#quarantine.load(options);
    return repository;
  }

  /** 32 hexadecimal digits. */
  get id(): string {
    return this.#parts.header.repositoryId;
  }

  status(): RepositoryStatus {
    const { header, store } = this.#parts;
    const { created, formatVersion, encryption } = header;
    return {
      id: this.id,
      location: store.location,
      created,
      formatVersion,
      encrypted: encryption !== 'none',
    };
  }

  /** Puts the specification and a second reader into a repository of an older version, which has none. */
  describe(options: CallOptions = {}): Promise<void> {
    return writeAbout(this.#parts.store, options);
  }

  async startSession(options: SessionOptions = {}): Promise<WriteSession> {
    const { signal } = options;
    const { registration, usable, lasting } = await this.#register(options);
    const { store } = this.#parts;
    const index = this.#index;
    const codec = this.#codec;
    const repositoryId = this.#repositoryId;
    return new WriteSession({
      session: new SessionObjects({ store, index, codec, repositoryId, usable, lasting, signal }),
      registration,
      signal,
      map: this.#map,
      objects: this.#objects,
      points: this.#points,
      losses: (call) => this.#losses(call),
      pool: this.#pool(options.workers),
      checkLease: async (vmId, call) => this.#leases.get(vmId.toLowerCase())?.check(call),
    });
  }

  /** Collects what no restore point needs: see {@link Collector}. */
  collect(request: CollectRequest = {}): Promise<CollectReport> {
    const { store } = this.#parts;
    const quarantine = this.#quarantine;
    const parts = {
      store,
      quarantine,
      repositoryId: this.#repositoryId,
      codec: this.#codec,
      points: this.#points,
    };
    const collector = new Collector({ ...parts, epochs: this.#epochs, sessions: this.#sessions }, request);
    return collector.run();
  }

  /** Newest first for each VM. A damaged manifest is thrown after all good ones were yielded. */
  points(query: PointQuery = {}): AsyncIterable<RestorePoint> {
    return this.#points.all(query);
  }

  /**
   * The same for showing: of many, what the catalogue remembers, without a look at their manifests. Nothing is to be restored,
   * dropped or built upon from it.
   */
  shownPoints(query: PointQuery = {}): AsyncIterable<RestorePoint> {
    return this.#points.shown(query);
  }

  /** By id, the beginning of one, or `latest` with `vmId`. Throws `REPO_POINT_NOT_FOUND`, `REPO_POINT_AMBIGUOUS`. */
  point(id: string, query: PointQuery = {}): Promise<RestorePoint> {
    return this.#points.find(id, query);
  }

  /**
   * Holds the point: it is not dropped until it is let go. Throws `REPO_POINT_NOT_FOUND`, `REPO_PRUNE_BUSY`: what is being
   * dropped cannot be held.
   */
  async pin(point: RestorePoint, reason: string, options: CallOptions = {}): Promise<Pin> {
    await using _lease = await this.lockPruning(options);
    return await this.#pins.set(point, reason, options);
  }

  /** False when nobody held it. */
  unpin(point: RestorePoint, options: CallOptions = {}): Promise<boolean> {
    return this.#pins.remove(point, options);
  }

  /** Why points are held, by their ids. */
  pins(query: PointQuery = {}): Promise<Map<string, string>> {
    return this.#pins.reasons(query);
  }

  /** Who decides which points go, and which are held, is alone. Throws `REPO_PRUNE_BUSY`. */
  async lockPruning(options: LeaseOptions = {}): Promise<Lease> {
    try {
      return await Lease.acquire(this.#parts.store, 'locks/pruning', options);
    } catch (error) {
      if (!hasCode(error, 'REPO_VM_BUSY')) throw error;
      throw repositoryFaults.pruneBusy({}, { cause: error });
    }
  }

  /** For who holds the VM's lock, and the one of pruning: a run under way may lay its changes over the point. */
  dropPoint(point: RestorePoint, options: CallOptions = {}): Promise<void> {
    return this.#points.drop(point, options);
  }

  /**
   * Before restore points are read for longer than a moment, one or any; disposed of afterwards. Meanwhile the collector deletes
   * nothing. Throws `REPO_POINT_NOT_FOUND` when the point is gone already.
   */
  startReading(point?: RestorePoint, options: CallOptions = {}): Promise<ReadSession> {
    return ReadSession.start({ sessions: this.#sessions, points: this.#points }, point, options);
  }

  async readBlob(id: string, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#objects.read('blob', id, options);
  }

  /** Threads and memory that disks opened with it share; to be closed after them. */
  chunkReader({ cacheBytes, workers }: ChunkReaderOptions = {}): ChunkReader {
    return new ChunkReader({ objects: this.#objects, pool: this.#pool(workers), cacheBytes });
  }

  openDisk(root: MapRoot, size: number, options: OpenDiskOptions = {}): Disk {
    const { logicalSectorSize = 512, order = 'random' } = options;
    const chunks =
      options.chunks ?? new ChunkReader({ objects: this.#objects, cacheBytes: CHUNK_CACHE_BYTES[order] });
    const readAhead = options.chunks !== undefined;
    return new RandomAccessDisk({ root, size, logicalSectorSize, map: this.#map, chunks, readAhead });
  }

  /**
   * Where a disk differs from an older state of it, sorted, on a grid of 64 KiB; without `before`, where it holds anything.
   * Reads only pages of the maps that differ.
   */
  changes(before: MapRoot | undefined, after: MapRoot, size: number): AsyncIterable<Extent> {
    return mapDifference(this.#map, before ?? emptyRoot(size), after, size);
  }

  /** How many pieces a restore of a disk reads, and how many fewer after a fold. Reads its map. */
  foldState(
    disk: { readonly root: MapRoot; readonly size: number },
    options: CallOptions = {},
  ): Promise<FoldState> {
    return foldStateOf(this.#map, { root: disk.root, size: disk.size, signal: options.signal });
  }

  /** Fills `target`; the caller finishes or aborts it. */
  async restoreDisk(request: RestoreRequest): Promise<RestoreStats> {
    const pool = this.#pool(request.workers ?? writingThreads());
    try {
      return await new DiskRestore(request, { map: this.#map, objects: this.#objects, pool }).run();
    } finally {
      await pool.close();
    }
  }

  /** Reads back one point, a budget, or everything; damage is in the report, never thrown, and goes into quarantine. */
  async verify(request: VerifyRequest = {}): Promise<RepositoryReport> {
    await using reading = await this.startReading(request.point, request);
    const pool = this.#pool(request.workers);
    try {
      const parts = {
        // Of its own: what others have read of packs would hide what happened to the files since.
        objects: new ObjectReader(this.#parts.store, this.#index, this.#codec),
        packs: new PackReader(this.#parts.store, this.#repositoryId),
        isDoomed: async (packId: Uint8Array) => (await this.#epoch(request)).doomed.has(hexOf(packId)),
        pool,
        quarantine: this.#quarantine,
        ring: this.#ring,
        now: this.#parts.now,
        files: (verification: Verification, all: boolean) => this.#verifyFiles(verification, all, request),
        points: (verification: Verification) => this.#readablePoints(verification, request),
        pointIds: async () => new Set((await this.#points.names(request)).map(({ id }) => id)),
      };
      const report = await verifyRepository(parts, request);
      const { unregistered } = reading;
      // What was dropped meanwhile looks like damage then.
      return report.ok || !unregistered ? report : { unrecorded: unregistered, ...report };
    } finally {
      await pool.close();
    }
  }

  /**
   * Copies points of one VM of `source`, oldest first; what is here already is passed over. Only what differs from the point
   * copied before is read. Throws `REPO_COPY_INTO_ITSELF`; a point that cannot be read whole ends it, and those before it stay.
   */
  async *copyPoints(
    source: Repository,
    points: readonly RestorePoint[],
    options: CopyOptions = {},
  ): AsyncGenerator<CopiedPoint> {
    if (source.id === this.id) throw repositoryFaults.copyIntoItself({ location: source.status().location });
    await using reading = await source.startReading(undefined, options);
    if (reading.unregistered) options.progress?.note(reading.unregistered.message);
    const copied = new Map<string, CopiedDisk>();
    for (const point of points.toSorted((a, b) => (a.created < b.created ? -1 : 1))) {
      const { target, stats } = await this.#copyPoint(source, point, copied, options);
      for (const disk of point.disks) {
        const there = target.disks.find(({ diskId }) => diskId === disk.diskId);
        if (there) copied.set(disk.diskId, { source: disk, target: there });
      }
      yield { pointId: point.id, ...(stats ? { stats } : {}) };
    }
  }

  async #copyPoint(
    source: Repository,
    point: RestorePoint,
    copied: ReadonlyMap<string, CopiedDisk>,
    options: CopyOptions,
  ): Promise<{ readonly target: RestorePoint; readonly stats?: CopyStats }> {
    const place = this.#points.placeOf(point);
    if (await this.#parts.store.stat(place.name, options))
      return { target: await this.#points.read(place, options) };
    await using session = await this.startSession({ signal: options.signal, workers: 0 });
    const from = { map: source.#map, objects: source.#objects };
    const made = await session.commitCopy(point, from, (diskId) => copied.get(diskId), options);
    return { target: made.point ?? (await this.#points.read(place, options)), stats: made.stats };
  }

  /** What was read back when. */
  async verified(options: CallOptions = {}): Promise<VerifiedState> {
    await this.#ring.load(options);
    return verifiedState({ objects: this.#objects, ring: this.#ring });
  }

  /** Ids of restore points that were read whole by themselves. */
  async verifiedPoints(options: CallOptions = {}): Promise<ReadonlySet<string>> {
    await this.#ring.load(options);
    return new Set(this.#ring.points.keys());
  }

  /** What of a restore point cannot be had, as far as verifications have found out. */
  async lossesOf(point: RestorePoint, options: CallOptions = {}): Promise<Affected> {
    const found = [...(await this.#losses(options).of([point])).values()];
    return {
      disks: found.flatMap(({ disks }) => disks),
      settings: found.flatMap(({ settings }) => settings).slice(0, 1),
    };
  }

  /** Did a verification find damage that is not known to be mended? */
  get hasQuarantine(): boolean {
    return !this.#quarantine.isEmpty;
  }

  /** Is part of this disk lost, so that nothing may be laid over it? */
  async isDamaged(
    disk: { readonly root: MapRoot; readonly size: number },
    options: CallOptions = {},
  ): Promise<boolean> {
    return this.#losses(options).anyOf(disk);
  }

  /** Makes the index anew from the packs, or with `dryRun` says what that would change. Other sessions may go on meanwhile. */
  async rebuildIndex(request: RebuildRequest = {}): Promise<RebuildReport> {
    const packs = new PackReader(this.#parts.store, this.#repositoryId);
    if (request.dryRun) return this.#rebuild(packs, request);
    await using _registration = await this.#sessions.register(await this.#epochs.newest(request), request);
    return await this.#rebuild(packs, request);
  }

  /** After the commit of its restore point. Again with the same content is success. */
  recordBaseline(baseline: BaselineRecord, options: CallOptions = {}): Promise<void> {
    return this.#baselines.record(baseline, options);
  }

  /** Newest first; what cannot be read is left out. */
  baselines(vmId: string, options: CallOptions = {}): Promise<BaselineRecord[]> {
    return this.#baselines.of(vmId, options);
  }

  forgetBaseline(baseline: BaselineRecord, options: CallOptions = {}): Promise<void> {
    return this.#baselines.forget(baseline, options);
  }

  /** One run a VM. Commits of this process for the VM check that the lease still stands. Throws `REPO_VM_BUSY`. */
  async lockVm(vmId: string, options: LeaseOptions = {}): Promise<Lease> {
    const folder = `locks/${vmFolder(this.#parts.keys, vmId)}`;
    const lease = await Lease.acquire(this.#parts.store, folder, options);
    this.#leases.set(vmId.toLowerCase(), lease);
    return lease;
  }

  /** What is known at once of the run that holds the VM; `gone`: none does. */
  vmHolder(vmId: string, options: CallOptions = {}): Promise<ProcessState | 'gone'> {
    return holderState(this.#parts.store, `locks/${vmFolder(this.#parts.keys, vmId)}`, options);
  }

  /** Lets go of what is still locked. Never throws, as {@link Lease} does not. */
  async close(): Promise<void> {
    const leases = [...this.#leases.values()];
    this.#leases.clear();
    for (const lease of leases) await lease[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** First the registration, then what may be referred to: a pack that is condemned in between is kept for it. */
  async #register(options: CallOptions) {
    const registration = await this.#sessions.register(await this.#epochs.newest(options), options);
    try {
      const epoch = await this.#epoch(options);
      const usable = (packId: Uint8Array): boolean => isUsable(epoch, packId);
      await this.#index.refresh(options);
      await this.#quarantine.load(options);
      const lasting = (packId: Uint8Array): boolean => !epoch.doomed.has(hexOf(packId));
      await this.#index.compact({ ...options, wanted: lasting });
      return { registration, lasting, usable: epoch.isKnown ? usable : (): boolean => false };
    } catch (error) {
      await registration[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** One that is damaged stops nobody: nothing of the repository is referred to then, and everything is stored again. */
  async #epoch(options: CallOptions): Promise<Epoch & { readonly isKnown: boolean }> {
    try {
      return { ...(await this.#epochs.current(options)), isKnown: true };
    } catch (error) {
      if (!hasCode(error, 'REPO_POINT_DAMAGED')) throw error;
      return { ...noEpoch(0), isKnown: false };
    }
  }

  #pool(workers: number | undefined): RepositoryPool {
    const { idKey, sealKey } = this.#parts.keys;
    return repositoryPool({ idKey, sealKey }, workers);
  }

  async #readablePoints(verification: Verification, options: CallOptions): Promise<RestorePoint[]> {
    const points: RestorePoint[] = [];
    for (const name of await this.#points.names(options)) {
      const point = await verification.file(() => this.#points.readListed(name, options));
      if (point) points.push(point);
    }
    return points;
  }

  async #rebuild(packs: PackReader, request: RebuildRequest): Promise<RebuildReport> {
    const { doomed } = await this.#epoch(request);
    await this.#index.refresh(request);
    const parts = { store: this.#parts.store, index: this.#index, packs, codec: this.#codec, doomed };
    return new IndexRebuild(parts, request).run();
  }

  /** Names of the files of `about/` that are not as this version writes them; with `renew` they are then. */
  async outdatedAbout(renew: boolean, options: CallOptions = {}): Promise<string[]> {
    const { store } = this.#parts;
    const outdated = await outdatedAbout(store, options);
    if (!renew) return outdated;
    for (const name of outdated) await store.delete(name, options);
    await writeAbout(store, options);
    return outdated;
  }

  #losses(options: CallOptions): Losses {
    const parts = { map: this.#map, objects: this.#objects, quarantine: this.#quarantine };
    return new Losses({ ...parts, damaged: new Map() }, options);
  }

  /** The index is left to a full one: what it says of an object proves itself when the object is read. */
  async #verifyFiles(verification: Verification, all: boolean, options: CallOptions): Promise<void> {
    const { store } = this.#parts;
    for (const error of this.#index.damaged) await verification.file(() => Promise.reject(error));
    if (all) await this.#verifyIndexAndPacks(verification, options);
    for await (const { name } of store.list('keys/', options)) {
      await verification.file(() => checkKeySlot(store, this.#parts.header, name, options));
    }
    for await (const { name } of store.list('baselines/', options)) {
      await verification.file(() => this.#baselines.check(name, options));
    }
    for await (const { name } of store.list('journal/', options)) {
      await verification.file(() => this.journal.check(name, options));
    }
    for await (const { name } of store.list('pins/', options)) {
      await verification.file(() => this.#pins.check(name, options));
    }
    for await (const { name } of store.list('epoch/', options)) {
      await verification.file(() => this.#epochs.check(name, options));
    }
    for await (const { name } of store.list('quarantine/', options)) {
      await verification.file(() => this.#quarantine.check(name, options));
    }
    for await (const { name } of store.list('verified/', options)) {
      await verification.file(() => this.#ring.check(name, options));
    }
    for await (const { name } of store.list('catalogue/', options)) {
      await verification.file(() => this.#points.checkCatalogue(name, options));
    }
  }

  async #verifyIndexAndPacks(verification: Verification, options: CallOptions): Promise<void> {
    const { store } = this.#parts;
    for (const segment of this.#index.segments) await verification.file(() => segment.check());
    const packs = new PackReader(store, this.#repositoryId);
    for await (const file of store.list('packs/', options))
      await verification.file(() => packs.list(file, options));
  }
}
