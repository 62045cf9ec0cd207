/**
 * Who may have left something on a VM, and whether a run of theirs can still live.
 *
 *   repository         its lock of the VM
 *   replica            the lease of its state
 *   removed replica    the lease of a replica of the same VM on the same target: a new one has the same marks
 *
 * A repository that is not known here, and change tracking by hand, which holds no lock, cannot be asked.
 */
import { join } from 'node:path';
import { hasCode } from '../base/index.ts';
import type { Baseline, CaptureJournal } from '../capture/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { openDirectoryStore } from '../objectstore/index.ts';
import { holderState, Lease, type Repository } from '../repository/index.ts';
import { forgetRemoved, type RemovedReplica } from './removed-replicas.ts';
import { marksOf, Replica, type KnownReplica } from './replicate-state.ts';
import { repositoryJournal } from './repository-journal.ts';

/** A repository that may have left something. */
export interface JanitorRepository {
  readonly name: string;
  readonly repository: Repository;
}

/** Replicas whose state is in one folder of this machine. */
export interface JanitorReplicas {
  readonly folder: string;
  readonly replicas: readonly KnownReplica[];
  readonly removed: readonly RemovedReplica[];
}

export interface OwnerName {
  readonly kind: 'repository' | 'replica' | 'removed-replica';
  /** Of the repository in the configuration; of a replica its id. */
  readonly name: string;
}

/** What an owner knows of one VM. */
export interface OwnerView {
  readonly journal: CaptureJournal;
  /** Newest first. */
  readonly baselines: readonly OwnedBaseline[];
}

export type OwnedBaseline = Baseline & { readonly consumer?: string | undefined };

/** No run of the owner lives while it is held. */
export interface HeldOwner extends OwnerView, AsyncDisposable {
  /** Its reference point is gone from the host. */
  forget(baseline: OwnedBaseline): Promise<void>;
  /** Nothing is left on the host that should not be there. */
  settled(): Promise<void>;
}

export interface JanitorOwner extends OwnerName {
  /** Its baselines are kept for nobody: they go, all of them. */
  readonly isGone: boolean;
  /** Changes nothing. */
  look(vmId: string, options: CallOptions): Promise<OwnerView>;
  /** Whether a run of it lives, or did some moments ago. Changes nothing. */
  isAtWork(vmId: string, options: CallOptions): Promise<boolean>;
  /** Undefined while a run of it lives. */
  hold(vmId: string, options: CallOptions): Promise<HeldOwner | undefined>;
}

export function ownersOf(
  vmId: string,
  repositories: readonly JanitorRepository[],
  { folder, replicas, removed }: JanitorReplicas,
): JanitorOwner[] {
  const isOfVm = ({ vm }: { readonly vm: { readonly id: string } }): boolean => vm.id === vmId;
  return [
    ...repositories.map(repositoryOwner),
    ...replicas.filter(({ state }) => isOfVm(state)).map((replica) => replicaOwner(folder, replica)),
    ...removed.filter(isOfVm).map((replica) => removedOwner(folder, replica)),
  ];
}

function repositoryOwner({ name, repository }: JanitorRepository): JanitorOwner {
  const look = async (vmId: string, options: CallOptions): Promise<OwnerView> => ({
    journal: repositoryJournal(repository),
    baselines: await repository.baselines(vmId, options),
  });
  return {
    kind: 'repository',
    name,
    isGone: false,
    look,
    isAtWork: async (vmId, options) => (await repository.vmHolder(vmId, options)) === 'alive',
    async hold(vmId, options) {
      const lock = await unlessBusy('REPO_VM_BUSY', () => repository.lockVm(vmId, options));
      if (!lock) return undefined;
      const recorded = await repository.baselines(vmId, options);
      return {
        journal: repositoryJournal(repository),
        baselines: recorded,
        async forget({ referencePointId }) {
          for (const each of recorded)
            if (each.referencePointId === referencePointId) await repository.forgetBaseline(each, options);
        },
        async settled() {},
        [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
      };
    },
  };
}

function replicaOwner(folder: string, { id, state }: KnownReplica): JanitorOwner {
  return {
    kind: 'replica',
    name: id,
    isGone: false,
    look: async () => ({ journal: readOnlyJournal(id, state), baselines: marksOf(state) }),
    isAtWork: (_vmId, options) => isHeld(folder, id, options),
    async hold(_vmId, options) {
      const replica = await unlessBusy('REPLICA_BUSY', () => Replica.hold(folder, state, options));
      if (!replica) return undefined;
      return {
        journal: replica.journal,
        baselines: marksOf(replica.state),
        async forget({ referencePointId }) {
          const { baselines, outdated = [] } = replica.state;
          const stays = (each: Baseline): boolean => each.referencePointId !== referencePointId;
          await replica.save({ baselines: baselines.filter(stays), outdated: outdated.filter(stays) });
        },
        async settled() {},
        [Symbol.asyncDispose]: () => replica[Symbol.asyncDispose](),
      };
    },
  };
}

/** Its checkpoints are those of a replica that was made anew since, which may be at work. */
function removedOwner(folder: string, removed: RemovedReplica): JanitorOwner {
  const { id, baselines } = removed;
  const journal = readOnlyJournal(id, removed);
  return {
    kind: 'removed-replica',
    name: id,
    isGone: true,
    look: async () => ({ journal, baselines }),
    isAtWork: (_vmId, options) => isHeld(folder, id, options),
    async hold(_vmId, options) {
      const store = await openDirectoryStore(join(folder, LOCKS), { create: true });
      const lease = await unlessBusy('REPO_VM_BUSY', () => Lease.acquire(store, leaseName(id), options));
      if (!lease) return undefined;
      return {
        journal,
        baselines,
        async forget() {},
        settled: () => forgetRemoved(removed),
        [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
      };
    },
  };
}

/** As a replica keeps it, for those who only look. */
function readOnlyJournal(id: string, { journal }: Pick<RemovedReplica, 'journal'>): CaptureJournal {
  return {
    consumer: id.slice(0, 8),
    entries: async () => journal,
    async record() {},
    async clear() {},
  };
}

async function unlessBusy<T>(code: string, take: () => Promise<T>): Promise<T | undefined> {
  try {
    return await take();
  } catch (error) {
    if (!hasCode(error, code)) throw error;
    return undefined;
  }
}

/** As `Replica.hold` takes it. */
const LOCKS = 'locks';
const leaseName = (id: string): string => `replicas/${id}`;

async function isHeld(folder: string, id: string, options: CallOptions): Promise<boolean> {
  const store = await openDirectoryStore(join(folder, LOCKS)).catch(() => undefined);
  return store !== undefined && (await holderState(store, leaseName(id), options)) === 'alive';
}
