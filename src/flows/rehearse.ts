/**
 * A rehearsal: the last complete generation of a replica starts, is looked at, and is thrown away.
 *
 *   hold the replica ─► settle it ─► note ─► clone over the target's disks ─► let the replica go
 *     ─► define ─► start ─► sign of health, or not ─► machine off and gone ─► clone gone ─► note gone
 *
 * Its guest is on no network. Cycles go on meanwhile: the next generation is complete in its staging, and stays there until the
 * rehearsal ends. Whatever dies, the note says what is left, and the next to come removes it.
 */
import { hasCode, isFault, silentProgress, warningOf, type Fault, type Warning } from '../base/index.ts';
import { waitUntilHealthy, type Health, type HealthProbe } from '../hypervisors/index.ts';
import { beginRehearsal, type BegunRehearsal, type RehearseRequest } from './rehearsal-begin.ts';
import { endRehearsal } from './rehearsal-end.ts';
import { rehearsalFaults } from './rehearsal-faults.ts';
import { addRehearsal, writeNote, type RehearsalNote, type RehearsalRecord } from './rehearsal-note.ts';
import { generationOf } from './replica-machine.ts';

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

/**
 * Throws what keeps it from beginning: `REPLICA_BUSY`, `REPLICA_NO_GENERATION`, `REHEARSAL_` faults, those of the target, and
 * what the hypervisor cannot do. What goes wrong later is in the record.
 */
export async function rehearse(request: RehearseRequest): Promise<RehearsalRun> {
  const { progress = silentProgress } = request;
  progress.phase('settling the replica');
  const begun = await beginRehearsal(request);
  await using _lease = begun.lease;
  try {
    return await played(request, begun);
  } finally {
    await begun.hypervisor.close();
  }
}

type Outcome = Pick<RehearsalRecord, 'result' | 'reason' | 'seconds'> & { readonly error?: unknown };

async function played(request: RehearseRequest, begun: BegunRehearsal): Promise<RehearsalRun> {
  const { replica, note, hypervisor } = begun;
  const time = new Date().toISOString();
  const outcome = await started(request, begun);
  const keep = request.keep === true && (outcome.result === 'healthy' || outcome.result === 'unhealthy');
  const left = keep ? undefined : await notEnded(replica, note);
  if (keep) await writeNote(replica, { ...note, kept: true });
  const { error = left, ...reached } = outcome;
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
    warnings: [...begun.warnings, ...(left ? [warningOf(left)] : [])],
    ...(error === undefined ? {} : { error }),
  };
}

/** Undefined once nothing is left. What was found out counts all the same, and the note stays for the next to come. */
async function notEnded(replica: BegunRehearsal['replica'], note: RehearsalNote): Promise<Fault | undefined> {
  try {
    await endRehearsal(replica, note);
    return undefined;
  } catch (error) {
    if (hasCode(error, 'REHEARSAL_NOT_ENDED')) return error;
    throw error;
  }
}

async function started(
  request: RehearseRequest,
  { hypervisor, machine, replica, cloneSeconds }: BegunRehearsal,
): Promise<Outcome> {
  const { signal, progress = silentProgress, probe, limitMs } = request;
  const begun = performance.now();
  let seconds: RehearsalRecord['seconds'] = { clone: cloneSeconds };
  try {
    progress.phase('starting the machine');
    await hypervisor.define(machine, { signal });
    await hypervisor.start(machine.uuid, { signal });
    seconds = { ...seconds, start: (performance.now() - begun) / 1000 };
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
  if (probe.kind === 'address') return `${probe.host}:${probe.port} to answer`;
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
