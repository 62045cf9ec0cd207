/** The part of the engine's port that keeps replicas. */
import type { Warning } from '../base/index.ts';
import type { CapturedConsistency, LeftOutDisk } from '../capture/index.ts';
import type {
  CutoverStep,
  RehearsalNote,
  RehearsalRecord,
  ReplicatedDisk,
  ReplicateRecord,
  RollRecord,
} from '../flows/index.ts';
import type { ConsistencyAsked, HostAccess, PointSelector, RepositoryAccess, Task } from './engine.ts';

export interface ReplicateCall {
  readonly host: HostAccess;
  readonly vm: string;
  /** Address of the target; the path of a folder is absolute. */
  readonly target: string;
  /** Default: the one of this machine. */
  readonly stateFolder?: string;
  readonly consistency?: ConsistencyAsked;
  /** What the first cycle begins with; left out: nothing. */
  readonly seed?: ReplicaSeed | undefined;
  /** Each cycle makes a restore point there, and brings it to the target. */
  readonly via?: RepositoryAccess;
  /** With `via`: whose baselines there; left out: those of a backup. */
  readonly consumer?: string;
  /** Read from the host at most. */
  readonly bytesPerSecond?: number;
  /** Leave out what cannot be captured, and say so, instead of refusing the VM. */
  readonly skipUnprotectable: boolean;
  /** How many generations the target keeps; left out: none, and those there stay. */
  readonly keep?: number;
  /** From the beginning of one cycle to that of the next; left out: one cycle. */
  readonly everySeconds?: number;
}

export type ReplicaSeed =
  | 'existing'
  | { readonly repository: RepositoryAccess; readonly point: PointSelector };

/** A cycle that ended, well or with an error. */
export interface ReplicateRun {
  readonly runId?: string;
  readonly replica?: string;
  readonly vm: { readonly id?: string; readonly name: string; readonly host?: string };
  readonly target: string;
  readonly generation?: number;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly seconds: number;
  readonly resumed?: boolean;
  readonly consistency?: CapturedConsistency;
  readonly point?: ReplicateRecord['point'];
  readonly disks: readonly ReplicatedDisk[];
  readonly leftOut?: readonly LeftOutDisk[];
  readonly warnings: readonly Warning[];
  /** As thrown. */
  readonly error?: unknown;
  /** Of one that failed and is followed by another: when that begins. */
  readonly nextInSeconds?: number;
}

export interface ReplicaCall {
  /** Id, the beginning of one, or the name of the VM. */
  readonly replica: string;
  readonly stateFolder?: string;
}

export interface RollReplicaCall extends ReplicaCall {
  readonly to:
    | { readonly repository: RepositoryAccess; readonly point: PointSelector }
    /** One that the target keeps. */
    | { readonly generation: number };
}

export interface RemoveReplicaCall extends ReplicaCall {
  /** Left out: the reference point stays on its host. */
  readonly host?: HostAccess;
}

export interface ReplicaSummary {
  readonly id: string;
  /** Of its state. */
  readonly folder: string;
  readonly vm?: { readonly id: string; readonly name: string };
  readonly target?: string;
  readonly phase?: 'seeding' | 'idle' | 'staged' | 'rolling';
  /** The last complete one. */
  readonly generation?: {
    readonly number: number;
    readonly time: string;
    readonly consistency: CapturedConsistency;
    /** Id of the restore point that it is. */
    readonly point?: string;
    /** The earlier generation that it is again. */
    readonly rolledTo?: number;
  };
  readonly disks: readonly {
    readonly number: number;
    readonly id: string;
    readonly place: string;
    /** False of one that is no longer part of the VM, or not yet part of a generation. */
    readonly inGeneration: boolean;
  }[];
  readonly referencePoints?: readonly string[];
  /** One that has its machine: `left`, by a run that died, where it could not be removed. */
  readonly rehearsal?: RehearsalNote & { readonly state: 'runs' | 'kept' | 'left' };
  /** Generations that the target keeps. */
  readonly kept?: readonly { readonly number: number; readonly time: string }[];
  /** The last one that ended. */
  readonly rehearsed?: RehearsalRecord;
  /** The last one, wherever it is. */
  readonly cutover?: { readonly step: CutoverStep; readonly startedAt: string; readonly hypervisor: string };
  /** As thrown, when its state cannot be read. */
  readonly error?: unknown;
}

export interface ReplicateEngine {
  /** A cycle, or one after the other until the signal aborts; what goes wrong with one is in its record. */
  replicate(call: ReplicateCall, task: Task): AsyncIterable<ReplicateRun>;
  /** Those with their state on this machine. */
  replicas(call: Pick<ReplicaCall, 'stateFolder'>, task: Task): Promise<ReplicaSummary[]>;
  showReplica(call: ReplicaCall, task: Task): Promise<ReplicaSummary>;
  /** Finishes what a cycle that died left on its target: afterwards that alone is the last generation. Needs no host. */
  settleReplica(call: ReplicaCall, task: Task): Promise<ReplicaSummary>;
  /** Makes the replica another moment of its VM. Needs no host. */
  rollReplica(call: RollReplicaCall, task: Task): Promise<RollRecord>;
  /** Forgets a replica and what the host remembers for it. What is on its target stays. */
  removeReplica(call: RemoveReplicaCall, task: Task): Promise<ReplicaSummary>;
}
