/**
 * A rehearsal: the last complete generation of a replica starts, is looked at, and is thrown away.
 *
 *   hold the replica ─► settle it ─► note ─► clone over the target's disks ─► let the replica go
 *     ─► define ─► start ─► sign of health, or not ─► machine off and gone ─► clone gone ─► note gone
 *
 * Its guest is on no network. Cycles go on meanwhile: the next generation is complete in its staging, and stays there until the
 * rehearsal ends. Whatever dies, the note says what is left, and the next to come removes it.
 */
import { hasCode, isFault, silentProgress, sleep, type Progress, type Warning } from '../base/index.ts';
import {
  openHypervisor,
  waitUntilHealthy,
  type Conversion,
  type Health,
  type HealthProbe,
  type Hypervisor,
  type OwnedMachine,
} from '../hypervisors/index.ts';
import type { MachineChoices } from '../machines/index.ts';
import type { Target } from '../targets/index.ts';
import { refuseDuringCutover } from './cutover-state.ts';
import { clearRehearsal, endRehearsal } from './rehearsal-end.ts';
import { rehearsalFaults } from './rehearsal-faults.ts';
import {
  addRehearsal,
  rehearsalLease,
  writeNote,
  type RehearsalNote,
  type RehearsalRecord,
} from './rehearsal-note.ts';
import { ReplicaClone } from './replica-clone.ts';
import { generationOf } from './replica-machine.ts';
import { keptGeneration } from './replicate-history.ts';
import { Replica, type KnownReplica } from './replicate-state.ts';
import { changedByOthers, settleTarget } from './replicate-target.ts';

export interface RehearseRequest {
  readonly replica: KnownReplica;
  /** Where replicas have their state. */
  readonly stateFolder: string;
  readonly target: Target;
  /** One that the target keeps; left out: the last. */
  readonly generation?: number | undefined;
  /** `qemu`, or an address of a hypervisor. */
  readonly on: string;
  /** For the clone; default: the replica's own folder. */
  readonly folder?: string | undefined;
  readonly probe: HealthProbe;
  /** How long the sign of health may take; with the probe `running`, how long it has to run. */
  readonly limitMs: number;
  /** Leave the machine running; it is ended by {@link endKeptRehearsal}. */
  readonly keep?: boolean;
  readonly conversion: Conversion;
  readonly choices?: Omit<MachineChoices, 'devices'>;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress;
}

export interface RehearsalRun extends RehearsalRecord {
  readonly replica: string;
  readonly vm: { readonly id: string; readonly name: string };
  /** Of its machine and clone, when it was kept. */
  readonly kept?: { readonly machine: string; readonly folder: string };
  /** What the machine has not of the VM, and what was left of it. */
  readonly warnings: readonly Warning[];
  /** As thrown; of one that was not healthy, too. */
  readonly error?: unknown;
}

const BUSY_LOOK_MS = 1_000;
/** A cycle in between is waited for; a seed takes too long. */
const BUSY_MS = 5 * 60_000;

/**
 * Throws what keeps it from beginning: `REPLICA_BUSY`, `REPLICA_NO_GENERATION`, `REHEARSAL_` faults, those of the target, and
 * what the hypervisor cannot do. What goes wrong later is in the record.
 */
export async function rehearse(request: RehearseRequest): Promise<RehearsalRun> {
  const { progress = silentProgress } = request;
  progress.phase('settling the replica');
  const begun = await begin(request);
  await using _lease = begun.lease;
  return await played(request, begun); // awaited here: the lease is let go when this function is left
}

interface Begun {
  readonly lease: AsyncDisposable;
  readonly replica: Pick<Replica, 'id' | 'folder' | 'state'>;
  readonly hypervisor: Hypervisor;
  readonly clone: ReplicaClone;
  readonly machine: OwnedMachine;
  readonly note: RehearsalNote;
  readonly warnings: readonly Warning[];
  readonly cloneSeconds: number;
}

/** While it holds the replica: nothing can change on the target until the note is there. */
async function begin(request: RehearseRequest): Promise<Begun> {
  const { signal } = request;
  await using replica = await held(request);
  await refuseDuringCutover(replica);
  await clearRehearsal(replica, { signal });
  const lease = await rehearsalLease(replica, { signal });
  try {
    return await cloned(await toClone(replica, request), lease, request);
  } catch (error) {
    await lease[Symbol.asyncDispose]();
    throw error;
  }
}

async function cloned(
  replica: Begun['replica'],
  lease: AsyncDisposable,
  request: RehearseRequest,
): Promise<Begun> {
  const { progress = silentProgress, signal, folder = replica.folder } = request;
  const started = performance.now();
  const clone = new ReplicaClone({ ...request, purpose: 'rehearsal', folder, kept: request.generation });
  const { notes } = clone.describe(replica);
  const machine = withPort(await clone.plan(replica, { signal }), request.probe);
  const place = clone.folderOf(replica);
  const hypervisor = await openHypervisor(request.on === 'qemu' ? `qemu:${place}` : request.on);
  if (request.probe.kind === 'port' && !hypervisor.reaches)
    throw rehearsalFaults.noPorts({ hypervisor: hypervisor.describe() });
  const found = await hypervisor.prepare(machine, { signal });
  const note: RehearsalNote = {
    machine: machine.uuid,
    hypervisor: hypervisor.address,
    folder: place,
    generation: machine.owner.generation,
    startedAt: new Date().toISOString(),
    ...(request.generation === undefined ? {} : { ofKept: true }),
  };
  await writeNote(replica, note);
  try {
    await clone.make(replica, { signal, progress });
  } catch (error) {
    await endRehearsal(replica, note);
    throw error;
  }
  // That it is on no network is what a rehearsal is.
  const warnings = [...notes, ...found].filter(({ code }) => code !== 'MACHINE_ADAPTER_ISOLATED');
  const cloneSeconds = secondsSince(started);
  return {
    lease,
    replica,
    hypervisor,
    clone,
    machine,
    note,
    warnings,
    cloneSeconds,
  };
}

/** A cycle in between ends soon. */
async function held({ replica, stateFolder, signal, progress }: RehearseRequest): Promise<Replica> {
  const until = Date.now() + BUSY_MS;
  for (;;) {
    try {
      return await Replica.hold(stateFolder, replica.state, { signal });
    } catch (error) {
      if (!hasCode(error, 'REPLICA_BUSY') || Date.now() > until) throw error;
    }
    progress?.phase('waiting for the cycle that runs');
    await sleep(BUSY_LOOK_MS, signal);
  }
}

/** The replica with the generation in question: the last, which is then all that the target holds, or one that is kept. */
async function toClone(
  replica: Replica,
  { target, generation, signal }: RehearseRequest,
): Promise<Begun['replica']> {
  const { id, folder, state } = replica;
  if (generation !== undefined)
    return { id, folder, state: { ...state, generation: await keptGeneration(replica, target, generation) } };
  await settleTarget(replica, target, { signal, advance() {} });
  await refuseChanged(replica, target);
  return { id, folder, state: replica.state };
}

/** What somebody else wrote there would be what starts. */
async function refuseChanged(replica: Replica, target: Target): Promise<void> {
  const { number } = generationOf(replica);
  if ((await changedByOthers(replica, target)).size > 0)
    throw rehearsalFaults.targetChanged({ vm: replica.state.vm.name, generation: number });
}

/** The first adapter is on a network of its own, by which the port is reached. */
function withPort(machine: OwnedMachine, probe: HealthProbe): OwnedMachine {
  if (probe.kind !== 'port') return machine;
  const [first, ...others] = machine.adapters;
  if (!first) throw rehearsalFaults.noAdapter({ vm: machine.name, port: probe.port });
  const network = { kind: 'forwarded', port: probe.port } as const;
  return { ...machine, adapters: [{ ...first, network }, ...others] };
}

type Outcome = Pick<RehearsalRecord, 'result' | 'reason' | 'seconds'> & { readonly error?: unknown };

async function played(request: RehearseRequest, begun: Begun): Promise<RehearsalRun> {
  const { replica, note, hypervisor } = begun;
  const time = new Date().toISOString();
  const outcome = await started(request, begun);
  const keep = request.keep === true && (outcome.result === 'healthy' || outcome.result === 'unhealthy');
  if (keep) await writeNote(replica, { ...note, kept: true });
  else await endRehearsal(replica, note);
  const { error, ...reached } = outcome;
  const record: RehearsalRecord = {
    time,
    generation: note.generation,
    asOf: generationOf(replica).time,
    hypervisor: hypervisor.address,
    conversion: request.conversion,
    probe: probeText(request.probe),
    ...reached,
  };
  await addRehearsal(replica, record);
  const { vm } = replica.state;
  return {
    ...record,
    replica: replica.id,
    vm,
    ...(keep ? { kept: { machine: note.machine, folder: note.folder } } : {}),
    warnings: begun.warnings,
    ...(error === undefined ? {} : { error }),
  };
}

async function started(
  request: RehearseRequest,
  { hypervisor, machine, replica, cloneSeconds }: Begun,
): Promise<Outcome> {
  const { signal, progress = silentProgress, probe, limitMs } = request;
  const begun = performance.now();
  let seconds: RehearsalRecord['seconds'] = { clone: cloneSeconds };
  try {
    progress.phase('starting the machine');
    await hypervisor.define(machine, { signal });
    await hypervisor.start(machine.uuid, { signal });
    seconds = { ...seconds, start: secondsSince(begun) };
    progress.phase(`waiting for ${probeText(probe)}`);
    const health = await waitUntilHealthy(hypervisor, machine, { probe, limitMs, signal });
    if (health.healthy) return { result: 'healthy', seconds: { ...seconds, health: health.seconds } };
    const reason = reasonText(health, probe);
    const error = rehearsalFaults.unhealthy({
      vm: replica.state.vm.name,
      generation: machine.owner.generation,
      reason,
    });
    return { result: 'unhealthy', reason, seconds, error };
  } catch (error) {
    const reason = isFault(error) ? `${error.code}: ${error.message}` : (error as Error).message;
    return { result: signal?.aborted ? 'cancelled' : 'failed', reason, seconds, error };
  }
}

function probeText(probe: HealthProbe): string {
  if (probe.kind === 'serial') return `"${probe.text}" on its serial port`;
  return probe.kind === 'port' ? `port ${probe.port} to answer` : 'it to go on running';
}

function reasonText({ reason, seconds }: Extract<Health, { healthy: false }>, probe: HealthProbe): string {
  if (reason === 'time-limit') return `it waited ${Math.round(seconds)} s for ${probeText(probe)}`;
  const texts = {
    off: 'it switched itself off',
    crashed: 'it crashed',
    paused: 'it stands still, as when there is no room for what it writes',
    absent: 'somebody removed it',
  };
  return texts[reason];
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
