/** A source of one disk in memory whose change tracking keeps changes back: the audit against it, without a host around it. */
import type { Baseline, Capture, CapturedDisk, CaptureRequest, Source } from '../../src/capture/index.ts';
import { newGuid } from '../../src/base/index.ts';
import { MemoryDisk } from '../../src/disk/index.ts';
import { normalise, type Extent } from '../../src/extents/index.ts';

export const VM = { id: 'abcdef01-2345-4678-89ab-cdef01234567', name: 'liar' };
const DISK_ID = '0d9a4e57-8f1c-4b34-a6b2-6f0a0c5b7e01';

export class LyingSource implements Source {
  readonly disk: MemoryDisk;
  /** What the next capture reports. */
  #reported: Extent[] = [];
  #referencePointId = '';

  constructor(size: number) {
    this.disk = new MemoryDisk(size);
  }

  /** @param isTold false: the change is kept back */
  async write(offset: number, bytes: Uint8Array, isTold: boolean): Promise<void> {
    await this.disk.write(offset, bytes);
    if (isTold) this.#reported.push({ offset, length: bytes.length });
  }

  async open(request: CaptureRequest): Promise<Capture> {
    const baseline = request.baselines.find((each) => each.referencePointId === this.#referencePointId);
    return {
      vm: { ...VM, host: 'HOST1' },
      consistency: { asked: request.consistency, reached: 'crash' },
      disks: [this.#captured(baseline)],
      warnings: [],
      leftOut: [],
      configuration: {},
      seal: async () => {
        this.#referencePointId = newGuid();
        this.#reported = [];
        const { size } = this.disk;
        const disk = { diskId: DISK_ID, attachmentId: 'slot-0', rctId: 'rct', size, chain: ['disk.vhdx'] };
        return { referencePointId: this.#referencePointId, consistency: 'crash', disks: [disk] };
      },
      retire: async () => {},
      settled: async () => {},
      confirm: async () => 'merged',
      abort: async () => {},
    };
  }

  #captured(baseline: Baseline | undefined): CapturedDisk {
    const reader = this.disk.snapshot();
    const facts = {
      id: DISK_ID,
      attachment: { controller: 'scsi', controllerNumber: 0, slot: 0 },
      attachmentId: 'slot-0',
      path: 'C:\\disk.vhdx',
      format: 'vhdx',
      chain: ['C:\\disk.vhdx'],
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
    if (!baseline) return { ...asCompare('no-baseline'), kind: 'full', reason: 'first-backup' };
    const extents = normalise(this.#reported);
    return { ...facts, kind: 'delta', reason: 'changes-since-reference-point', baseline, extents, asCompare };
  }
}
