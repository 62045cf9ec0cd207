/** The VM of a replica as a machine elsewhere, with the settings of its last complete generation. */
import { createHash } from 'node:crypto';
import type { Warning } from '../base/index.ts';
import type { VmConfiguration } from '../hyperv/index.ts';
import type { MachineOwner, OwnedMachine } from '../hypervisors/index.ts';
import {
  describeMachine,
  type CapturedDisk,
  type DiskSource,
  type MachineChoices,
} from '../machines/index.ts';
import { replicaFaults } from './replicate-faults.ts';
import type { GenerationDisk, Replica, ReplicaGeneration } from './replicate-state.ts';

export interface ReplicaMachineRequest {
  readonly purpose: MachineOwner['purpose'];
  readonly choices: MachineChoices;
  /** Where the machine finds a disk. */
  readonly sourceOf: (disk: GenerationDisk) => DiskSource;
  readonly serialLog: string;
}

/**
 * For a cutover under the VM's own name and uuid; for a rehearsal under others, so that both can be there at once. Throws
 * `REPLICA_NO_GENERATION`, `MACHINE_UNKNOWN_NETWORK`.
 */
export function machineOfReplica(
  replica: Pick<Replica, 'id' | 'state'>,
  { purpose, choices, sourceOf, serialLog }: ReplicaMachineRequest,
): { readonly machine: OwnedMachine; readonly notes: readonly Warning[] } {
  const { vm } = replica.state;
  const { settings, number, disks } = generationOf(replica);
  const { machine, notes } = describeMachine(
    {
      ...vm,
      generation: settings?.generation,
      configuration: (settings?.configuration ?? {}) as Partial<VmConfiguration>,
      disks: disks.map((disk) => capturedDisk(disk, sourceOf(disk))),
    },
    choices,
  );
  const own =
    purpose === 'cutover'
      ? { name: vm.name, uuid: machine.uuid ?? vm.id.toLowerCase() }
      : { name: `${vm.name} rehearsal ${replica.id.slice(0, 8)}`, uuid: rehearsalUuid(replica.id) };
  const owner = { vmId: vm.id, replica: replica.id, generation: number, purpose };
  return { machine: { ...machine, ...own, owner, serialLog }, notes };
}

/** Throws `REPLICA_NO_GENERATION`. */
export function generationOf({ state }: Pick<Replica, 'state'>): ReplicaGeneration {
  if (!state.generation) throw replicaFaults.noGeneration({ vm: state.vm.name });
  return state.generation;
}

/** Always the same of one replica; version 8 of RFC 9562, whose bits mean what their maker wants. */
export function rehearsalUuid(replicaId: string): string {
  const digits = createHash('sha256').update(`rehearsal ${replicaId}`).digest('hex').slice(0, 32);
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-8${digits.slice(13, 16)}-8${digits.slice(17, 20)}-${digits.slice(20)}`;
}

function capturedDisk(disk: GenerationDisk, source: DiskSource): CapturedDisk {
  const { diskId, path = diskId, attachmentId, attachment, logicalSectorSize } = disk;
  const { physicalSectorSize = logicalSectorSize } = disk;
  const place = attachment && {
    controller: { kind: attachment.controller, number: attachment.controllerNumber },
    slot: attachment.slot,
  };
  return { path, attachmentId, logicalSectorSize, physicalSectorSize, source, ...place };
}
