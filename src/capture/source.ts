/**
 * Capture: one consistent read of a VM.
 *
 *   open ──► recovery checkpoint (all disks, one instant) ──► per disk: full, compare or delta, and why
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
 * A *consumer* is who keeps baselines: a policy of a repository, later a replica. Its mark is in the name of every checkpoint
 * it makes. Several consumers of one VM each have a reference point of their own, and none destroys another's.
 */
import type { Progress, Warning } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import type { ExtentStream } from '../extents/index.ts';
import type { DiskSelection } from './disk-selection.ts';
import type { CheckpointBudget } from './room.ts';

export type ConsistencyPolicy = 'application-preferred' | 'application-required' | 'crash';

/**
 * `offline`: the VM was off, so nothing could be inconsistent. `file-system`: the guest froze its file systems and has nothing
 * that would make its applications flush, as with Linux. Never recorded higher than it was (I9).
 */
export type Consistency = 'application' | 'file-system' | 'crash' | 'offline';

export interface CapturedConsistency {
  readonly asked: ConsistencyPolicy;
  readonly reached: Consistency;
  /** Applications of the guest were told that they may truncate their logs; absent: they were told not to. */
  readonly truncatedLogs?: true;
}

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
  /**
   * Checkpoints of users the VM had then. With none there is no moment before the baseline to which somebody can go back
   * later. Absent in records of earlier versions: nobody knows.
   */
  readonly userCheckpoints?: number;
  /** The VM ran then, since this moment of the host's own time: as long as that is so, it went back nowhere. */
  readonly runningSince?: string;
}

export interface CaptureRequest extends CallOptions {
  readonly vm: string;
  /** Names this run in the checkpoint and the journal. */
  readonly runId: string;
  readonly consistency: ConsistencyPolicy;
  /** Of this consumer, newest first; the first whose reference point still stands on the host is used. */
  readonly baselines: readonly Baseline[];
  /** What the other consumers recorded that keep the same journal: never taken for something a killed run left. */
  readonly othersBaselines?: readonly Baseline[];
  /** Applications of the guest may truncate their logs: the guest is told of a full backup, not of a copy. */
  readonly truncateLogs?: boolean;
  readonly full?: boolean;
  /** Disks of this VM of which the consumer holds content, whether or not a baseline goes with it. */
  readonly earlierDisks?: readonly string[];
  /** Leave out what cannot be protected (pass-through disks, unreadable formats) and say so, instead of refusing. */
  readonly skipUnprotectable?: boolean;
  /** Which disks the run is about; default: all. */
  readonly disks?: DiskSelection;
  /** Files of one disk's chain before the checkpoint, at most; default: {@link CHAIN_FILES_MAX}. */
  readonly chainFilesMax?: number;
  readonly journal: CaptureJournal;
  readonly progress?: Progress;
}

/** Everything is read, and nothing that the consumer has is trusted. */
export type FullReason = 'requested' | 'first-backup';

/** Why the host cannot tell what changed, or is not believed: all that is allocated is read and compared with what the consumer has. */
export type CompareReason =
  /** The consumer holds earlier content, but no mark on the host goes with it. */
  | 'no-baseline'
  | 'reference-point-lost'
  | 'new-disk'
  /** The host tracks the VM, but gave this disk no mark when the baseline was made. */
  | 'not-in-reference-point'
  | 'size-changed'
  | 'chain-changed'
  | 'tracking-unsupported'
  | 'change-query-failed'
  /** A range of which no change was reported holds other bytes than the consumer has. */
  | 'audit-mismatch'
  /** Part of what the consumer has was found damaged: the disk is read whole, and laid over nothing. */
  | 'base-damaged';

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
  /** Of the host's files. */
  readonly format: 'vhdx' | 'vhd';
  readonly chain: readonly string[];
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly physicalSectorSize: number;
  /** Bytes of the host files that hold the disk. */
  readonly hostFileBytes: number;
  /** A compare of a disk of which the consumer has nothing amounts to a full. */
  readonly kind: 'full' | 'compare' | 'delta';
  readonly reason: FullReason | CompareReason | DeltaReason;
  /** Which baseline a delta is relative to. */
  readonly baseline?: Baseline;
  /** What has to be read: the allocated ranges of a full or a compare, the changed ranges of a delta. */
  readonly extents: ExtentStream;
  readonly reader: Disk;
  /** For a delta whose changes cannot be had or cannot be believed: the same frozen disk, all that is allocated (I8). */
  asCompare(reason: CompareReason): CapturedDisk;
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
  /** Disks without a tracking id are absent: their next backup is a compare. */
  readonly disks: readonly DiskBaseline[];
  /** As in {@link Baseline}. */
  readonly userCheckpoints?: number;
  readonly runningSince?: string;
}

/** At most 16 MiB. */
export interface ConfigurationFile {
  /** On the host. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface Capture {
  readonly vm: CapturedVm;
  readonly consistency: CapturedConsistency;
  readonly disks: readonly CapturedDisk[];
  /** What an administrator should know. */
  readonly warnings: readonly Warning[];
  /** Disks of the VM that are not among `disks`, and why. */
  readonly leftOut: readonly LeftOutDisk[];
  /** The VM's settings as data. */
  readonly configuration: unknown;
  /**
   * The files in which the host keeps those settings, as the checkpoint has them, and warnings of those that could not be
   * read. To be asked before `seal`, late: they settle after the checkpoint. Absent where there are none.
   */
  configurationFiles?(
    options?: CallOptions,
  ): Promise<{ readonly files: readonly ConfigurationFile[]; readonly warnings: readonly Warning[] }>;
  /**
   * Looks now and then how much room is left and how much the checkpoint takes, until `options.signal` aborts. Throws
   * `CAPTURE_VOLUME_FILLING`, `CAPTURE_CHECKPOINT_TOO_LARGE` when the run should be aborted before a volume fills. Absent where
   * no checkpoint takes room.
   */
  watch?(options: WatchOptions): Promise<void>;
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

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** Default: half of what was free on each volume. */
  readonly budget?: CheckpointBudget | undefined;
  /** Between two looks; default: {@link LOOK_EVERY_MS}. */
  readonly everyMs?: number | undefined;
}

/** A disk of the VM that is not in the restore point. */
export interface LeftOutDisk {
  /** From 1, among all disks of the VM. */
  readonly number: number;
  readonly attachment: CapturedDisk['attachment'];
  /** VirtualDiskId, when it is known. */
  readonly diskId?: string;
  /** The file the VM uses; of a physical disk where it is attached. */
  readonly path: string;
  /** `asked`: the run was about other disks. */
  readonly reason: 'asked' | 'unprotectable';
  /** One sentence without the final stop. */
  readonly why: string;
}

/** What a plan found: `refused` keeps the VM from being backed up, `warning` goes into the record, `note` only explains. */
export interface Obstacle extends Warning {
  readonly weight: 'refused' | 'warning' | 'note';
}

export interface PlannedDisk {
  /** From 1, among all disks of the VM. */
  readonly number: number;
  readonly diskId?: string;
  readonly attachment: CapturedDisk['attachment'];
  /** The file the VM uses now. */
  readonly path: string;
  /** Bytes of the virtual disk, when the host tells them. */
  readonly size?: number;
  /** Of its chain before the checkpoint. */
  readonly files: number;
  /** `refused`: it keeps the VM from being backed up, unless it is left out. */
  readonly kind: CapturedDisk['kind'] | 'left-out' | 'refused';
  readonly reason: CapturedDisk['reason'] | LeftOutDisk['reason'];
}

/** What a capture would do, found out without changing anything anywhere. */
export interface CapturePlan {
  readonly consistency: {
    readonly asked: ConsistencyPolicy;
    /** Absent when the policy cannot be met. */
    readonly expected?: Consistency;
  };
  readonly disks: readonly PlannedDisk[];
  readonly obstacles: readonly Obstacle[];
  /** Of the disks; empty when the host does not tell. */
  readonly volumes: readonly { readonly name: string; readonly capacity: number; readonly free: number }[];
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

/** One that can also tell what `open` would do. */
export interface PlanningSource extends Source {
  plan(request: CaptureRequest): Promise<CapturePlan>;
}

/** Finds what a killed run may have left; kept by the consumer, durable before the step it announces. */
export interface CaptureJournal {
  /** Part of every checkpoint name: first 8 hexadecimal digits of the owner's id, and `.name` when the consumer has one. */
  readonly consumer: string;
  /** Of every consumer that keeps this journal. */
  entries(vmId: string): Promise<readonly JournalEntry[]>;
  record(entry: JournalEntry): Promise<void>;
  /** When it is cut off, what is left is a part that ends with the newest step: `removing` outlives the others. */
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
      /** Reference points of all baselines then, lost ones included: one recorded since is what the run made. */
      readonly recordedBefore: readonly string[];
    }
  | {
      /** What the run left was found by exclusion, and is about to be removed: nothing else is ever taken for it. */
      readonly step: 'removing';
      readonly vmId: string;
      /** The run that left it. */
      readonly runId: string;
      readonly at: string;
      /** The checkpoint without a name, or the reference point. */
      readonly instanceId: string;
    };
