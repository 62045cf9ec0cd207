/** A verification from end to end: files, restore points, packs, then the quarantine and what is said about all of it. */
import { isFault, type Fault, type Progress } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { BlockMap } from './block-map.ts';
import { damageOf } from './checked-reads.ts';
import { PACK_FRAME_BYTES, hexOf, packName } from './format.ts';
import type { RepositoryPool } from './jobs.ts';
import type { ObjectReader } from './object-reader.ts';
import type { PackReader } from './pack-reader.ts';
import type { RestorePoint } from './point.ts';
import type { Quarantine, QuarantineChange, QuarantinedObject } from './quarantine.ts';
import { PackSweep, type VerifyBudget } from './sweep.ts';
import { Verification, type VerifyReport } from './verify.ts';
import {
  arcsOf,
  isVerified,
  ringPosition,
  verifiedSince,
  type RingArc,
  type VerifiedRing,
} from './verified.ts';

export interface VerifyRequest extends CallOptions {
  /** The point to verify; none: all of them, and every other file of the repository. */
  readonly point?: RestorePoint;
  /** Read only so much of the packs, least recently read first, and every manifest; none: everything. */
  readonly budget?: VerifyBudget;
  readonly progress?: Progress;
  readonly workers?: number;
}

/** What was read back when. */
export interface VerifiedState {
  /** Since this time (ISO 8601) every byte in packs was read; absent: some of it never was. */
  readonly since?: string;
  readonly neverBytes: number;
  readonly totalBytes: number;
}

export interface RepositoryReport extends VerifyReport {
  readonly state: VerifiedState;
  /** The store would not take what is to be remembered: damage is not stored again, and the next budget begins anew. */
  readonly unrecorded?: Fault;
}

export interface VerifyRepositoryParts {
  readonly objects: ObjectReader;
  readonly packs: PackReader;
  readonly pool: RepositoryPool;
  readonly quarantine: Quarantine;
  readonly ring: VerifiedRing;
  readonly now: () => Date;
  readonly isDoomed: (packId: Uint8Array) => Promise<boolean>;
  /** Checks every small file; with `all` packs and index too. */
  readonly files: (verification: Verification, all: boolean) => Promise<void>;
  /** Ids of all that there are. */
  readonly pointIds: () => Promise<ReadonlySet<string>>;
  /** Of those that can be read; others become problems. */
  readonly points: (verification: Verification) => Promise<RestorePoint[]>;
}

export async function verifyRepository(
  parts: VerifyRepositoryParts,
  request: VerifyRequest,
): Promise<RepositoryReport> {
  const { objects, quarantine, ring } = parts;
  const { index } = objects;
  await index.refresh(request);
  await quarantine.load(request);
  await ring.load(request);
  // A map of its own: cached pages would hide what happened to the files since.
  const verification = new Verification({ ...parts, map: new BlockMap(objects) }, request);
  const notes = new Notes();
  const { reads } = verification;
  const startedAt = parts.now().toISOString();
  const sweep = new PackSweep({ ...parts, index, reads, ring: notes.ring(ring) }, request);
  const points = await read(parts, verification, sweep, request);
  const report = await verification.finish(points, async () => {
    const change = await quarantineChange(parts, verification, sweep);
    await notes.take(() => quarantine.change(change, request));
  });
  const { point } = request;
  if (point && report.ok) {
    const read = { id: point.id, arcs: await arcsRead(parts, reads, request), at: startedAt };
    const existing = await parts.pointIds();
    await notes.take(() => ring.markPoint(read, existing, request));
  }
  return { ...report, state: await verifiedState(parts), ...notes.fault() };
}

async function read(
  parts: VerifyRepositoryParts,
  verification: Verification,
  sweep: PackSweep,
  { point, budget }: VerifyRequest,
): Promise<RestorePoint[]> {
  if (point) {
    await verification.point(point);
    return [point];
  }
  await parts.files(verification, budget === undefined);
  const points = await parts.points(verification);
  if (budget === undefined) {
    for (const each of points) await verification.point(each);
    await verification.reads.settle(); // what they have read, the sweep leaves out
    await sweep.everything();
  } else {
    await sweep.within(budget);
    for (const fault of sweep.faults) verification.problem(fault);
  }
  return points;
}

/** Parts of the ring of which a verification of one point has read every pack to the last byte. */
async function arcsRead(
  { objects, packs }: VerifyRepositoryParts,
  { packBytes }: Verification['reads'],
  options: CallOptions,
): Promise<RingArc[]> {
  const whole = new Set<string>();
  const all = await objects.index.packs();
  for (const { packId, size } of all) {
    const pack = hexOf(packId);
    if (packBytes.get(pack) !== size - PACK_FRAME_BYTES) continue;
    const isListed = await packs.list({ name: packName(packId), size }, options).catch(damageOf);
    if ('places' in isListed) whole.add(pack);
  }
  return arcsOf(all.map(({ packId }) => ({ at: ringPosition(packId), isRead: whole.has(hexOf(packId)) })));
}

/** What was found damaged goes in, what was found whole comes out, and so does what no index names any more. */
async function quarantineChange(
  { quarantine, objects }: VerifyRepositoryParts,
  { reads }: Verification,
  { lost, readWhole }: PackSweep,
): Promise<QuarantineChange> {
  const packs = new Set((await objects.index.packs()).map(({ packId }) => hexOf(packId)));
  const isForgotten = (pack: string): boolean => !packs.has(pack) && objects.index.damaged.length === 0;
  const sound = new Set(reads.sound.map(({ packId, offset }) => `${hexOf(packId)} ${offset}`));
  // Of what a damaged index hides nothing is known: the packs may well have it.
  const damaged = [...reads.damaged]
    .filter(([, { fault }]) => fault.code !== 'REPO_INDEX_DAMAGED')
    .map(([id, { place }]): QuarantinedObject =>
      place ? { id, pack: hexOf(place.packId), offset: place.offset } : { id },
    );
  const damagedPacks = new Set([...damaged.flatMap(({ pack }) => pack ?? []), ...lost]);
  const found = new Map<string, boolean>();
  for (const { id, pack } of quarantine.objects)
    if (pack === undefined) found.set(id, (await objects.index.findReadable(id)) !== undefined);
  return {
    damaged,
    lostPacks: lost,
    isReleased: ({ id, pack, offset }: QuarantinedObject): boolean =>
      pack === undefined ? found.get(id) === true : sound.has(`${pack} ${offset}`) || isForgotten(pack),
    isPackReleased: (pack: string): boolean =>
      isForgotten(pack) || (readWhole.has(pack) && !damagedPacks.has(pack)),
  };
}

export async function verifiedState({
  objects,
  ring,
}: Pick<VerifyRepositoryParts, 'objects' | 'ring'>): Promise<VerifiedState> {
  const packs = await objects.index.packs();
  const bytesOf = (some: typeof packs): number => some.reduce((sum, { size }) => sum + size, 0);
  const never = packs.filter(({ packId }) => !isVerified(ring.spans, ringPosition(packId)));
  const positions = packs.map(({ packId }) => ringPosition(packId));
  const since = verifiedSince(ring.spans, positions);
  return {
    neverBytes: bytesOf(never),
    totalBytes: bytesOf(packs),
    ...(since === undefined ? {} : { since }),
  };
}

/** Writing down may fail, on a store that can only be read for instance; what was found out is told all the same. */
class Notes {
  #fault: Fault | undefined;

  ring(ring: VerifiedRing): Pick<VerifiedRing, 'spans' | 'mark'> {
    return {
      get spans() {
        return ring.spans;
      },
      mark: (...span) => this.take(() => ring.mark(...span)),
    };
  }

  async take(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      if (!isFault(error) || !error.code.startsWith('STORE_') || error.kind !== 'refused') throw error;
      this.#fault ??= error;
    }
  }

  fault(): { readonly unrecorded?: Fault } {
    return this.#fault ? { unrecorded: this.#fault } : {};
  }
}
