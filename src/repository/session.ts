/**
 * A write session: one run's disks and its commit.
 *
 *   ingestDisk, putBlob ─► packs (durable) ─► index segment ─► manifest, by create-if-absent, read back
 *
 * Until the manifest exists nothing of the session exists for a reader, and after a crash anywhere before it what was
 * stored only waits to be used by the next run.
 */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { DiskAudit, type AuditRequest } from './audit.ts';
import { repositoryFaults } from './faults.ts';
import {
  PointCopy,
  copiedPoint,
  type CopiedDisk,
  type CopyOptions,
  type CopyParts,
  type CopyStats,
} from './copy-points.ts';
import { DiskIngest, type IngestParts, type IngestRequest, type IngestResult } from './ingest.ts';
import { foldableSlots, type FoldRequest } from './fold.ts';
import { healDisk, type HealRequest } from './heal.ts';
import type { Losses } from './losses.ts';
import type { PointDraft, RestorePoint } from './point.ts';
import type { Lease } from './lease.ts';
import type { Points } from './points.ts';

export interface SessionOptions extends CallOptions {
  /** Threads at most; default: one a processor; 0: none. */
  readonly workers?: number;
}

export interface SessionLinks extends IngestParts {
  /** While it stands, the collector keeps what the session may refer to. */
  readonly registration: Lease;
  readonly points: Points;
  readonly losses: (options: CallOptions) => Losses;
  readonly signal: AbortSignal | undefined;
  /** Throws when the lease that this process holds for the VM was lost. */
  readonly checkLease: (vmId: string, options: CallOptions) => Promise<void>;
}

export class WriteSession implements AsyncDisposable {
  readonly #links: SessionLinks;
  #state: 'open' | 'closed' = 'open';

  constructor(links: SessionLinks) {
    this.#links = links;
  }

  /** Several disks may be ingested at once. One that fails leaves the session usable. */
  async ingestDisk(request: IngestRequest): Promise<IngestResult> {
    this.#checkOpen();
    const signal = request.signal ?? this.#links.signal;
    return new DiskIngest({ ...request, signal }, this.#links).run();
  }

  /** Slots of many pieces of a disk of a committed restore point, stored whole: see fold.ts. The content is the same. */
  async foldDisk({ root, size, bytesMax, ...rest }: FoldRequest): Promise<IngestResult> {
    const extents = foldableSlots(this.#links.map, root, size);
    return this.ingestDisk({ ...rest, size, base: root, extents, fold: { bytes: bytesMax }, refold: true });
  }

  /** Of an increment over `root`: its extents go through `watch` into the ingest, then `run` compares a sample of the rest. */
  openAudit(request: AuditRequest): DiskAudit {
    this.#checkOpen();
    return new DiskAudit(request, this.#links);
  }

  /** Stores anew what earlier restore points lost of a disk and the source still has. Returns how many chunks that were. */
  async healDisk(request: HealRequest): Promise<number> {
    this.#checkOpen();
    const { session, objects, losses } = this.#links;
    const { index, codec } = objects;
    return healDisk(request, { session, index, codec, losses: losses(request) });
  }

  /** Stores up to 16 MiB and returns the id to put into the draft. */
  async putBlob(bytes: Uint8Array): Promise<string> {
    this.#checkOpen();
    return (await this.#links.session.store('blob', bytes)).id;
  }

  /**
   * The point as read back from the store. Throws `REPO_LEASE_LOST` when another run took the VM over, `REPO_SESSION_LOST` when
   * the collector took this one for dead.
   */
  async commit(draft: PointDraft): Promise<RestorePoint> {
    const { points, signal } = this.#links;
    return this.#commit(draft.vm.id, () => points.commit(draft, { signal }));
  }

  /** What {@link foldDisk} made of disks of `point`, beside it: the same content, and the same in all else. Throws as {@link commit}. */
  async commitFolded(
    point: RestorePoint,
    { runId, disks }: Pick<PointDraft, 'runId' | 'disks'>,
  ): Promise<RestorePoint> {
    const { points, signal } = this.#links;
    const { id: foldedFrom, created: _created, formatVersion: _version, digest: _digest, ...rest } = point;
    const draft = { ...rest, runId, disks, foldedFrom };
    return this.#commit(point.vm.id, () => points.commit(draft, { signal, of: point }));
  }

  /** A point of another repository. `baseOf`: disks of a point that both have. */
  async commitCopy(
    point: RestorePoint,
    source: CopyParts['source'],
    baseOf: (diskId: string) => CopiedDisk | undefined,
    options: CopyOptions,
  ): Promise<{ readonly point: RestorePoint | undefined; readonly stats: CopyStats }> {
    this.#checkOpen();
    const { points, signal, map, session } = this.#links;
    const copy = new PointCopy({ source, session, targetMap: map }, options);
    const copied = await copiedPoint(copy, point, baseOf);
    const committed = await this.#commit(point.vm.id, () => points.commitCopy(copied, { signal }));
    return { point: committed, stats: copy.stats };
  }

  async #commit<T>(vmId: string, write: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    const { session, signal, checkLease } = this.#links;
    await session.flush();
    await checkLease(vmId, { signal });
    await this.#checkRegistration();
    const committed = await write();
    await this.#close();
    await this.#unregister();
    return committed;
  }

  /** Nothing becomes visible. Idempotent, and harmless after `commit`. */
  async abort(): Promise<void> {
    if (this.#state === 'closed') return;
    await this.#close();
    await this.#links.session.abort();
    await this.#unregister();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }

  async #checkRegistration(): Promise<void> {
    const { registration, signal } = this.#links;
    try {
      await registration.check({ signal });
    } catch (error) {
      if (!hasCode(error, 'REPO_LEASE_LOST')) throw error;
      throw repositoryFaults.sessionLost({}, { cause: error });
    }
  }

  async #close(): Promise<void> {
    this.#state = 'closed';
    await this.#links.pool.close();
  }

  /** Last, and never a reason to fail: the collector removes a registration that stays. */
  async #unregister(): Promise<void> {
    await this.#links.registration[Symbol.asyncDispose]();
  }

  #checkOpen(): void {
    if (this.#state !== 'open') throw repositoryFaults.sessionClosed();
  }
}
