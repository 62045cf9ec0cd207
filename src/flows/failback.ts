/**
 * The way back from a cutover that was final: what its machine wrote, as VHDX files that Hyper-V takes.
 *
 *   replica ◄── clone (what the machine runs on, off) ──► FOLDER/<name>.vhdx     made, or compared and only differences written
 *
 * The files are attached by hand. Nothing here touches the host, the clone or the replica.
 */
import type { Progress } from '../base/index.ts';
import { FileReader, type CallOptions, type Disk } from '../disk/index.ts';
import type { Hypervisor } from '../hypervisors/index.ts';
import { openQcow2 } from '../images/index.ts';
import { openTarget, type Target, type TargetDiskSpec } from '../targets/index.ts';
import type { CutoverChoices } from './cutover-choices.ts';
import { cutoverFaults } from './cutover-faults.ts';
import { readCutover } from './cutover-state.ts';
import type { ReplicaClone } from './replica-clone.ts';
import { generationOf } from './replica-machine.ts';
import { copyRanges } from './replicate-ranges.ts';
import { findReplica, Replica } from './replicate-state.ts';
import { specOf } from './replicate-target.ts';

export interface FailbackRequest extends CallOptions {
  /** Its id, the beginning of one, or its VM. */
  readonly replica: string;
  readonly stateFolder: string;
  /** Folder for the VHDX files, absolute. What is there already is compared, and only differences are written. */
  readonly to: string;
  readonly progress: Progress;
}

/** The other side of the cutover, as it was begun. */
export type OpenOtherSide = (
  replica: Replica,
  target: Target,
  choices: CutoverChoices,
) => Promise<{ readonly clone: ReplicaClone; readonly hypervisor: Hypervisor }>;

export interface FailbackDisk {
  readonly diskId: string;
  readonly place: string;
  /** It was not there before. */
  readonly isNew: boolean;
  readonly virtualBytes: number;
  readonly writtenBytes: number;
  readonly zeroedBytes: number;
}

export interface FailbackRecord {
  readonly type: 'failback';
  readonly replica: string;
  readonly vm: { readonly id: string; readonly name: string };
  readonly disks: readonly FailbackDisk[];
  readonly seconds: number;
}

/**
 * Throws `CUTOVER_NOT_COMMITTED`, `CUTOVER_MACHINE_RUNS`, `REPLICA_UNKNOWN`, `REPLICA_BUSY`, `IMAGE_UNREAD` for a clone over
 * anything but raw files, and any `TARGET_` or `HYPERVISOR_` fault. What was written is gone on with by the next run.
 */
export async function failBack(open: OpenOtherSide, request: FailbackRequest): Promise<FailbackRecord> {
  const { stateFolder, signal } = request;
  const started = performance.now();
  const found = await findReplica(stateFolder, request.replica);
  await using replica = await Replica.hold(stateFolder, found.state, { signal });
  const { vm, target } = replica.state;
  const about = { vm: vm.name, replica: replica.id };
  const cutover = await readCutover(replica.folder);
  if (cutover?.step !== 'committed') throw cutoverFaults.notCommitted(about);
  const { clone, hypervisor } = await open(replica, openTarget(target), cutover.choices);
  try {
    const state = await hypervisor.state(cutover.machine!, { signal });
    if (state !== 'off' && state !== 'absent') throw cutoverFaults.machineRuns({ ...about, state });
  } finally {
    await hypervisor.close();
  }
  const into = openTarget(`dir:${request.to}?format=vhdx`);
  const disks: FailbackDisk[] = [];
  for (const disk of generationOf(replica).disks)
    disks.push(await bringBack(clone.imageOf(replica, disk), into, specOf(replica, disk), request));
  const seconds = (performance.now() - started) / 1000;
  return { type: 'failback', replica: replica.id, vm, disks, seconds };
}

async function bringBack(
  image: string,
  into: Target,
  spec: TargetDiskSpec,
  { signal, progress }: FailbackRequest,
): Promise<FailbackDisk> {
  await using source = await openClone(image, { signal });
  const disk = await into.openDisk(spec, { signal });
  try {
    const place = into.placeOf(spec);
    progress.phase(place, spec.size);
    const tally = await copyRanges({
      source,
      extents: source.allocated(undefined, { signal }),
      into: disk,
      how: disk.isNew ? 'fresh' : 'differences',
      signal,
      advance: (bytes) => progress.advance(bytes),
    });
    await disk.flush({ signal });
    return {
      diskId: spec.diskId,
      place,
      isNew: disk.isNew,
      virtualBytes: spec.size,
      writtenBytes: tally.written,
      zeroedBytes: tally.zeroed,
    };
  } finally {
    await disk.close();
  }
}

/** We made the image, so it names the file below as we did. */
async function openClone(image: string, options: CallOptions): Promise<Disk & AsyncDisposable> {
  const disk = await openQcow2(image, {
    open: (path) => FileReader.open(path),
    openBacking: ({ path }) => FileReader.open(path),
    ...options,
  });
  return Object.assign(disk, { [Symbol.asyncDispose]: () => disk.close() });
}
