/** The part of the engine that keeps replicas: cycles, once or for ever, and what is known of them on this machine. */
import { hasCode } from '../base/index.ts';
import { removeLeftovers } from '../capture/index.ts';
import {
  clearRehearsal,
  findReplica,
  findReplicas,
  marksOf,
  noteRemoved,
  readCutover,
  readNote,
  readRehearsals,
  ReadLimits,
  refuseOpenCutover,
  rehearsalState,
  Replica,
  replicateVia,
  replicateVm,
  rollReplica,
  settleTarget,
  type CutoverState,
  type FoundReplica,
  type ReplicateRecord,
  type RollRecord,
  type SeedDisk,
} from '../flows/index.ts';
import type { HyperV } from '../hyperv/index.ts';
import { warningsOfReading } from '../repository/index.ts';
import { openTarget, type KeptGeneration } from '../targets/index.ts';
import { cyclesEvery } from './cycles-every.ts';
import type { PointSelector, Task } from './engine.ts';
import { openHost, type OpenHost } from './open-host.ts';
import { openRepositoryOf, selectPoint } from './repository-engine.ts';
import type {
  RemoveReplicaCall,
  ReplicaCall,
  ReplicaSummary,
  ReplicateCall,
  ReplicateEngine,
  ReplicateRun,
  RollReplicaCall,
} from './replicate-port.ts';

/** `defaultFolder`: where replicas have their state when the call names no other. */
export function createReplicateEngine(defaultFolder: string): ReplicateEngine {
  const folderOf = (call: { readonly stateFolder?: string }): string => call.stateFolder ?? defaultFolder;
  return {
    replicate: (call, task) => replicate(call, folderOf(call), task),
    async replicas(call) {
      const found = await findReplicas(folderOf(call));
      return Promise.all(found.map((replica) => withRehearsal(replica, 'clearing')));
    },
    async showReplica(call) {
      return withRehearsal(await findReplica(folderOf(call), call.replica));
    },
    settleReplica: (call, task) => settle(call, folderOf(call), task),
    rollReplica: (call, task) => roll(call, folderOf(call), task),
    removeReplica: (call, task) => remove(call, folderOf(call), task),
  };
}

/** Each cycle connects anew: hosts and targets come and go between two of them. */
async function* replicate(
  call: ReplicateCall,
  stateFolder: string,
  task: Task,
): AsyncGenerator<ReplicateRun> {
  const { everySeconds, bytesPerSecond } = call;
  const limits = bytesPerSecond === undefined ? undefined : new ReadLimits({ bytesPerSecond });
  let { seed } = call;
  const next = (): Promise<ReplicateRun> =>
    cycle({ ...call, seed }, stateFolder, { task, limits }, new Date());
  yield* cyclesEvery(everySeconds, task, async (isFirst) => {
    let run = await next();
    // One that failed after its commit had used the seed up.
    if (!isFirst && seed !== undefined && hasCode(run.error, 'REPLICA_BEGUN')) {
      seed = undefined;
      run = await next();
    }
    if (run.error === undefined) seed = undefined;
    return run;
  });
}

interface CycleTools {
  readonly task: Task;
  readonly limits: ReadLimits | undefined;
}

async function cycle(
  call: ReplicateCall,
  stateFolder: string,
  tools: CycleTools,
  startedAt: Date,
): Promise<ReplicateRun> {
  try {
    return runOf(await oneCycle(call, stateFolder, tools));
  } catch (error) {
    tools.task.signal.throwIfAborted();
    const finishedAt = new Date();
    return {
      vm: { name: call.vm },
      target: call.target,
      startedAt: startedAt.toISOString(),
      finishedAt: finishedAt.toISOString(),
      seconds: (finishedAt.getTime() - startedAt.getTime()) / 1000,
      disks: [],
      warnings: [],
      error,
    };
  }
}

async function oneCycle(
  call: ReplicateCall,
  stateFolder: string,
  { task, limits }: CycleTools,
): Promise<ReplicateRecord> {
  const target = openTarget(call.target);
  await using host = await openHost(call.host, task, limits);
  const { hyperv, source } = host;
  const resolveVm: typeof hyperv.vm = (vm, options) => hyperv.vm(vm, options);
  const request = {
    vm: call.vm,
    target,
    stateFolder,
    skipUnprotectable: call.skipUnprotectable,
    ...(call.keep === undefined ? {} : { keep: call.keep }),
    ...(call.consistency === undefined ? {} : { consistency: call.consistency }),
    ...(call.seed === 'existing' ? ({ over: 'existing' } as const) : {}),
    ...task,
  };
  if (call.via) {
    const repository = await openRepositoryOf(call.via, task);
    await repository.describe(task);
    const destroyReferencePoint: HyperV['destroyReferencePoint'] = (which, options) =>
      hyperv.forVm(which.vmId).destroyReferencePoint(which, options);
    const deps = { source, repository, resolveVm, destroyReferencePoint };
    return await replicateVia(deps, { ...request, consumer: call.consumer });
  }
  await using copies = await seedOf(call, task);
  return await replicateVm(
    { source, resolveVm },
    { ...request, ...(copies.disks ? { seed: copies.disks } : {}) },
  );
}

/** The disks of the restore point that the first cycle begins with. */
async function seedOf(
  { seed }: ReplicateCall,
  task: Task,
): Promise<AsyncDisposable & { readonly disks?: readonly SeedDisk[] }> {
  if (seed === undefined || seed === 'existing') return { async [Symbol.asyncDispose]() {} };
  const repository = await openRepositoryOf(seed.repository, task);
  const point = await selectPoint(repository, seed.point, task);
  const reading = await repository.startReading(point, task);
  for (const { message } of warningsOfReading(reading)) task.progress.note(message);
  const disks = point.disks.map((disk) => ({
    id: disk.diskId,
    size: disk.size,
    logicalSectorSize: disk.logicalSectorSize,
    hostFileBytes: disk.hostFileBytes ?? disk.size,
    reader: repository.openDisk(disk.root, disk.size, disk),
  }));
  return {
    disks,
    async [Symbol.asyncDispose]() {
      for (const { reader } of disks) await reader.close();
      await reading[Symbol.asyncDispose]();
    },
  };
}

function runOf(record: ReplicateRecord): ReplicateRun {
  const { type: _type, ...facts } = record;
  return { ...facts, seconds: (Date.parse(record.finishedAt) - Date.parse(record.startedAt)) / 1000 };
}

function summaryOf({ id, folder, state, error }: FoundReplica): ReplicaSummary {
  if (!state) return { id, folder, disks: [], error };
  const { vm, target, phase, generation, disks } = state;
  const held = new Set(generation?.disks.map(({ diskId }) => diskId));
  const place = openTarget(target);
  return {
    id,
    folder,
    vm,
    target,
    phase,
    ...(generation
      ? {
          generation: {
            number: generation.number,
            time: generation.time,
            consistency: generation.consistency,
            ...(generation.point ? { point: generation.point.id } : {}),
            ...(generation.rolledTo === undefined ? {} : { rolledTo: generation.rolledTo }),
          },
        }
      : {}),
    disks: disks.map((disk) => ({
      number: disk.number,
      id: disk.diskId,
      place: place.placeOf(disk),
      inGeneration: held.has(disk.diskId),
    })),
    referencePoints: marksOf(state).map(({ referencePointId }) => referencePointId),
  };
}

/** What a rehearsal that died left goes by the way; what cannot be removed is shown. */
async function withRehearsal(found: FoundReplica, clearing?: 'clearing'): Promise<ReplicaSummary> {
  const summary = summaryOf(found);
  const { id, folder, state } = found;
  if (!state) return summary;
  try {
    if (clearing) await clearRehearsal({ id, folder, state }).catch(() => {});
    const note = await readNote(found);
    const cutover = await readCutover(folder);
    const rehearsed = (await readRehearsals(folder)).at(-1);
    const kept = (await openTarget(state.target).historyOf?.(id).list()) ?? [];
    return {
      ...summary,
      ...(note ? { rehearsal: { ...note, state: await rehearsalState(found, note) } } : {}),
      ...(kept.length > 0 ? { kept: kept.map(keptOf) } : {}),
      ...(rehearsed ? { rehearsed } : {}),
      ...(cutover ? { cutover: cutoverOf(cutover) } : {}),
    };
  } catch (error) {
    return { ...summary, error };
  }
}

function keptOf({ number, about }: KeptGeneration): NonNullable<ReplicaSummary['kept']>[number] {
  return { number, time: (about as { readonly time: string }).time };
}

function cutoverOf({ step, startedAt, choices }: CutoverState): NonNullable<ReplicaSummary['cutover']> {
  return { step, startedAt, hypervisor: choices.hypervisor };
}

async function settle(call: ReplicaCall, folder: string, task: Task): Promise<ReplicaSummary> {
  const { state } = await findReplica(folder, call.replica);
  await using replica = await Replica.hold(folder, state, { signal: task.signal });
  task.progress.phase('onto the target');
  await settleTarget(replica, openTarget(state.target), {
    signal: task.signal,
    advance: (bytes) => task.progress.advance(bytes),
  });
  const settled = summaryOf({ id: replica.id, folder: replica.folder, state: replica.state });
  return settled;
}

async function roll(call: RollReplicaCall, folder: string, task: Task): Promise<RollRecord> {
  const replica = await findReplica(folder, call.replica);
  const request = { replica, stateFolder: folder, target: openTarget(replica.state.target), ...task };
  if ('generation' in call.to)
    return rollReplica({ ...request, to: { kind: 'generation', number: call.to.generation } });
  const repository = await openRepositoryOf(call.to.repository, task);
  const point = await selectPoint(repository, pointOfVm(call.to.point, replica.state.vm), task);
  return rollReplica({ ...request, to: { kind: 'point', repository, point } });
}

/** The latest is that of the replica's VM, which may have the name of another one. */
function pointOfVm(point: PointSelector, vm: { readonly id: string }): PointSelector {
  return point.kind === 'latest' ? { kind: 'latest', vm: vm.id } : point;
}

/** The mark on the host goes first: afterwards nobody knows that it was ours. */
async function remove(call: RemoveReplicaCall, folder: string, task: Task): Promise<ReplicaSummary> {
  const { state } = await findReplica(folder, call.replica);
  await using replica = await Replica.hold(folder, state, { signal: task.signal });
  await refuseOpenCutover(replica);
  // Its machine would go on over a clone that is removed with the replica.
  await clearRehearsal(replica, { signal: task.signal });
  if (call.host) {
    await using host = await openHost(call.host, task);
    await destroyMarks(host, replica, task);
  }
  const summary = summaryOf({ id: replica.id, folder: replica.folder, state: replica.state });
  await noteRemoved(folder, replica);
  await replica.remove();
  return summary;
}

/** What a run that was killed left goes too; the journal says whether there was one. */
async function destroyMarks({ hyperv }: OpenHost, replica: Replica, { signal }: Task): Promise<void> {
  const { vm, journal } = replica.state;
  const baselines = marksOf(replica.state);
  const onVm = hyperv.forVm(vm.id);
  if (journal.length > 0) await removeLeftovers(onVm, vm, replica.journal, baselines, { signal });
  for (const { referencePointId: instanceId } of baselines)
    await onVm.destroyReferencePoint({ instanceId, vmId: vm.id }, { signal });
  await replica.save({ baselines: [], outdated: [] });
}
