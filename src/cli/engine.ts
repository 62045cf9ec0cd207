/**
 * The port between the command line and the work: what each command needs, and nothing about how it is done.
 *
 *   commands/*  ──►  Engine (this file)  ◄──  the engine over src/flows
 *                                        ◄──  fake-engine.fixture.ts, for the tests
 *
 * Calls are stateless: each gets the access data of the host and the repository, opens what it needs and closes it before
 * it settles. Every call takes a {@link Task}: it stops cleanly when `signal` aborts (removing what it put on the host) and
 * then throws the signal's reason, and it reports what it does through `progress`. What goes wrong is thrown as a Fault.
 *
 * Sizes and offsets are bytes, times are ISO 8601 in UTC, durations seconds. Records are plain data: `--json` prints them
 * as they are.
 */
import type { Progress } from '../base/index.ts';
import type { CapturePlan, CheckpointBudget, DiskSelection, LeftOutDisk } from '../capture/index.ts';
import type { Finding } from '../doctor/index.ts';
import type { Extent } from '../extents/index.ts';
import type {
  CompareRecord,
  ConvertRecord,
  DiskAuditRecord,
  DiskHashRecord,
  DiskInfoRecord,
  DiskMap,
  FoldRecord,
  JanitorVm,
  MachineRequest,
  PointExplanation,
  PointMachine,
  PruneRecord,
  RunCaps,
  VmPolicy,
  VmRetention,
  VmSelection,
} from '../flows/index.ts';
import type { NbdPlace } from '../nbd/index.ts';
import type { Requests } from '../objectstore/index.ts';
import type { Recording } from '../recording/index.ts';
import type {
  AuditBudget,
  CollectReport,
  FoldBudget,
  Pin,
  VerifiedState,
  VerifyBudget,
} from '../repository/index.ts';
import type { HostKeyOffer } from '../ssh/index.ts';
import type { CutoverEngine } from './cutover-port.ts';
import type { RehearseEngine } from './rehearse-port.ts';
import type { ReplicateEngine } from './replicate-port.ts';
import type { Secret } from './secret.ts';

export interface Task {
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

/** How to reach a host. `password` is asked for at the moment of use and may prompt; it remembers its answer. */
export interface HostAccess {
  /** The name in the configuration. */
  readonly name: string;
  /** `http://host:5985/wsman` or `https://host:5986/wsman`; port and path always there. */
  readonly url: string;
  /** `DOMAIN\user`, `user@domain` or `user`; with `asCurrentUser` only for messages. */
  readonly user: string;
  /** No user is configured: the account hvlift runs under logs on, or the owner of the Kerberos ticket cache. */
  readonly asCurrentUser?: true;
  readonly password: () => Promise<Secret>;
  /** https only: a PEM file of the authorities to trust instead of the system's. */
  readonly caFile?: string;
  /** https only: the SHA-256 fingerprint the host's certificate must have. */
  readonly fingerprint256?: string;
  /** How to log on, when that is configured. */
  readonly logOn?: LogOnAccess;
  readonly files: FilesAccess;
  /** Present when files or control go by SSH. */
  readonly ssh?: SshAccess;
  /** Control goes through a tunnel to WinRM on the far side. */
  readonly viaSsh: boolean;
  /** Addresses of nodes of a cluster that are not reached under their own names, complete as `url` is. */
  readonly nodes?: Readonly<Record<string, string>>;
  /** WinRM connections at most, to each node; 2 when absent. */
  readonly sessions?: number;
}

export const AUTH_METHODS = ['auto', 'kerberos', 'ntlm', 'basic', 'certificate'] as const;

/** Files are absolute paths of this machine. */
export interface LogOnAccess {
  /** Default `auto`: Kerberos where it can be had, else NTLM. */
  readonly auth?: (typeof AUTH_METHODS)[number];
  /** The Kerberos key of the user. */
  readonly keytab?: string;
  /** PEM files, for `certificate`. */
  readonly clientCertificate?: { readonly certificateFile: string; readonly keyFile: string };
  /** https: take any certificate. */
  readonly insecure?: boolean;
}

/** How to reach the SSH server of a host. Callbacks may prompt and remember their answers. */
export interface SshAccess {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** `confirm` is there on a terminal only. */
  readonly hostKey:
    | { readonly fingerprint: string }
    | { readonly knownHosts: string; readonly confirm?: (offer: HostKeyOffer) => Promise<boolean> };
  /** The socket of the agent. */
  readonly agent?: string;
  readonly key?: { readonly path: string; readonly passphrase: () => Promise<Secret> };
  /** Also try the password of the host. */
  readonly usePassword: boolean;
}

export const FILE_KINDS = ['fs', 'smb', 'sftp'] as const;

/**
 * How the host's files are read: by paths on this machine (`fs`), by SMB from the host itself and from the shares that
 * `to` names (`smb`), or by SFTP from the SSH server of the host (`sftp`). The longest matching mapping counts.
 */
export interface FilesAccess {
  readonly kind: (typeof FILE_KINDS)[number];
  readonly mappings: readonly { readonly from: string; readonly to: string }[];
  /** smb only; 445 when absent. */
  readonly port?: number;
}

/** Where a repository is, and how to get there. */
export interface StoreAccess {
  /** An absolute path, or an address that begins with `s3://` or `sftp://`. */
  readonly path: string;
  readonly s3?: S3Access;
  /** Present with `sftp://`; host, port and user are those of the address. */
  readonly ssh?: Omit<SshAccess, 'host' | 'port' | 'user' | 'usePassword'>;
  /** To and from the store, at most. */
  readonly bytesPerSecond?: number;
  /** Where pages that are read again and again are kept. */
  readonly cache?: { readonly folder: string; readonly bytesMax: number };
}

/** What a command asked of a store that bills it. */
export interface StoreRequests extends Requests {
  /** By the list prices of AWS; an estimate. */
  readonly costDollars: number;
}

export interface S3Access {
  /** Absent: environment, shared files or role, as the tools of AWS look for them. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretKey: () => Promise<Secret> };
  readonly region?: string;
  readonly pathStyle?: boolean;
  /** A PEM file of the authorities to trust instead of the system's. */
  readonly caFile?: string;
  readonly objectLock?: { readonly mode: 'governance' | 'compliance'; readonly days: number };
}

export interface RepositoryAccess extends StoreAccess {
  /** The name in the configuration, when it has one. */
  readonly name?: string;
  /** Called only when the repository is encrypted; may prompt; remembers its answer. */
  readonly unlock: () => Promise<RepositoryKey>;
}

export interface RepositoryKey {
  readonly kind: 'passphrase' | 'recovery-key';
  readonly secret: Secret;
}

export const CONSISTENCIES = ['application-preferred', 'application-required', 'crash'] as const;
export type ConsistencyAsked = (typeof CONSISTENCIES)[number];
export type ConsistencyReached = 'application' | 'file-system' | 'crash' | 'offline';

export interface PointConsistency {
  readonly asked: ConsistencyAsked;
  readonly reached: ConsistencyReached;
  /** Applications of the guest were told that they may truncate their logs. */
  readonly truncatedLogs?: true | undefined;
}

export const RESTORE_FORMATS = [
  'raw',
  'vhdx',
  'vhdx-fixed',
  'qcow2',
  'qcow2-zstd',
  'vhd',
  'vhd-fixed',
  'vmdk',
  'vmdk-flat',
  'vmdk-stream',
  'ova',
] as const;
export type RestoreFormat = (typeof RESTORE_FORMATS)[number];

/** Those that are written front to back, and can go down a pipe. */
export const PIPE_FORMATS = ['raw', 'vmdk-stream', 'ova'] as const satisfies readonly RestoreFormat[];

/** `id` is a restore point's id or a prefix of it; `latest` is the newest point of a VM (its name or GUID). */
export type PointSelector =
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'latest'; readonly vm: string };

/** What one disk can be converted into. */
export const CONVERT_FORMATS = RESTORE_FORMATS.filter((format) => format !== 'ova');
export type ConvertFormat = (typeof CONVERT_FORMATS)[number];

/** Those of them that can go down a pipe. */
export const CONVERT_PIPE_FORMATS = PIPE_FORMATS.filter((format) => format !== 'ova');

/** Bytes, never added to each other: each answers its own question. */
export interface Sizes {
  /** Size of the virtual disk as the guest sees it. */
  readonly virtual: number;
  /** What the disk occupies on the host. */
  readonly allocated: number;
  /** Read from the host in this run. */
  readonly read: number;
  /** Read and found different from the previous restore point. */
  readonly changed: number;
  /** Changed and not yet in the repository, before compression. */
  readonly new: number;
  /** Written to the repository for it. */
  readonly stored: number;
}

/** Something the user should know though the work was done: a merge that still runs, a file others may read. */
export interface Warning {
  readonly code: string;
  readonly message: string;
  readonly remedy?: string;
}

export interface VmName {
  /** GUID, lower case. */
  readonly id: string;
  readonly name: string;
}

export interface HostCheck {
  /** What was tried, a few words: "sign in", "read a disk file". */
  readonly name: string;
  readonly detail: string;
  readonly warning?: Warning;
  /** As thrown; the check failed. */
  readonly error?: unknown;
}

export interface HostReport {
  readonly computerName?: string;
  readonly system?: string;
  readonly checks: readonly HostCheck[];
}

export interface VmSummary extends VmName {
  readonly state: string;
  /** What the host is doing with it just now, when it is busy. */
  readonly busy?: string;
  readonly generation?: number;
  readonly configurationVersion?: string;
  readonly disks: number;
  readonly virtualBytes?: number;
  /** Words of the form #hvlift:TAG in its notes, without what is before the colon; absent: not looked at. */
  readonly tags?: readonly string[];
  /** Why a backup would be refused or incomplete; empty when nothing stands in its way. */
  readonly obstacles: readonly string[];
}

export interface RepositoryCreated {
  readonly repositoryId: string;
  readonly encryption: string;
  /** Shown or saved once, never again; absent without encryption. */
  readonly recoveryKey?: Secret;
}

/** What opens a repository: one of several secrets, told without it. */
export interface KeySlot {
  /** 16 hexadecimal digits. */
  readonly slot: string;
  /** Absent when the slot is damaged. */
  readonly kind?: 'passphrase' | 'recovery-key' | 'clear';
  readonly createdAt?: string;
  readonly problem?: string;
}

export type NewKey = { readonly passphrase: Secret } | 'recovery-key';

export interface KeyAdded {
  readonly slot: string;
  /** Shown or saved once, never again; only of a new recovery key. */
  readonly recoveryKey?: Secret;
}

/** `vms` are names, GUIDs, patterns or tags such as `#daily`. */
export interface BackupRequest extends VmSelection {
  readonly host: HostAccess;
  readonly repository: RepositoryAccess;
  /** Whose baselines are used and renewed; absent: those of the repository's unnamed consumer. */
  readonly consumer?: string;
  readonly full: boolean;
  /** The first that means a VM counts. */
  readonly policies: readonly VmPolicy[];
  readonly limits: BackupLimits;
  /** Leave out disks that no checkpoint can hold, and say so, instead of refusing the VM. */
  readonly skipUnprotectable: boolean;
  /** Of each VM, by numbers (from 1 among all its disks), ids or file names. */
  readonly disks?: DiskSelection;
  /** Files of the chain of one disk, at most. */
  readonly chainFilesMax?: number;
  /** What a checkpoint may take before its run is given up; absent: half of what is free. */
  readonly checkpointBudget?: CheckpointBudget;
  /** How much of what the host did not report is compared in an increment; absent: 0.1 % of the disk or 64 MiB. */
  readonly audit?: AuditBudget;
  /** How much is stored of each disk beyond what changed, so that a restore reads whole slots; absent: 5 % of what changed. */
  readonly fold?: FoldBudget;
}

/** `compare`: all that is allocated was read, and only what differs from an earlier point was stored. */
export const DISK_KINDS = ['full', 'compare', 'delta'] as const;
export type DiskKind = (typeof DISK_KINDS)[number];

export interface BackupLimits extends RunCaps {
  /** Of all reads from the hosts together. */
  readonly bytesPerSecond?: number;
  /** Reads make room on a volume where they take longer, in milliseconds. */
  readonly latencyMs?: number;
}

/** What a backup would do with a VM, found out without changing anything. */
export interface PlannedVm extends VmName {
  /** The machine that runs it; empty when the host does not say. */
  readonly host: string;
  readonly volumes: readonly string[];
  readonly consistency: ConsistencyAsked;
  readonly truncateLogs: boolean;
  /** What would be done with its disks, and what stands in the way; absent with an error. */
  readonly plan?: CapturePlan;
  /** The VM could not be looked at, as thrown: no VM has the name, or several. */
  readonly error?: unknown;
}

export interface BackupDisk {
  /** Counted from 1 in the order of controllers and slots. */
  readonly number: number;
  /** VirtualDiskId, lower case. */
  readonly id: string;
  readonly path: string;
  readonly kind: DiskKind;
  /** Why it was read in full or compared, or since which point the changes count. */
  readonly reason: string;
  readonly sizes: Sizes;
  /** Slots of many pieces that were stored whole, and what of that had not changed; absent: none. */
  readonly folded?: { readonly slots: number; readonly bytes: number };
  /** Of an increment, unless it was switched off. */
  readonly audit?: DiskAuditRecord;
  readonly seconds: number;
}

/** The one record of a run; exit code, table and JSON derive from it. */
export interface BackupRun {
  readonly runId: string;
  readonly consumer?: string;
  /** The id is empty when the host could not say which VM that is. */
  readonly vm: VmName;
  readonly host: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly seconds: number;
  /** The restore point that was committed; absent when none was. */
  readonly pointId?: string;
  readonly consistency: {
    readonly asked: ConsistencyAsked;
    readonly reached?: ConsistencyReached;
    readonly truncatedLogs?: true | undefined;
    readonly reason?: string;
  };
  readonly disks: readonly BackupDisk[];
  /** Disks of the VM that are not in the restore point; absent: none. */
  readonly leftOut?: readonly LeftOutDisk[];
  readonly sizes: Sizes;
  readonly warnings: readonly Warning[];
  /** As thrown. A run with an error and a `pointId` committed its data and failed afterwards. */
  readonly error?: unknown;
}

export interface PointDisk {
  readonly number: number;
  readonly id: string;
  readonly path: string;
  readonly kind: DiskKind;
  readonly reason: string;
  readonly sizes: Sizes;
  /** Bytes whose changes were not reported and that were compared when the point was made. */
  readonly auditedBytes?: number;
  /** A later audit found that changes of the disk may be missing here. */
  readonly suspect?: true;
}

export interface PointSummary {
  readonly id: string;
  readonly vm: VmName;
  readonly createdAt: string;
  readonly consistency: PointConsistency;
  /** Who made it, when that is not the repository's unnamed consumer. */
  readonly consumer?: string;
  /** The restore point that a fold made this one of: the content is the same. */
  readonly foldedFrom?: string;
  readonly disks: readonly PointDisk[];
  /** Disks the VM had and the point has not; absent: none. */
  readonly leftOut?: readonly { readonly path: string; readonly reason: string; readonly why: string }[];
  readonly sizes: Sizes;
}

/** A restore point with all it says of itself. */
export interface PointDetails extends PointSummary {
  /** Ranges of disks that cannot be restored, as far as verifications have found out. */
  readonly losses: readonly { readonly disk: number; readonly extents: readonly Extent[] }[];
  /** It ran there. */
  readonly host: string;
  readonly runId: string;
  /** The restore point its deltas were made over. */
  readonly parent?: string;
  /** As docs/formats/vm.md says; absent when it is lost. */
  readonly configuration?: object;
  readonly why?: PointExplanation;
  readonly warnings: readonly Warning[];
}

/** `to` is another repository; without `points` and `vm`, all points there are. */
export interface CopyPointsRequest {
  readonly repository: RepositoryAccess;
  readonly to: RepositoryAccess;
  /** Ids, or the beginnings of ids. */
  readonly points: readonly string[];
  /** Every point of this VM, by name or GUID. */
  readonly vm?: string;
}

export interface PointCopied {
  readonly pointId: string;
  readonly vm: VmName;
  readonly createdAt: string;
  /** The repository had it already. */
  readonly present: boolean;
  readonly readBytes: number;
  readonly storedBytes: number;
}

export interface RestoreRequest {
  readonly repository: RepositoryAccess;
  readonly point: PointSelector;
  /** Numbers (from 1), VirtualDiskIds or file names; empty: every disk. */
  readonly disks: readonly string[];
  /** The folder for the image files, absolute; made when missing. */
  readonly to: string;
  readonly format: RestoreFormat;
  /** Replace existing images, finished or not. */
  readonly overwrite: boolean;
}

export interface StreamRequest {
  readonly repository: RepositoryAccess;
  readonly point: PointSelector;
  /** Exactly one, named or the only one there is, unless the format is `ova`. */
  readonly disks: readonly string[];
  readonly format: (typeof PIPE_FORMATS)[number];
  /** Called before the first byte. */
  readonly warn: (warning: Warning) => void;
}

export interface ServeRequest {
  readonly repository: RepositoryAccess;
  readonly point: PointSelector;
  /** Numbers from 1, ids or file names; all when empty. */
  readonly disks: readonly string[];
  readonly place?: NbdPlace;
  readonly tls?: ServeTls;
  /** Folder for what clients write; without it nothing can be written. */
  readonly overlay?: string;
  /** Only with `overlay`: a machine writes to its disks. */
  readonly machine?: MachineRequest;
  /** Memory for decoded chunks; by the memory of this machine when left out. */
  readonly cacheBytes?: number;
}

/** PEM files, absolute paths. */
export interface ServeTls {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** The authority of the certificates clients must have. */
  readonly clientsFile?: string;
}

export interface ServeRun {
  readonly pointId: string;
  readonly vm: VmName;
  readonly consistency: PointConsistency;
  readonly created: string;
  readonly exports: readonly {
    readonly number: number;
    readonly id: string;
    readonly size: number;
    /** NBD URI. */
    readonly address: string;
    /** The folder of what is written to this disk. */
    readonly overlay?: string;
  }[];
  readonly machine?: PointMachine;
  readonly warnings: readonly Warning[];
}

export interface RestoreRun {
  readonly pointId: string;
  readonly vm: VmName;
  readonly consistency: PointConsistency;
  readonly disks: readonly {
    readonly number: number;
    readonly id: string;
    /** The image file. */
    readonly path: string;
    readonly virtualBytes: number;
    readonly writtenBytes: number;
    readonly seconds: number;
  }[];
  readonly seconds: number;
  readonly warnings: readonly Warning[];
}

export interface VerifyRequest {
  readonly repository: RepositoryAccess;
  readonly point?: PointSelector;
  readonly budget?: VerifyBudget;
}

export interface VerifyRun {
  readonly points: number;
  readonly objects: number;
  readonly readBytes: number;
  readonly seconds: number;
  /** Everything that is wrong, not only the first. */
  readonly damaged: readonly {
    readonly object: string;
    readonly problem: string;
    /** Where it hurts: disks of restore points, and the ranges of them that cannot be restored. */
    readonly affects: readonly {
      readonly pointId: string;
      readonly vm: string;
      readonly disk: number;
      readonly extents: readonly Extent[];
    }[];
    /** Restore points whose VM settings need it. */
    readonly settings: readonly { readonly pointId: string; readonly vm: string }[];
  }[];
  readonly verified: VerifiedState;
  readonly warnings: readonly Warning[];
}

export interface DiskCheckRun {
  readonly path: string;
  readonly format: string;
  /** No finding is damage. */
  readonly sound: boolean;
  readonly findings: readonly (Warning & { readonly severity: 'damage' | 'notice' })[];
  /** Found beyond those listed. */
  readonly moreFindings: number;
  readonly virtualBytes?: number;
  /** The sound copy that was written. */
  readonly repairedTo?: string;
}

export interface RepairRun {
  /** False: it was only looked at. */
  readonly applied: boolean;
  readonly packs: number;
  readonly objects: number;
  /** Of these, what the index did not have. */
  readonly unknownObjects: number;
  /** Segments of the index that cannot be read. */
  readonly damagedSegments: number;
  /** Names of packs that the index has and that are not there. */
  readonly missingPacks: readonly string[];
  /** What is wrong with each damaged pack; its objects were found by walking through it. */
  readonly damagedPacks: readonly string[];
  /** Files of `about/` that are missing or of another version. */
  readonly about: readonly string[];
  readonly warnings: readonly Warning[];
}

export interface RepositoryStatus {
  readonly repositoryId: string;
  readonly formatVersion: number;
  /** `none` is shown loudly. */
  readonly encryption: string;
  readonly storedBytes: number;
  /** Of an object store: what it took to find this out. */
  readonly requests?: StoreRequests;
  /** What was read back when. */
  readonly verified: VerifiedState;
  readonly vms: readonly {
    readonly id: string;
    readonly name: string;
    readonly points: number;
    readonly latest: {
      readonly pointId: string;
      readonly createdAt: string;
      readonly consistency: PointConsistency;
    };
    /** The reference point the next increment starts from, of each consumer that has one; empty: the next run has none. */
    readonly baselines: readonly { readonly consumer?: string; readonly referencePointId: string }[];
    /** After so many increments like the latest every byte was audited: of its disks the largest number; absent: none was. */
    readonly auditedWithin?: number;
    /** Ids of the points that may lack changes. */
    readonly suspectPoints?: readonly string[];
  }[];
  readonly warnings: readonly Warning[];
  /** As thrown for a manifest that is damaged; everything else is told all the same. */
  readonly error?: unknown;
}

export interface ReferencePointSummary {
  readonly id: string;
  readonly vm: VmName;
  readonly consistency: ConsistencyReached;
  readonly disks: readonly { readonly id: string; readonly path: string; readonly rctId: string }[];
}

/** Changes of one disk. `extents` is sorted and is consumed before the next disk is asked for. */
export interface DiskChanges {
  readonly number: number;
  readonly id: string;
  readonly path: string;
  readonly virtualBytes: number;
  readonly extents: AsyncIterable<Extent>;
}

/** A disk file of this machine; paths are absolute. */
export interface DiskFileRequest {
  readonly path: string;
  /** Folders in which parents are looked for first. */
  readonly parentFolders: readonly string[];
}

/** Works on disk files alone. */
export interface DiskEngine {
  /** Checks a disk file, and writes a sound copy when `repairTo` says where. */
  checkDisk(request: DiskFileRequest & { readonly repairTo?: string }, task: Task): Promise<DiskCheckRun>;
  diskInfo(request: DiskFileRequest, task: Task): Promise<DiskInfoRecord>;
  /** Opens the map of a disk, or of one file of its chain, for the time of `use`. */
  mapDisk<T>(
    request: DiskFileRequest & { readonly layer?: number },
    task: Task,
    use: (map: DiskMap) => Promise<T>,
  ): Promise<T>;
  convertDisk(
    request: DiskFileRequest & {
      readonly target: string;
      readonly format: ConvertFormat;
      readonly overwrite: boolean;
      readonly verify: boolean;
    },
    task: Task,
  ): Promise<ConvertRecord>;
  /** The bytes of an image. Cut off when it throws. */
  convertStream(
    request: DiskFileRequest & { readonly format: (typeof CONVERT_PIPE_FORMATS)[number] },
    task: Task,
  ): AsyncIterable<Uint8Array>;
  compareDisks(
    request: DiskFileRequest & { readonly other: string; readonly all: boolean; readonly strict: boolean },
    task: Task,
  ): Promise<CompareRecord>;
  hashDisk(request: DiskFileRequest & { readonly tree: boolean }, task: Task): Promise<DiskHashRecord>;
}

export type { JanitorVm };

export interface JanitorCall {
  readonly host: HostAccess;
  /** Whose leftovers are looked for. */
  readonly repositories: readonly RepositoryAccess[];
  readonly dryRun: boolean;
  /** Also checkpoints of `hvlift rct`. */
  readonly byHand: boolean;
  readonly mergeMinutes: number;
  /** Of the replicas whose leftovers are looked for too; default: that of this machine. */
  readonly stateFolder?: string;
  /** Called for what cannot be known at all: a repository that does not open, a node that does not answer. */
  readonly remark: (warning: Warning) => void;
}

export interface Engine extends DiskEngine, ReplicateEngine, RehearseEngine, CutoverEngine {
  /** Tries what a backup needs, one check after the other; a failed check is in the report, not thrown. */
  testHost(host: HostAccess, task: Task): Promise<HostReport>;
  /** Looks at everything a backup needs and changes nothing; what is wrong is a finding, not thrown. */
  diagnose(host: HostAccess, task: Task): AsyncIterable<Finding>;
  /** Tries in the place of a repository what one needs there, and leaves nothing; what is wrong is a finding, not thrown. */
  diagnoseRepository(store: StoreAccess, task: Task): AsyncIterable<Finding>;
  /** Writes what the host answers, made anonymous, into a new file. */
  record(
    request: { readonly host: HostAccess; readonly to: string; readonly vm?: string },
    task: Task,
  ): Promise<Recording>;
  vms(host: HostAccess, task: Task): Promise<VmSummary[]>;

  /** Makes an empty repository. Refuses a folder that holds one, or anything else. */
  createRepository(
    request: {
      readonly store: StoreAccess;
      readonly encryption: { readonly passphrase: Secret } | 'none';
    },
    task: Task,
  ): Promise<RepositoryCreated>;
  repositoryStatus(repository: RepositoryAccess, task: Task): Promise<RepositoryStatus>;
  /** Asks for no secret. */
  keySlots(repository: RepositoryAccess, task: Task): Promise<{ readonly slots: readonly KeySlot[] }>;
  addKey(
    request: { readonly repository: RepositoryAccess; readonly secret: NewKey },
    task: Task,
  ): Promise<KeyAdded>;
  /** `slot` is an id or the beginning of one. Never the last. Yields what was removed. */
  removeKey(
    request: { readonly repository: RepositoryAccess; readonly slot: string },
    task: Task,
  ): Promise<KeySlot>;
  /** Adds, calls `told`, and then removes `slot`, or the one that opened the repository. Yields what was removed. */
  rotateKey(
    request: { readonly repository: RepositoryAccess; readonly secret: NewKey; readonly slot?: string },
    told: (added: KeyAdded) => Promise<void>,
    task: Task,
  ): Promise<KeySlot>;

  /**
   * Backs up several VMs at once within the caps, and yields the record of each as it ends. What goes wrong with one VM is in
   * its record and the others go on; what stands in the way of all of them (host, repository, cancellation) is thrown.
   */
  backup(request: BackupRequest, task: Task): AsyncIterable<BackupRun>;
  /** Which VMs that would be, in the order they would begin, what each would be asked for, what of it would be read and why. */
  planBackup(request: BackupRequest, task: Task): AsyncIterable<PlannedVm>;

  /** Newest first, per VM; `vm` is a name or GUID. */
  points(
    repository: RepositoryAccess,
    filter: { readonly vm?: string },
    task: Task,
  ): AsyncIterable<PointSummary>;
  /** One point; with `why` the changes are read and told by area of the guest's file systems. */
  showPoint(
    request: { readonly repository: RepositoryAccess; readonly point: PointSelector; readonly why: boolean },
    task: Task,
  ): Promise<PointDetails>;
  /** Drops what no rule keeps; with `dryRun` only says so. */
  prune(
    request: {
      readonly repository: RepositoryAccess;
      readonly retention: readonly VmRetention[];
      readonly vm?: string;
      readonly dryRun: boolean;
    },
    task: Task,
  ): Promise<PruneRecord>;
  /** Deletes what no point needs, once two runs agree. */
  collect(
    request: { readonly repository: RepositoryAccess; readonly dryRun: boolean },
    task: Task,
  ): Promise<CollectReport>;
  /** Stores slots of many pieces whole, of the newest point of each VM; with `dryRun` only says which. */
  fold(
    request: {
      readonly repository: RepositoryAccess;
      readonly vm?: string;
      readonly bytesMax?: number;
      readonly dryRun: boolean;
    },
    task: Task,
  ): Promise<FoldRecord>;
  pinPoint(
    request: {
      readonly repository: RepositoryAccess;
      readonly point: PointSelector;
      readonly reason: string;
    },
    task: Task,
  ): Promise<Pin>;
  unpinPoint(
    request: { readonly repository: RepositoryAccess; readonly point: PointSelector },
    task: Task,
  ): Promise<{ readonly pointId: string; readonly wasHeld: boolean }>;
  /** Copies restore points into another repository, oldest first of each VM. */
  copyPoints(request: CopyPointsRequest, task: Task): AsyncIterable<PointCopied>;
  restore(request: RestoreRequest, task: Task): Promise<RestoreRun>;
  /** The bytes of an image or a package. Cut off when it throws. */
  restoreStream(request: StreamRequest, task: Task): AsyncIterable<Uint8Array>;
  /** Serves a restore point by NBD while `use` runs. */
  servePoint(request: ServeRequest, task: Task, use: (served: ServeRun) => Promise<void>): Promise<void>;
  /** Runs QEMU with this command until its guest is off; the signal of the task asks the guest to switch itself off. */
  runMachine(command: readonly string[], task: Task): Promise<void>;
  /** Reads back one point, a budget, or everything. Damage is in the report, not thrown. */
  verify(request: VerifyRequest, task: Task): Promise<VerifyRun>;
  /** Makes the index anew from the packs, or without `apply` says what that would change. */
  repair(
    request: { readonly repository: RepositoryAccess; readonly apply: boolean },
    task: Task,
  ): Promise<RepairRun>;
  /** Makes a reference point: from now on the host can tell what changes. */
  enableRct(
    request: { readonly host: HostAccess; readonly vm: string },
    task: Task,
  ): Promise<ReferencePointSummary>;
  /** What changed since the reference point `since`, disk by disk. */
  changedBlocks(
    request: { readonly host: HostAccess; readonly vm: string; readonly since: string },
    task: Task,
  ): AsyncIterable<DiskChanges>;
  /** What runs left on every VM of a host, removed; with `dryRun`, told of. */
  janitor(call: JanitorCall, task: Task): AsyncIterable<JanitorVm>;
  /** Destroys the reference points of the VM that were made by hand here; with `dryRun`, tells which those are. */
  resetRct(
    request: { readonly host: HostAccess; readonly vm: string; readonly dryRun: boolean },
    task: Task,
  ): Promise<{ readonly vm: VmName; readonly removed: readonly string[] }>;
}
