/**
 * The disks of a capture into one restore point.
 *
 *   delta    ─► changed ranges ─► audit of what was not reported ──► good: done
 *     │ cannot be had                    │ differs
 *     ▼                                  ▼
 *   compare  ─► all that is allocated, over the map of an earlier restore point: only differences are stored
 *   full     ─► all that is allocated, over nothing
 *
 * Each disk goes its own way: one whose tracking was lost costs the others nothing.
 */
import { hasCode, isFault, warningOf, type Progress, type Warning } from '../base/index.ts';
import type { Capture, CapturedDisk } from '../capture/index.ts';
import { CountingDisk } from '../disk/index.ts';
import {
  nextAudit,
  type AuditBudget,
  type AuditResult,
  type DiskAudit,
  type FoldBudget,
  type PointDisk,
  type Repository,
  type RestorePoint,
  type WriteSession,
} from '../repository/index.ts';
import {
  baseOfCompare,
  baseOfDelta,
  recentPoints,
  type EarlierDisk,
  type ReadableBaseline,
} from './earlier-content.ts';
import { flowFaults } from './faults.ts';
import { draftOf, recordOf, together, type Ingested } from './ingested-disk.ts';
import type { DiskBackupRecord } from './run-record.ts';
import { storeSettings } from './settings-files.ts';
import { suspectsToName } from './suspect-points.ts';

/** Beyond what changed; what is stored stays within 1.06 times that, with what the map takes. */
const FOLD_BUDGET: FoldBudget = { percent: 5 };

export interface StoreContext {
  readonly runId: string;
  readonly consumer: string | undefined;
  /** Of the consumer, newest first. */
  readonly baselines: readonly ReadableBaseline[];
  readonly audit: AuditBudget | undefined;
  readonly fold: FoldBudget | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
  readonly workers: number | undefined;
}

export interface StoredCapture {
  readonly point: RestorePoint;
  readonly disks: readonly DiskBackupRecord[];
  readonly warnings: readonly Warning[];
}

export async function storeDisks(
  repository: Repository,
  capture: Capture,
  context: StoreContext,
): Promise<StoredCapture> {
  const { signal, workers } = context;
  const session = await repository.startSession({ signal, ...(workers === undefined ? {} : { workers }) });
  try {
    const store = new DiskStore(repository, session, capture, context);
    const stored: StoredDisk[] = [];
    for (const disk of capture.disks) stored.push(await store.store(disk));
    const settings = await storeSettings(session, capture, { signal });
    context.progress.phase('commit');
    const point = await session.commit({
      runId: context.runId,
      consumer: context.consumer,
      parent: parentOf(stored),
      vm: settings.vm,
      consistency: capture.consistency,
      disks: stored.map((each) => each.draft),
      ...leftOutOf(capture),
    });
    const warnings = [...stored.flatMap((each) => each.warnings), ...settings.warnings];
    return { point, disks: stored.map((each) => each.record), warnings };
  } catch (error) {
    await session.abort();
    throw error;
  }
}

function leftOutOf({ leftOut }: Capture): Pick<RestorePoint, 'leftOut'> {
  return leftOut.length === 0 ? {} : { leftOut: leftOut.map(({ number: _number, ...disk }) => disk) };
}

interface StoredDisk {
  readonly record: DiskBackupRecord;
  readonly draft: PointDisk;
  readonly base: EarlierDisk | undefined;
  readonly warnings: readonly Warning[];
}

class DiskStore {
  readonly #repository: Repository;
  readonly #session: WriteSession;
  readonly #capture: Capture;
  readonly #context: StoreContext;
  #recent: Promise<RestorePoint[]> | undefined;

  constructor(repository: Repository, session: WriteSession, capture: Capture, context: StoreContext) {
    this.#repository = repository;
    this.#session = session;
    this.#capture = capture;
    this.#context = context;
  }

  async store(disk: CapturedDisk): Promise<StoredDisk> {
    const started = performance.now();
    const ingested = disk.kind === 'delta' ? await this.#delta(disk) : await this.#whole(disk);
    await this.#heal(disk);
    const { base, audit } = ingested;
    const suspects = await suspectsToName(
      this.#repository,
      this.#capture.vm.id,
      { base, audit },
      this.#context,
    );
    const seconds = (performance.now() - started) / 1000;
    return {
      record: recordOf(ingested, suspects.found, seconds),
      draft: draftOf(ingested, suspects.all),
      base,
      warnings: [...(ingested.warnings ?? []), ...this.#alarm(ingested, suspects.found)],
    };
  }

  /** What cannot be had as a delta is read as a compare, from the same frozen disk; what was stored already is not stored twice. */
  async #delta(disk: CapturedDisk): Promise<Ingested> {
    const base = baseOfDelta(disk, this.#context.baselines);
    if (!base) return this.#whole(disk.asCompare('no-baseline'));
    if (await this.#repository.isDamaged(base.disk, this.#context))
      return this.#whole(disk.asCompare('base-damaged'));
    const { budget, previous } = { budget: this.#context.audit, previous: base.disk.audit };
    const { reader } = disk;
    const audit = this.#session.openAudit({ reader, root: base.disk.root, budget, previous });
    try {
      const delta = await this.#ingest({ ...disk, extents: audit.watch(disk.extents) }, base);
      return await this.#audited(audit, delta, base);
    } catch (error) {
      if (!hasCode(error, 'HYPERV_BASELINE_LOST')) throw error;
      this.#context.progress.note(
        `${disk.path}: the host could not tell what changed (${error.message}); comparing all of it`,
      );
      return this.#whole(disk.asCompare('change-query-failed'));
    }
  }

  async #audited(audit: DiskAudit, delta: Ingested, base: EarlierDisk): Promise<Ingested> {
    let result: AuditResult;
    try {
      result = await audit.run(this.#context);
    } catch (error) {
      // What the repository has cannot be read: that is for verify to judge, and costs the increment nothing.
      if (!isFault(error) || error.kind !== 'corrupt') throw error;
      const fault = flowFaults.auditNotDone({ disk: delta.disk.path, reason: error.message });
      return { ...delta, mark: audit.unfinished, warnings: [warningOf(fault)] };
    }
    const { mark } = result;
    const known = { mark: mark.count === 0 ? base.disk.audit && mark : mark, audit: result };
    if (result.mismatches.length === 0) return { ...delta, ...known };
    this.#context.progress.note(
      `${delta.disk.path}: the host had not reported every change; comparing all of it`,
    );
    const compared = await this.#ingest(delta.disk.asCompare('audit-mismatch'), base);
    return { ...together(delta, compared), ...known };
  }

  async #whole(disk: CapturedDisk): Promise<Ingested> {
    const base = disk.reason === 'first-backup' ? undefined : await this.#earlier(disk);
    const previous = base?.disk.audit;
    // Laid over what is damaged, the new point would be damaged as well.
    const isSound = base !== undefined && !(await this.#repository.isDamaged(base.disk, this.#context));
    const ingested =
      disk.kind === 'compare' && isSound
        ? await this.#ingest(disk, base)
        : { ...(await this.#ingest({ ...disk, kind: 'full' }, undefined)), base };
    return { ...ingested, mark: previous && nextAudit(previous, disk.size, 0) };
  }

  /** What verifications found damaged of the disk in earlier points, and the source still has, is stored anew. */
  async #heal({ id, reader }: CapturedDisk): Promise<void> {
    if (!this.#repository.hasQuarantine) return;
    this.#recent ??= recentPoints(this.#repository, this.#capture.vm.id, this.#context);
    const disks = (await this.#recent).flatMap((point) => point.disks.filter((disk) => disk.diskId === id));
    const { signal } = this.#context;
    const healed = await this.#session.healDisk({ reader, disks, signal });
    if (healed > 0) this.#context.progress.note(`${healed} damaged chunks were stored anew`);
  }

  async #earlier(disk: CapturedDisk): Promise<EarlierDisk | undefined> {
    this.#recent ??= recentPoints(this.#repository, this.#capture.vm.id, this.#context);
    return baseOfCompare(disk, await this.#recent, this.#capture.disks);
  }

  async #ingest(disk: CapturedDisk, base: EarlierDisk | undefined): Promise<Ingested> {
    const { progress, signal } = this.#context;
    const reader = new CountingDisk(disk.reader);
    progress.phase(
      `${disk.kind} ${fileName(disk.path)}`,
      disk.kind === 'delta' ? undefined : disk.hostFileBytes,
    );
    const { root, stats } = await this.#session.ingestDisk({
      reader,
      extents: disk.extents,
      size: disk.size,
      compare: disk.kind === 'compare',
      ...(base ? { base: base.disk.root } : {}),
      fold: this.#context.fold ?? FOLD_BUDGET,
      progress,
      signal,
    });
    return { disk, base, root, stats, readBytes: reader.stats.readBytes };
  }

  #alarm({ disk, audit }: Ingested, points: readonly string[]): Warning[] {
    if (!audit || audit.mismatches.length === 0) return [];
    const fault = flowFaults.changesNotReported({
      vm: this.#capture.vm.name,
      disk: disk.path,
      bytes: audit.mark.mismatchBytes,
      compared: audit.mark.comparedBytes,
      points: points.join(', '),
    });
    return [warningOf(fault)];
  }
}

/** What the deltas were laid over; without a delta, what the first compare started from. */
function parentOf(stored: readonly StoredDisk[]): string | undefined {
  const based = stored.filter(({ record }) => record.kind !== 'full');
  const first = based.find(({ record }) => record.kind === 'delta') ?? based[0];
  return first?.base?.point.id;
}

function fileName(hostPath: string): string {
  return hostPath.split(/[\\/]/).at(-1) ?? hostPath;
}
