/**
 * The part of the engine that backs up: which VMs are meant, several of them at once, the record of each.
 *
 *   selection ─► places (host, volumes) ─► as many at once as the caps allow ─► a record each, as it ends
 *                                               └── all read within one rate, each volume within one guard
 */
import { availableParallelism } from 'node:os';
import { branchOf, mapOrdered, newGuid, type ProgressBranch } from '../base/index.ts';
import {
  backupMany,
  backupVm,
  placeVms,
  planVm,
  policyOf,
  ReadLimits,
  selectVms,
  unplaced,
  type BackupRecord,
  type PlacedVm,
  type SelectedVms,
} from '../flows/index.ts';
import type { Vm } from '../hyperv/index.ts';
import type { Repository } from '../repository/index.ts';
import type { BackupRequest, BackupRun, Engine, PlannedVm, Task } from './engine.ts';
import { openHost, type OpenHost } from './open-host.ts';
import { openRepositoryOf } from './repository-engine.ts';
import { requestsBy } from './repository-store.ts';
import { requestsText } from './request-text.ts';
import { NO_SIZES, sumOf } from './sum-of-sizes.ts';

export const backupEngine: Pick<Engine, 'backup' | 'planBackup'> = { backup, planBackup };

async function* backup(request: BackupRequest, task: Task): AsyncGenerator<BackupRun> {
  const repository = await openRepositoryOf(request.repository, task);
  await using host = await openHost(request.host, task, limitsOf(request));
  const { selected, missing } = await select(host, request, task);
  for (const { text, fault } of missing) yield failedRun({ id: '', name: text }, request, new Date(), fault);
  await repository.describe(task);
  // One VM has all places for itself.
  const placed = selected.length > 1 ? await place(host, selected, task) : selected.map(unplaced);
  const shown = new SeveralVms(task, selected.length);
  yield* backupMany(placed, request.limits, async (vm) => {
    using progress = shown.begin(vm);
    // Awaited here: the progress of the VM ends with this function.
    return await backupOne({ repository, host, workers: workersOf(request, selected.length) }, vm, request, {
      ...task,
      progress,
    });
  });
  const requests = requestsBy(request.repository);
  if (requests) task.progress.note(`asked of the repository: ${requestsText(requests)}`);
}

async function* planBackup(request: BackupRequest, task: Task): AsyncGenerator<PlannedVm> {
  const repository = await openRepositoryOf(request.repository, task);
  await using host = await openHost(request.host, task);
  const { selected, missing } = await select(host, request, task);
  for (const { text, fault } of missing) {
    const nothing = { host: '', volumes: [], ...policyOf({ id: '', name: text }, request.policies) };
    yield { id: '', name: text, ...nothing, error: fault };
  }
  const placed = await place(host, selected, task);
  yield* mapOrdered(placed, PLANS_AT_ONCE, (vm) => planOne({ repository, host }, vm, request, task));
}

/** A plan asks some thirty things of the host, and each VM is its own. */
const PLANS_AT_ONCE = 4;

async function planOne(
  { repository, host }: Pick<BackupParts, 'repository' | 'host'>,
  { vm, host: name, volumes }: PlacedVm,
  request: BackupRequest,
  task: Task,
): Promise<PlannedVm> {
  const policy = policyOf(vm, request.policies);
  const facts = { id: vm.id, name: vm.name, host: name, volumes, ...policy };
  try {
    const asked = { vm: vm.id, ...askedOf(request), ...policy, ...task };
    return { ...facts, plan: await planVm({ source: host.source, repository }, asked) };
  } catch (error) {
    task.signal.throwIfAborted();
    return { ...facts, error };
  }
}

/** What is asked of every VM alike. */
function askedOf(request: BackupRequest) {
  const { full, consumer, skipUnprotectable, audit, fold, disks, chainFilesMax, checkpointBudget } = request;
  return { full, consumer, skipUnprotectable, audit, fold, disks, chainFilesMax, checkpointBudget };
}

async function select(host: OpenHost, request: BackupRequest, task: Task): Promise<SelectedVms> {
  return selectVms(await host.hyperv.vms(task), request);
}

function place(host: OpenHost, vms: readonly Vm[], task: Task): Promise<readonly PlacedVm[]> {
  return placeVms(
    vms,
    async ({ id }, options) => ({
      host: await host.hostOf(id, options),
      diskPaths: (await host.hyperv.disks(id, options)).flatMap((disk) =>
        disk.kind === 'virtual' ? disk.path : [],
      ),
    }),
    { signal: task.signal },
  );
}

function limitsOf({ limits: { bytesPerSecond, latencyMs } }: BackupRequest): ReadLimits | undefined {
  if (bytesPerSecond === undefined && latencyMs === undefined) return undefined;
  return new ReadLimits({ bytesPerSecond, latencyMs });
}

/** All VMs at once have as many threads as there are processors, not each of them. */
function workersOf({ limits }: BackupRequest, vms: number): number {
  return Math.max(1, Math.floor(availableParallelism() / Math.min(vms, limits.parallel)));
}

/** One VM is shown as the run itself; several beside each other, under a line that counts them. */
class SeveralVms {
  readonly #task: Task;
  readonly #all: number;
  #ended = 0;

  constructor(task: Task, all: number) {
    this.#task = task;
    this.#all = all;
    this.#count();
  }

  begin(vm: Vm): ProgressBranch & Disposable {
    const { progress } = this.#task;
    const branch = this.#all > 1 ? branchOf(progress, vm.name) : { ...phasesOf(progress), end() {} };
    const end = (): void => {
      branch.end();
      this.#ended += 1;
      this.#count();
    };
    return { ...phasesOf(branch), end: () => branch.end(), [Symbol.dispose]: end };
  }

  #count(): void {
    if (this.#all > 1) this.#task.progress.phase(`${this.#ended} of ${this.#all} VMs`);
  }
}

/** What a progress can do as plain functions: a class would lose its own object when it is spread. */
function phasesOf(progress: Task['progress']): Pick<Task['progress'], 'phase' | 'advance' | 'note'> {
  return {
    phase: (name, totalBytes) => progress.phase(name, totalBytes),
    advance: (bytes) => progress.advance(bytes),
    note: (text) => progress.note(text),
  };
}

interface BackupParts {
  readonly repository: Repository;
  readonly host: OpenHost;
  readonly workers: number;
}

/** What goes wrong with one VM is its own; a cancelled run ends them all. */
async function backupOne(
  { repository, host, workers }: BackupParts,
  vm: Vm,
  request: BackupRequest,
  task: Task,
): Promise<BackupRun> {
  const startedAt = new Date();
  const runId = newGuid();
  const resolveVm = async (): Promise<Vm> => vm;
  const asked = { runId, workers, ...askedOf(request), ...policyOf(vm, request.policies) };
  try {
    return runOf(
      await backupVm({ repository, source: host.source, resolveVm }, { vm: vm.id, ...asked, ...task }),
    );
  } catch (error) {
    task.signal.throwIfAborted();
    return { ...failedRun(vm, request, startedAt, error), runId };
  }
}

function failedRun(
  vm: Pick<Vm, 'id' | 'name' | 'notes'>,
  request: BackupRequest,
  startedAt: Date,
  error: unknown,
): BackupRun {
  const finishedAt = new Date();
  return {
    runId: newGuid(),
    ...(request.consumer === undefined ? {} : { consumer: request.consumer }),
    vm: { id: vm.id, name: vm.name },
    host: request.host.name,
    startedAt: startedAt.toISOString(),
    finishedAt: finishedAt.toISOString(),
    seconds: (finishedAt.getTime() - startedAt.getTime()) / 1000,
    consistency: { asked: policyOf(vm, request.policies).consistency },
    disks: [],
    sizes: NO_SIZES,
    warnings: [],
    error,
  };
}

function runOf(record: BackupRecord): BackupRun {
  const disks = record.disks.map((disk, index) => ({
    number: index + 1,
    id: disk.diskId,
    path: disk.path,
    kind: disk.kind,
    reason: disk.reason,
    sizes: {
      virtual: disk.virtualBytes,
      allocated: disk.allocatedBytes,
      read: disk.readBytes,
      changed: disk.changedBytes,
      new: disk.newBytes,
      stored: disk.storedBytes,
    },
    ...(disk.folded ? { folded: disk.folded } : {}),
    ...(disk.audit ? { audit: disk.audit } : {}),
    seconds: disk.seconds,
  }));
  return {
    runId: record.runId,
    vm: { id: record.vm.id, name: record.vm.name },
    host: record.vm.host,
    ...(record.consumer === undefined ? {} : { consumer: record.consumer }),
    startedAt: record.startedAt,
    finishedAt: record.finishedAt,
    seconds: (Date.parse(record.finishedAt) - Date.parse(record.startedAt)) / 1000,
    pointId: record.pointId,
    consistency: record.consistency,
    disks,
    ...(record.leftOut.length > 0 ? { leftOut: record.leftOut } : {}),
    sizes: sumOf(disks.map((disk) => disk.sizes)),
    warnings: record.warnings,
  };
}
