/**
 * A VM and a target in memory, which can die at any step: of the target then stays what was flushed, and of what was written
 * since, some. For tests that must cut a cycle everywhere; the lab has the rest.
 */
import { newGuid } from '../base/index.ts';
import type { Baseline, Capture, CapturedDisk, CaptureRequest, Source } from '../capture/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { normalise, type Extent } from '../extents/index.ts';
import type { PlannedTargetDisk, Target, TargetDisk, TargetDiskSpec } from '../targets/index.ts';

/** Every step that changes something asks it first; from the step `dieAt` on there is nobody left to do any. */
export class Fate {
  steps: string[] = [];
  dieAt = Infinity;
  /** Called in the moment of death. */
  onDeath: () => void = () => {};

  step(name: string): void {
    this.steps.push(name);
    if (this.steps.length === this.dieAt + 1) this.onDeath();
    if (this.steps.length > this.dieAt) throw new Error(`killed at ${name}`);
  }

  /** Dead both before the step and, one later, right after it. */
  async around<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.step(`before ${name}`);
    const result = await work();
    this.step(`after ${name}`);
    return result;
  }

  startOver(dieAt = Infinity): void {
    this.steps = [];
    this.dieAt = dieAt;
  }
}

interface VmDisk {
  readonly id: string;
  readonly disk: MemoryDisk;
  /** Since each reference point. */
  readonly changed: Map<string, Extent[]>;
}

export class MemoryVm implements Source {
  readonly vm = { id: 'abcdef01-2345-4678-89ab-cdef01234567', name: 'web01' };
  readonly disks: VmDisk[];
  /** By run: the disks as they were captured. */
  readonly truth = new Map<string, ReadonlyMap<string, MemoryDisk>>();
  readonly referencePoints = new Set<string>();
  readonly #fate: Fate;

  constructor(fate: Fate, sizes: readonly number[]) {
    this.#fate = fate;
    this.disks = sizes.map((size) => ({ id: newGuid(), disk: new MemoryDisk(size), changed: new Map() }));
  }

  async write(index: number, offset: number, bytes: Uint8Array): Promise<void> {
    const { disk, changed } = this.disks[index]!;
    await disk.write(offset, bytes);
    for (const extents of changed.values()) extents.push({ offset, length: bytes.length });
  }

  async open(request: CaptureRequest): Promise<Capture> {
    this.#fate.step('open the capture');
    const { runId } = request;
    const frozen = new Map(this.disks.map(({ id, disk }) => [id, disk.snapshot()]));
    this.truth.set(runId, frozen);
    const baseline = request.baselines.find((each) => this.referencePoints.has(each.referencePointId));
    const changes = new Map(
      this.disks.map(({ id, changed }) => [id, [...(changed.get(baseline?.referencePointId ?? '') ?? [])]]),
    );
    const disks = this.disks.map(({ id }) =>
      captured(id, frozen.get(id)!, baseline && { baseline, extents: changes.get(id)! }, request),
    );
    // What is written from here on is in the changes since the reference point that the checkpoint becomes.
    const point = newGuid();
    for (const { changed } of this.disks) changed.set(point, []);
    return {
      vm: { ...this.vm, host: 'HOST1' },
      consistency: { asked: request.consistency, reached: 'crash' },
      disks,
      warnings: [],
      leftOut: [],
      configuration: {},
      seal: () => this.#fate.around('seal', () => this.#seal(point)),
      settled: () => this.#fate.around('settled', () => request.journal.clear(this.vm.id, runId)),
      retire: (ids) =>
        this.#fate.around('retire', async () => {
          for (const id of ids) this.referencePoints.delete(id);
        }),
      confirm: async () => 'merged',
      abort: async () => {},
    };
  }

  async #seal(referencePointId: string): Promise<Baseline & { consistency: 'crash' }> {
    this.referencePoints.add(referencePointId);
    const disks = this.disks.map(({ id, disk }) => ({
      diskId: id,
      attachmentId: `slot of ${id}`,
      rctId: `rct of ${referencePointId}`,
      size: disk.size,
      chain: ['disk.vhdx'],
    }));
    return { referencePointId, consistency: 'crash', disks };
  }
}

function captured(
  id: string,
  reader: MemoryDisk,
  since: { readonly baseline: Baseline; readonly extents: readonly Extent[] } | undefined,
  request: CaptureRequest,
): CapturedDisk {
  const facts = {
    id,
    attachment: { controller: 'scsi', controllerNumber: 0, slot: 0 },
    attachmentId: `slot of ${id}`,
    path: `${id}.vhdx`,
    format: 'vhdx',
    chain: ['disk.vhdx'],
    size: reader.size,
    logicalSectorSize: 512,
    physicalSectorSize: 4096,
    hostFileBytes: reader.size,
    reader,
  } as const;
  const asCompare: CapturedDisk['asCompare'] = (reason) => ({
    ...facts,
    kind: 'compare',
    reason,
    extents: reader.allocated(),
    asCompare,
  });
  if (since) {
    const extents = normalise(since.extents);
    const reason = 'changes-since-reference-point';
    return { ...facts, kind: 'delta', reason, baseline: since.baseline, extents, asCompare };
  }
  if (request.earlierDisks?.includes(id)) return asCompare('no-baseline');
  return { ...facts, kind: 'full', reason: 'first-backup', extents: reader.allocated(), asCompare };
}

interface Written {
  readonly offset: number;
  /** Of zeros: how many. */
  readonly bytes: Uint8Array | number;
}

/** The disks of a target, with what of them is on stable storage. */
export class MemoryTarget implements Target {
  readonly address = 'memory:';
  /** Of all disks, since the test set it to nothing. */
  bytes = { read: 0, written: 0, zeroed: 0 };
  readonly #fate: Fate;
  readonly #disks = new Map<string, { now: MemoryDisk; durable: MemoryDisk; unflushed: Written[] }>();

  constructor(fate: Fate) {
    this.#fate = fate;
  }

  describe(): string {
    return 'memory';
  }

  placeOf({ diskId }: Pick<TargetDiskSpec, 'diskId'>): string {
    return `memory of ${diskId}`;
  }

  async prepare(disks: readonly PlannedTargetDisk[]): Promise<void> {
    for (const { expected, diskId } of disks)
      if (expected === 'ours' && !this.#disks.has(diskId)) throw new Error('the disk of the replica is gone');
  }

  async openDisk({ diskId, size, logicalSectorSize }: TargetDiskSpec): Promise<TargetDisk> {
    this.#fate.step('open');
    const known = this.#disks.get(diskId);
    const disk = known ?? { now: new MemoryDisk(size), durable: new MemoryDisk(size), unflushed: [] };
    this.#disks.set(diskId, disk);
    const change = (name: string, written: Written): Promise<void> => {
      this.#fate.step(name);
      disk.unflushed.push(written);
      return apply(disk.now, written);
    };
    return {
      isNew: known === undefined,
      size,
      logicalSectorSize,
      read: (offset, into) => {
        this.bytes.read += into.length;
        return disk.now.read(offset, into);
      },
      allocated: (within) => disk.now.allocated(within),
      write: (offset, bytes) => {
        this.bytes.written += bytes.length;
        return change('write', { offset, bytes: bytes.slice() });
      },
      zero: (offset, length) => {
        this.bytes.zeroed += length;
        return change('zero', { offset, bytes: length });
      },
      settleSize: async () => this.#fate.step('settle the size'),
      flush: async () => {
        this.#fate.step('flush');
        disk.durable = disk.now.snapshot();
        disk.unflushed = [];
      },
      close: async () => {},
    };
  }

  /** Power is lost: of what was not flushed, `keeps` says what had arrived. */
  async lose(keeps: () => boolean): Promise<void> {
    for (const disk of this.#disks.values()) {
      for (const written of disk.unflushed) if (keeps()) await apply(disk.durable, written);
      disk.now = disk.durable.snapshot();
      disk.unflushed = [];
    }
  }

  contentOf(diskId: string): MemoryDisk {
    return this.#disks.get(diskId)!.now;
  }
}

async function apply(disk: MemoryDisk, { offset, bytes }: Written): Promise<void> {
  await (typeof bytes === 'number' ? disk.zero(offset, bytes) : disk.write(offset, bytes));
}
