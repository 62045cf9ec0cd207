/** The part of the engine's port that rehearses replicas. */
import type { MachineChoices } from '../machines/index.ts';
import type { RehearsalNote, RehearsalRun } from '../flows/index.ts';
import type { Conversion, HealthProbe } from '../hypervisors/index.ts';
import type { Task } from './engine.ts';
import type { ReplicaCall } from './replicate-port.ts';

export interface RehearseCall extends ReplicaCall {
  /** One that the target keeps; left out: the last. */
  readonly generation?: number;
  /** `qemu`, `qemu:FOLDER` or `libvirt:URI`; folders are absolute. */
  readonly on: string;
  /** For the clone, absolute; left out: the replica's own. */
  readonly folder?: string;
  readonly probe: HealthProbe;
  readonly limitSeconds: number;
  /** Leave the machine running. */
  readonly keep: boolean;
  readonly conversion: Conversion;
  readonly choices: Omit<MachineChoices, 'devices'>;
}

/** What was ended. */
export interface EndedRehearsal {
  readonly replica: string;
  readonly vm: { readonly id: string; readonly name: string };
  readonly rehearsal: RehearsalNote;
}

export interface RehearseEngine {
  /** Starts a clone of the last generation, waits for its sign of health, and removes it; what goes wrong then is in the record. */
  rehearse(call: RehearseCall, task: Task): Promise<RehearsalRun>;
  /** Removes the machine of a rehearsal that was kept, or that a run left which died. */
  endRehearsal(call: ReplicaCall, task: Task): Promise<EndedRehearsal>;
}
