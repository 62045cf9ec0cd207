/**
 * A replica's state on disk: which generation its target holds, and what the host remembers for it.
 *
 *   ROOT/<id>/replica.json    the state, replaced as a whole; docs/formats/replica.md
 *   ROOT/<id>/staging/        the generation that is being read, or being brought to the target
 *   ROOT/locks/               one lease a replica
 *
 *   seeding ──► staged ──► idle ──► staged ──► idle ──► rolling ──► idle …
 *
 * `staged` is the commit: the new generation is complete, in what the target holds together with the staging. Bringing the
 * staging to the target can be done again as often as it takes. `rolling` is the commit of an earlier generation that the target
 * keeps: its images are put in the place of those there, again as often as it takes.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../base/index.ts';
import type {
  Baseline,
  CapturedDisk,
  CaptureJournal,
  CapturedConsistency,
  Consistency,
  JournalEntry,
} from '../capture/index.ts';
import { replaceFile, syncFolder, type CallOptions } from '../disk/index.ts';
import { openDirectoryStore } from '../objectstore/index.ts';
import { Lease } from '../repository/index.ts';
import { replicaFaults } from './replicate-faults.ts';

export interface ReplicaBaseline extends Baseline {
  readonly consistency: Consistency;
}

/** A disk that this replica has, or began to have, on its target. */
export interface ReplicaDisk {
  readonly diskId: string;
  readonly number: number;
  /** File name of its image without the extension, where the target is a folder. */
  readonly name: string;
  /** Of the target when it was last written by us; absent where the target cannot tell, and while it is being written. */
  readonly mark?: string;
}

export interface GenerationDisk {
  readonly diskId: string;
  readonly attachmentId: string;
  /** Bytes of the virtual disk. */
  readonly size: number;
  readonly logicalSectorSize: number;
  /** On the host. What follows is for machines that start from the replica; older states lack it. */
  readonly path?: string;
  readonly attachment?: CapturedDisk['attachment'];
  readonly physicalSectorSize?: number;
}

/** A moment of the VM that the replica holds whole. */
export interface ReplicaGeneration {
  readonly number: number;
  /** When its capture was opened; of one that came from a restore point, when that was made. */
  readonly time: string;
  readonly runId: string;
  readonly consistency: CapturedConsistency;
  /** Of the VM, as the host told them: `generation`, and its settings as data. Older states lack them. */
  readonly settings?: { readonly generation?: number; readonly configuration: unknown };
  /** The restore point whose content it is. Absent of one that came from the host. */
  readonly point?: PointOfReplica;
  /** The earlier generation that it is again. */
  readonly rolledTo?: number;
  readonly disks: readonly GenerationDisk[];
}

export interface PointOfReplica {
  /** Id of the repository. */
  readonly repository: string;
  readonly id: string;
}

/** A cycle that ended well, for the next one to be foretold by. */
export interface CycleNote {
  readonly generation: number;
  readonly time: string;
  /** `other`: a disk was read whole. */
  readonly kind: 'delta' | 'other';
  readonly readBytes: number;
  readonly changedBytes: number;
  /** Without the wait for the host to merge. */
  readonly seconds: number;
}

export interface ReplicaState {
  readonly vm: { readonly id: string; readonly name: string };
  /** Address of the target. */
  readonly target: string;
  readonly phase: 'seeding' | 'idle' | 'staged' | 'rolling';
  /** The last complete one; absent while seeding. */
  readonly generation?: ReplicaGeneration;
  /** Disks of the generation whose changes are in the staging; with `staged` only. */
  readonly staged: readonly string[];
  /** Ever claimed on the target, in the order of their numbers. */
  readonly disks: readonly ReplicaDisk[];
  /** Newest first. */
  readonly baselines: readonly ReplicaBaseline[];
  /** Those that no longer go with what the target holds. They only wait to be destroyed on the host. */
  readonly outdated?: readonly ReplicaBaseline[];
  readonly journal: readonly JournalEntry[];
  /** The newest last. */
  readonly cycles?: readonly CycleNote[];
}

/** Everything on the host that is the replica's. */
export function marksOf({ baselines, outdated = [] }: ReplicaState): readonly ReplicaBaseline[] {
  return [...baselines, ...outdated];
}

/** For a generation that did not come from the host: changes since the baselines say nothing about it. */
export function withoutBaselines(state: ReplicaState): Pick<ReplicaState, 'baselines' | 'outdated'> {
  return { baselines: [], outdated: marksOf(state) };
}

const FORMAT = 'hvlift-replica';
const VERSION = 1;
const STATE_FILE = 'replica.json';
const LOCKS = 'locks';

/** The id of the replica of a VM on a target: what its folder is named, and the mark of its checkpoints begins with. */
export function replicaId(vmId: string, target: string): string {
  return createHash('sha256').update(`${vmId.toLowerCase()}\n${target}`).digest('hex').slice(0, 16);
}

/** One replica, held by one run. */
export class Replica implements AsyncDisposable {
  readonly id: string;
  readonly folder: string;
  readonly #lease: Lease;
  #state: ReplicaState;

  private constructor(id: string, folder: string, lease: Lease, state: ReplicaState) {
    this.id = id;
    this.folder = folder;
    this.#lease = lease;
    this.#state = state;
  }

  /** Makes the state when there is none. Throws `REPLICA_BUSY`, `REPLICA_STATE_UNREADABLE`, `REPLICA_FOLDER_UNUSABLE`. */
  static async hold(
    root: string,
    { vm, target }: Pick<ReplicaState, 'vm' | 'target'>,
    options: CallOptions = {},
  ): Promise<Replica> {
    const id = replicaId(vm.id, target);
    const lease = await leaseOf(root, id, options);
    try {
      const folder = join(root, id);
      await makeFolder(folder);
      const state = (await readState(folder)) ?? newState(vm, target);
      const replica = new Replica(id, folder, lease, { ...state, vm });
      return replica;
    } catch (error) {
      await lease[Symbol.asyncDispose]();
      throw error;
    }
  }

  get state(): ReplicaState {
    return this.#state;
  }

  get stagingFolder(): string {
    return join(this.folder, 'staging');
  }

  /** Durable once it resolves. Throws `REPO_LEASE_LOST` when another run took the replica over. */
  async save(changes: Partial<ReplicaState>): Promise<void> {
    await this.#lease.check();
    const next = { ...this.#state, ...changes };
    await replaceFile(join(this.folder, STATE_FILE), textOf(next));
    this.#state = next;
  }

  /** A document of its own beside the state, replaced as a whole. Throws `REPO_LEASE_LOST`. */
  async saveBeside(name: string, text: string): Promise<void> {
    await this.#lease.check();
    await replaceFile(join(this.folder, name), text);
  }

  /** Of the capture: part of the state, since it goes with the baselines. */
  get journal(): CaptureJournal {
    return {
      consumer: this.id.slice(0, 8),
      entries: async () => this.#state.journal,
      record: (entry) => this.save({ journal: [...this.#state.journal, entry] }),
      clear: async (_vmId, runId) => {
        const journal = this.#state.journal.filter((entry) => entry.runId !== runId);
        if (journal.length < this.#state.journal.length) await this.save({ journal });
      },
    };
  }

  /** What a cycle that ended before its commit left: it is part of no generation. */
  async dropStaging(): Promise<void> {
    await rm(this.stagingFolder, { recursive: true, force: true });
  }

  /** Forgets the replica. What is on its target stays. */
  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lease[Symbol.asyncDispose]();
  }
}

export interface FoundReplica {
  readonly id: string;
  readonly folder: string;
  /** Absent when it cannot be read. */
  readonly state?: ReplicaState;
  /** As thrown. */
  readonly error?: unknown;
}

/** Every replica whose state is under `root`, by the names of their VMs. Takes no lease. */
export async function findReplicas(root: string): Promise<FoundReplica[]> {
  const names = await readdir(root).catch(() => [] as string[]);
  const found: FoundReplica[] = [];
  for (const id of names.filter((name) => /^[0-9a-f]{16}$/.test(name)).toSorted()) {
    const folder = join(root, id);
    try {
      const state = await readState(folder);
      if (state) found.push({ id, folder, state });
    } catch (error) {
      found.push({ id, folder, error });
    }
  }
  return found;
}

export interface KnownReplica extends FoundReplica {
  readonly state: ReplicaState;
}

/**
 * The one that `text` names: an id, the beginning of one, or the name or id of its VM. Throws `REPLICA_UNKNOWN`,
 * `REPLICA_AMBIGUOUS`, `REPLICA_STATE_UNREADABLE`.
 */
export async function findReplica(root: string, text: string): Promise<KnownReplica> {
  const found = (await findReplicas(root)).filter(
    ({ id, state }) => id.startsWith(text) || state?.vm.name === text || state?.vm.id === text.toLowerCase(),
  );
  const [first, ...others] = found;
  if (!first) throw replicaFaults.unknown({ replica: text, folder: root });
  if (others.length > 0) {
    const ids = found.map(({ id }) => id).join(', ');
    throw replicaFaults.ambiguous({ replica: text, count: found.length, ids });
  }
  const { state, error, ...place } = first;
  if (!state) throw error;
  return { ...place, state };
}

function newState(vm: ReplicaState['vm'], target: string): ReplicaState {
  return { vm, target, phase: 'seeding', staged: [], disks: [], baselines: [], journal: [] };
}

async function leaseOf(root: string, id: string, options: CallOptions): Promise<Lease> {
  await makeFolder(root);
  const store = await openDirectoryStore(join(root, LOCKS), { create: true });
  try {
    return await Lease.acquire(store, `replicas/${id}`, options);
  } catch (error) {
    if (!hasCode(error, 'REPO_VM_BUSY')) throw error;
    throw replicaFaults.busy({ holder: String(error.details['holder']) }, { cause: error });
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await syncFolder(join(path, '..'));
  } catch (error) {
    throw replicaFaults.folderUnusable({ path, reason: (error as Error).message }, { cause: error });
  }
}

function textOf(state: ReplicaState): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, ...state }, null, 2)}\n`;
}

/** Undefined when there is none yet. */
async function readState(folder: string): Promise<ReplicaState | undefined> {
  const path = join(folder, STATE_FILE);
  const unreadable = (reason: string, cause?: unknown): Error =>
    replicaFaults.stateUnreadable({ path: folder, reason }, { cause });
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable((error as Error).message, error);
  }
  try {
    const { format, version, ...state } = JSON.parse(text) as Record<string, unknown>;
    if (format !== FORMAT) throw new Error('it is of something else');
    if (version !== VERSION) throw new Error(`version ${String(version)} is not known`);
    if (!hasShape(state)) throw new Error('something is missing in it');
    return state;
  } catch (error) {
    throw unreadable((error as Error).message, error);
  }
}

/** What the program relies on to be there at all; the file is written by nobody else. */
function hasShape(state: unknown): state is ReplicaState {
  const { vm, target, phase, generation, ...lists } = state as Partial<ReplicaState>;
  return (
    typeof vm?.id === 'string' &&
    typeof target === 'string' &&
    (phase === 'seeding' || Array.isArray(generation?.disks)) &&
    ['seeding', 'idle', 'staged', 'rolling'].includes(phase ?? '') &&
    [lists.staged, lists.disks, lists.baselines, lists.journal].every(Array.isArray)
  );
}
