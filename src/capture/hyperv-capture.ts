/** A checkpoint of ours while it lives: it ends in `seal` or `abort`, and only once. */
import { hasCode, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Checkpoint, HostVolume, ReferencePoint, Vm, VmConfiguration } from '../hyperv/index.ts';
import { guardCheckpoint } from './checkpoint-guard.ts';
import { readConfigurationFiles, type ConfigurationFiles } from './configuration-files.ts';
import { captureFaults } from './faults.ts';
import type { FrozenDisk } from './frozen-disks.ts';
import type { SourceHost } from './source-host.ts';
import type {
  Capture,
  CapturedConsistency,
  CapturedDisk,
  CapturedVm,
  CaptureRequest,
  DiskBaseline,
  LeftOutDisk,
  SealedReference,
  WatchOptions,
} from './source.ts';

interface Held {
  readonly host: SourceHost;
  readonly vm: Vm;
  readonly checkpoint: Checkpoint;
  readonly consistency: CapturedConsistency;
  readonly warnings: readonly Warning[];
  readonly frozenDisks: readonly FrozenDisk[];
  readonly disks: readonly CapturedDisk[];
  readonly leftOut: readonly LeftOutDisk[];
  readonly configuration: VmConfiguration;
  /** Of the disks, before the checkpoint. */
  readonly volumes: readonly HostVolume[];
  readonly trackable: boolean;
  /** Before the checkpoint. */
  readonly userCheckpoints: number;
  readonly runningSince: string | undefined;
  readonly request: CaptureRequest;
}

/** Of a conversion: the host has no reference point of it. */
const REFUSALS = ['HYPERV_OPERATION_FAILED', 'HYPERV_WRONG_STATE', 'HYPERV_ACCESS_DENIED'];

export class HyperVCapture implements Capture {
  readonly vm: CapturedVm;
  readonly consistency: Capture['consistency'];
  readonly disks: readonly CapturedDisk[];
  readonly warnings: readonly Warning[];
  readonly leftOut: readonly LeftOutDisk[];
  readonly configuration: unknown;
  readonly #held: Held;
  #state: 'open' | 'converting' | 'ended' = 'open';

  constructor(held: Held) {
    this.#held = held;
    this.vm = {
      id: held.vm.id,
      name: held.vm.name,
      host: held.host.hostName,
      generation: held.vm.generation,
      configurationVersion: held.vm.configurationVersion,
    };
    this.consistency = held.consistency;
    this.disks = held.disks;
    this.warnings = held.warnings;
    this.leftOut = held.leftOut;
    this.configuration = held.configuration;
  }

  async configurationFiles(options: CallOptions = {}): Promise<ConfigurationFiles> {
    const { host, checkpoint, configuration } = this.#held;
    const { files } = configuration;
    const root = files.checkpointRoot ?? files.root;
    if (!root) return { files: [], warnings: [] };
    return readConfigurationFiles(host.files, checkpoint.instanceId, root, options);
  }

  watch(options: WatchOptions): Promise<void> {
    const { host, volumes, frozenDisks, vm } = this.#held;
    const files = frozenDisks.flatMap(({ reader }) => reader.files.map(({ path }) => path.toLowerCase()));
    const frozen = new Set(files);
    return guardCheckpoint({ hyperv: host.hyperv, vm, volumes, frozen }, options);
  }

  async seal(options: CallOptions = {}): Promise<SealedReference | undefined> {
    if (this.#state === 'ended') throw captureFaults.sealedAlready({ vm: this.vm.name });
    await this.#closeReaders();
    const { hyperv } = this.#held.host;
    if (!this.#held.trackable) {
      await hyperv.destroyCheckpoint(this.#held.checkpoint, options);
      this.#state = 'ended';
      return undefined;
    }
    const standing = await hyperv.checkpoints(this.vm.id, options);
    await this.#journalConverting(options);
    this.#state = 'converting';
    const point = await this.#convert(options);
    this.#state = 'ended';
    return this.#sealed(point, standing);
  }

  async #convert(options: CallOptions): Promise<ReferencePoint> {
    try {
      return await this.#held.host.hyperv.convertToReferencePoint(this.#held.checkpoint, options);
    } catch (error) {
      // Nothing came of it: a journal that went on saying "perhaps" would take the next tool's reference point for ours (I7).
      if (hasCode(error, ...REFUSALS)) this.#state = 'open';
      throw error;
    }
  }

  async #journalConverting(options: CallOptions): Promise<void> {
    const { host, request, checkpoint } = this.#held;
    const before = await host.hyperv.referencePoints(this.vm.id, options);
    await request.journal.record({
      step: 'converting',
      vmId: this.vm.id,
      runId: request.runId,
      at: new Date().toISOString(),
      checkpointId: checkpoint.instanceId,
      referencePointsBefore: before.map((each) => each.instanceId),
      recordedBefore: [...request.baselines, ...(request.othersBaselines ?? [])].map(
        (each) => each.referencePointId,
      ),
    });
  }

  /** The level the host gives the reference point is the last word, when it is the lower one (I9). */
  #sealed(point: ReferencePoint, standing: readonly Checkpoint[]): SealedReference {
    const { reached } = this.consistency;
    const { userCheckpoints, runningSince } = this.#held;
    return {
      referencePointId: point.instanceId,
      consistency: reached !== 'offline' && point.consistency === 'crash' ? 'crash' : reached,
      disks: this.#held.frozenDisks.flatMap((disk) => trackedDisk(disk, point)),
      // One that came while the checkpoint was asked for is of before it; one that came later counts too, and costs a compare at worst.
      userCheckpoints: Math.max(userCheckpoints, standing.filter(({ kind }) => kind === 'user').length),
      ...(runningSince === undefined ? {} : { runningSince }),
    };
  }

  async retire(referencePointIds: readonly string[], options: CallOptions = {}): Promise<void> {
    const { hyperv } = this.#held.host;
    const present = await hyperv.referencePoints(this.vm.id, options);
    for (const point of present) {
      if (referencePointIds.includes(point.instanceId)) await hyperv.destroyReferencePoint(point, options);
    }
  }

  settled(): Promise<void> {
    return this.#held.request.journal.clear(this.vm.id, this.#held.request.runId);
  }

  async confirm(options: CallOptions & { timeoutMs: number }): Promise<'merged' | 'merging'> {
    const { hyperv } = this.#held.host;
    const merge = await hyperv.waitForMerge(this.vm.id, options);
    const gone = !(await this.#stands({ signal: options.signal }));
    return merge === 'merged' && gone ? 'merged' : 'merging';
  }

  async abort(options: CallOptions = {}): Promise<void> {
    await this.#closeReaders();
    if (this.#state === 'ended') return;
    const { host, checkpoint } = this.#held;
    const converted = this.#state === 'converting' && !(await this.#stands(options));
    await host.hyperv.destroyCheckpoint(checkpoint, options);
    this.#state = 'ended';
    // A conversion that was asked for and left no checkpoint made a reference point, which only the journal knows of.
    if (!converted) await this.settled();
  }

  async #stands(options: CallOptions): Promise<boolean> {
    const { host, checkpoint } = this.#held;
    const checkpoints = await host.hyperv.checkpoints(this.vm.id, options);
    return checkpoints.some((each) => each.instanceId === checkpoint.instanceId);
  }

  /** Before the checkpoint goes: an open handle keeps the host from merging, and what is read later is not the frozen disk (I6). */
  async #closeReaders(): Promise<void> {
    await Promise.all(this.#held.frozenDisks.map((disk) => disk.reader.close()));
  }
}

function trackedDisk(disk: FrozenDisk, point: ReferencePoint): DiskBaseline[] {
  if (disk.format !== 'vhdx') return [];
  const entry = point.disks.find((each) => sameAttachment(each.attachmentId, disk.attached.attachmentId));
  if (!entry) return [];
  return [
    {
      diskId: disk.reader.virtualDiskId,
      attachmentId: disk.attached.attachmentId,
      rctId: entry.rctId,
      size: disk.reader.size,
      chain: disk.reader.files.map((file) => file.path),
    },
  ];
}

/** WMI compares InstanceIDs without regard to case. */
function sameAttachment(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
