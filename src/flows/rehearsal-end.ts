/** The end of a rehearsal: its machine goes, then its clone, then the note that told of them. */
import { rm } from 'node:fs/promises';
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { openHypervisor } from '../hypervisors/index.ts';
import { rehearsalFaults } from './rehearsal-faults.ts';
import {
  readNote,
  rehearsalLease,
  rehearsalState,
  removeNote,
  type RehearsalNote,
} from './rehearsal-note.ts';
import type { Replica } from './replicate-state.ts';

/** Not by a run's own signal: what is left behind would run on. */
const END_MS = 2 * 60_000;

type Place = Pick<Replica, 'id' | 'folder' | 'state'>;

/** By who holds the rehearsal. Throws `REHEARSAL_NOT_ENDED`; then the note stays, and with it everything. */
export async function endRehearsal(replica: Place, note: RehearsalNote): Promise<void> {
  const { hypervisor: address, machine, folder } = note;
  try {
    const hypervisor = await openHypervisor(address);
    try {
      await hypervisor.undefine(machine, { signal: AbortSignal.timeout(END_MS) });
    } finally {
      await hypervisor.close();
    }
  } catch (error) {
    // Somebody else's machine is not on our clone.
    if (!hasCode(error, 'HYPERVISOR_FOREIGN_MACHINE'))
      throw rehearsalFaults.notEnded(
        {
          vm: replica.state.vm.name,
          replica: replica.id,
          hypervisor: address,
          reason: (error as Error).message,
        },
        { cause: error },
      );
  }
  await rm(folder, { recursive: true, force: true });
  await removeNote(replica);
}

/**
 * By who wants the target for something else: what a run that died left goes; one that lives, or was kept, is in the way. Throws
 * `REHEARSAL_RUNS`, `REHEARSAL_KEPT`, `REHEARSAL_NOT_ENDED`.
 */
export async function clearRehearsal(replica: Place, options: CallOptions = {}): Promise<void> {
  const note = await readNote(replica);
  if (!note) return;
  const { startedAt, hypervisor } = note;
  const about = { vm: replica.state.vm.name, replica: replica.id, startedAt };
  const state = await rehearsalState(replica, note, options);
  if (state === 'runs') throw rehearsalFaults.runs(about);
  if (state === 'kept') throw rehearsalFaults.kept({ ...about, hypervisor });
  await endAlone(replica, note);
}

/** One that was kept, or whose run died. Throws `REHEARSAL_RUNS`, `REHEARSAL_NONE`, `REHEARSAL_NOT_ENDED`. */
export async function endKeptRehearsal(replica: Place, options: CallOptions = {}): Promise<RehearsalNote> {
  const vm = replica.state.vm.name;
  const note = await readNote(replica);
  if (!note) throw rehearsalFaults.none({ vm });
  if ((await rehearsalState(replica, note, options)) === 'runs')
    throw rehearsalFaults.runs({ vm, startedAt: note.startedAt });
  await endAlone(replica, note);
  return note;
}

/** Two that come at once do not both undo it. */
async function endAlone(replica: Place, note: RehearsalNote): Promise<void> {
  await using _lease = await rehearsalLease(replica, {});
  await endRehearsal(replica, note);
}
