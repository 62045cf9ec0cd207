/** The beginning of a rehearsal: everything that could keep it from being made is looked for, then its note and its clone are made. */
import { hasCode, silentProgress, sleep, type Progress, type Warning } from '../base/index.ts';
import {
  openHypervisor,
  type Conversion,
  type HealthProbe,
  type Hypervisor,
  type OwnedMachine,
} from '../hypervisors/index.ts';
import type { MachineChoices } from '../machines/index.ts';
import type { Target } from '../targets/index.ts';
import { refuseDuringCutover } from './cutover-state.ts';
import { clearRehearsal, endRehearsal } from './rehearsal-end.ts';
import { rehearsalFaults } from './rehearsal-faults.ts';
import { rehearsalLease, writeNote, type RehearsalNote } from './rehearsal-note.ts';
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

const BUSY_LOOK_MS = 1_000;
/** A cycle in between is waited for; a seed takes too long. */
const BUSY_MS = 5 * 60_000;

/** Made, and not started yet. */
export interface BegunRehearsal {
  readonly lease: AsyncDisposable;
  readonly replica: Pick<Replica, 'id' | 'folder' | 'state'>;
  readonly hypervisor: Hypervisor;
  readonly clone: ReplicaClone;
  readonly machine: OwnedMachine;
  readonly note: RehearsalNote;
  readonly warnings: readonly Warning[];
  readonly cloneSeconds: number;
}

/**
 * While it holds the replica: nothing can change on the target until the note is there. What throws leaves nothing. Throws as
 * `rehearse` does.
 */
export async function beginRehearsal(request: RehearseRequest): Promise<BegunRehearsal> {
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
  replica: BegunRehearsal['replica'],
  lease: AsyncDisposable,
  request: RehearseRequest,
): Promise<BegunRehearsal> {
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
  const cloneSeconds = (performance.now() - started) / 1000;
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
): Promise<BegunRehearsal['replica']> {
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
