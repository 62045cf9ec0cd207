/**
 * Capture: one consistent read of a VM.
 *
 *   open ──► recovery checkpoint (all disks, one instant) ──► per disk: full or delta, and why
 *     │                                                          │
 *     └─ our leftovers are removed first                         ▼
 *                                        the consumer reads and commits what it read
 *                                                                │
 *   seal ◄───────────────────────────────────────────────────────┘   readers closed, checkpoint → reference point
 *   retire                                                            older reference points of ours are destroyed
 *   abort                                                             instead of seal: the checkpoint is destroyed
 *
 * The order is what keeps a crash harmless: the consumer's commit is durable before the new reference point exists, the
 * new reference point is recorded before the old one dies, and nothing is read after the conversion (I5, I6).
 *
 * A *consumer* is who keeps baselines: a repository, later a replica. Its id is in the name of every checkpoint it makes.
 */
import type { Progress, Warning } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import type { ExtentStream } from '../extents/index.ts';

export type ConsistencyPolicy = 'application-preferred' | 'application-required' | 'crash';

/** `offline`: the VM was off, so nothing could be inconsistent. Never recorded higher than it was (I9). */
export type Consistency = 'application' | 'crash' | 'offline';

/** What a consumer committed last for one disk, and the mark on the host that goes with it. */
export interface DiskBaseline {
  readonly diskId: string;
  /** WMI InstanceID of the attachment; a location, so never enough to identify the disk. */
  readonly attachmentId: string;
  readonly rctId: string;
  /** Bytes of the virtual disk then. */
  readonly size: number;
  /** Host files of the chain then, leaf first: a chain that is not a continuation means the VM was reverted. */
  readonly chain: readonly string[];
}

export interface Baseline {
  readonly referencePointId: string;
  readonly disks: readonly DiskBaseline[];
}

export interface CaptureRequest extends CallOptions {
  readonly vm: string;
  /** Names this run in the checkpoint and the journal. */
  readonly runId: string;
  readonly consistency: ConsistencyPolicy;
  /** Newest first; the first whose reference point still stands on the host is used. */
  readonly baselines: readonly Baseline[];
  readonly full?: boolean;
  /** Leave out what cannot be protected (pass-through disks, unreadable formats) and say so, instead of refusing. */
  readonly skipUnprotectable?: boolean;
  readonly journal: CaptureJournal;
  readonly progress?: Progress;
}

export type FullReason =
  | 'requested'
  | 'first-backup'
  | 'reference-point-lost'
  | 'new-disk'
  | 'size-changed'
  | 'chain-changed'
  | 'tracking-unsupported'
  | 'change-query-failed';

export type DeltaReason = 'changes-since-reference-point';

export interface CapturedDisk {
  /** VirtualDiskId: the disk's identity, never its path or slot. */
  readonly id: string;
  readonly attachment: {
    readonly controller: 'ide' | 'scsi';
    readonly controllerNumber: number;
    readonly slot: number;
  };
  readonly attachmentId: string;
  /** Path on the host of the frozen file. */
  readonly path: string;
  readonly chain: readonly string[];
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly physicalSectorSize: number;
  /** Bytes of the host files that hold the disk. */
  readonly hostFileBytes: number;
  readonly kind: 'full' | 'delta';
  readonly reason: FullReason | DeltaReason;
  /** Which baseline a delta is relative to. */
  readonly baseline?: Baseline;
  /** What has to be read: the allocated ranges of a full, the changed ranges of a delta. */
  readonly extents: ExtentStream;
  readonly reader: Disk;
  /** For a delta whose change query fails in the middle: the same frozen disk, in full (I8). */
  asFull(reason: FullReason): CapturedDisk;
}

export interface CapturedVm {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly generation?: number | undefined;
  readonly configurationVersion?: string | undefined;
}

/** The reference point a capture became. */
export interface SealedReference {
  readonly referencePointId: string;
  readonly consistency: Consistency;
  /** Disks without a tracking id are absent: their next backup is a full. */
  readonly disks: readonly DiskBaseline[];
}

export interface Capture {
  readonly vm: CapturedVm;
  readonly consistency: { readonly asked: ConsistencyPolicy; readonly reached: Consistency };
  readonly disks: readonly CapturedDisk[];
  /** What was left out although the VM has it, and other things an administrator should know. */
  readonly warnings: readonly Warning[];
  /** The VM's settings as data. */
  readonly configuration: unknown;
  /**
   * Closes every reader, then converts the checkpoint. Undefined when the VM cannot be tracked: the checkpoint is
   * destroyed instead. When the conversion fails the checkpoint is destroyed too, and the fault is thrown: the consumer's
   * commit stands, with the old baseline.
   */
  seal(options?: CallOptions): Promise<SealedReference | undefined>;
  /** Destroys reference points of the consumer that are no longer needed; what is already gone is not an error. */
  retire(referencePointIds: readonly string[], options?: CallOptions): Promise<void>;
  /** The consumer has recorded the sealed reference: the journal entry of this run can go. */
  settled(): Promise<void>;
  /** Is the checkpoint gone and its AVHDX merged (I11)? Waits up to `timeoutMs`. */
  confirm(options: CallOptions & { timeoutMs: number }): Promise<'merged' | 'merging'>;
  /** Closes readers and destroys the checkpoint. Idempotent, harmless after `seal`. */
  abort(options?: CallOptions): Promise<void>;
}

/** A hypervisor to capture from. Written so that another one can be a source some day. */
export interface Source {
  open(request: CaptureRequest): Promise<Capture>;
  /**
   * Whether the VM went to another host since it was last opened: then a run that failed before its commit may begin anew,
   * once, and removes there what the first one left. Absent where VMs stay.
   */
  moved?(vmId: string, options: CallOptions): Promise<boolean>;
}

/** Finds what a killed run may have left; kept by the consumer, durable before the step it announces. */
export interface CaptureJournal {
  /** First 8 hexadecimal digits of the consumer's id: part of every checkpoint name. */
  readonly consumer: string;
  entries(vmId: string): Promise<readonly JournalEntry[]>;
  record(entry: JournalEntry): Promise<void>;
  clear(vmId: string, runId: string): Promise<void>;
}

export type JournalEntry =
  | {
      readonly step: 'freezing';
      readonly vmId: string;
      readonly runId: string;
      readonly at: string;
      /** Checkpoints that existed before: a new one without our name can only be the one we asked for. */
      readonly checkpointsBefore: readonly string[];
    }
  | {
      readonly step: 'converting';
      readonly vmId: string;
      readonly runId: string;
      readonly at: string;
      readonly checkpointId: string;
      readonly referencePointsBefore: readonly string[];
      /** Reference points of the consumer's baselines then, lost ones included: one recorded since is what the run made. */
      readonly recordedBefore: readonly string[];
    };
