/** The disks of a replica on its target: which are claimed, whether they can be held, whether others wrote to them. */
import { silentProgress, type Progress } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import type { PlannedTargetDisk, Target, TargetDiskSpec } from '../targets/index.ts';
import { isHeld } from './replicate-disk.ts';
import { refuseDuringRehearsal } from './rehearsal-note.ts';
import { replicaFaults } from './replicate-faults.ts';
import { copyRanges } from './replicate-ranges.ts';
import { StagedDisk } from './replicate-staging.ts';
import type { GenerationDisk, Replica, ReplicaDisk, ReplicaGeneration } from './replicate-state.ts';

/** Whatever is on the target may be written over, where it is not known to be of this replica. */
export type SeedOver = 'nothing' | 'existing';

/** Before the host is asked for anything: is the last generation there? Any `TARGET_` fault. */
export async function checkHeld(replica: Replica, target: Target, options: CallOptions): Promise<void> {
  const { generation } = replica.state;
  const disks = generation?.disks.map((disk) => ({
    ...specOf(replica, disk),
    expected: 'ours' as const,
    neededBytes: 0,
  }));
  if (disks) await target.prepare(disks, options);
}

/** What has to be known of a disk before it is written. */
interface DiskToHold {
  readonly id: string;
  readonly size: number;
  readonly logicalSectorSize: number;
  /** What is going to be written of it, at most. */
  readonly hostFileBytes: number;
}

/** Claims what is new, after the target has said that all of it can be held. Any `TARGET_` fault; then nothing is claimed. */
export async function claimDisks(
  replica: Replica,
  target: Target,
  captured: readonly DiskToHold[],
  options: CallOptions & { readonly over: SeedOver },
): Promise<void> {
  const disks = withNumbers(replica, captured);
  const planned = captured.map((disk): PlannedTargetDisk => {
    const known = replica.state.disks.some(({ diskId }) => diskId === disk.id);
    const free = options.over === 'existing' ? 'existing' : 'new';
    return {
      ...disks.find(({ diskId }) => diskId === disk.id)!,
      size: disk.size,
      logicalSectorSize: disk.logicalSectorSize,
      expected: isHeld(replica, disk.id) ? 'ours' : known ? 'begun' : free,
      neededBytes: Math.min(disk.size, disk.hostFileBytes),
    };
  });
  await target.prepare(planned, options);
  await replica.save({ disks });
}

/** A number is never given twice: the image of a disk that was removed keeps its name. */
function withNumbers({ state }: Replica, captured: readonly DiskToHold[]): ReplicaDisk[] {
  const disks = [...state.disks];
  for (const { id: diskId } of captured) {
    if (disks.some((each) => each.diskId === diskId)) continue;
    const number = (disks.at(-1)?.number ?? 0) + 1;
    disks.push({ diskId, number, name: `${fileName(state.vm.name)}-disk${number}` });
  }
  return disks;
}

/** Names of VMs may hold anything; a name of dots and separators must not lead out of the folder. */
function fileName(vmName: string): string {
  const name = vmName.replaceAll(/[^\p{L}\p{N}._-]+/gu, '_').replace(/^\.+/, '');
  return Array.from(name).slice(0, 60).join('') || 'vm';
}

export function specOf(
  { state }: Pick<Replica, 'state'>,
  { diskId, size, logicalSectorSize }: Pick<GenerationDisk, 'diskId' | 'size' | 'logicalSectorSize'>,
): TargetDiskSpec {
  const claimed = state.disks.find((each) => each.diskId === diskId);
  if (!claimed)
    throw replicaFaults.stateUnreadable({ path: diskId, reason: 'a disk of the generation is not claimed' });
  return { diskId, number: claimed.number, name: claimed.name, size, logicalSectorSize };
}

/** VirtualDiskIds of disks of the generation that are not as we left them. */
export async function changedByOthers(replica: Pick<Replica, 'state'>, target: Target): Promise<Set<string>> {
  const changed = new Set<string>();
  for (const disk of replica.state.generation?.disks ?? []) {
    const { mark } = replica.state.disks.find(({ diskId }) => diskId === disk.diskId) ?? {};
    const now = await target.markOf?.(specOf(replica, disk));
    if (now !== mark) changed.add(disk.diskId);
  }
  return changed;
}

/**
 * Brings the staging of a committed generation to the target: afterwards the target alone is the generation. `staged` is closed
 * in any case. What fails leaves the generation committed, and is done again. Throws `REPLICA_REHEARSED` while a rehearsal runs
 * over what the target holds.
 */
export async function bringToTarget(
  replica: Replica,
  target: Target,
  staged: readonly StagedDisk[],
  options: CallOptions & { advance(bytes: number): void },
): Promise<void> {
  try {
    if (staged.length > 0) await refuseDuringRehearsal(replica, options);
    for (const disk of staged) await disk.merge(options);
  } catch (error) {
    await Promise.allSettled(staged.map((disk) => disk[Symbol.asyncDispose]()));
    throw error;
  }
  for (const disk of staged) await disk[Symbol.asyncDispose]();
  await replica.save({ phase: 'idle', staged: [], disks: await withMarks(replica, target) });
  await replica.dropStaging();
}

async function withMarks(replica: Replica, target: Target): Promise<ReplicaDisk[]> {
  const disks: ReplicaDisk[] = [];
  for (const { mark: _mark, ...disk } of replica.state.disks) {
    const held = replica.state.generation?.disks.find(({ diskId }) => diskId === disk.diskId);
    const mark = held && (await target.markOf?.(specOf(replica, held)));
    disks.push(mark === undefined ? disk : { ...disk, mark });
  }
  return disks;
}

/**
 * Finishes what a cycle that died left: a generation that was committed is brought to the target, anything else is dropped.
 * True when there was something to bring. Throws `REPLICA_STAGING_LOST`, `REPLICA_REHEARSED`, and any `TARGET_`, `NBD_`, `DISK_` fault.
 */
export async function settleTarget(
  replica: Replica,
  target: Target,
  options: CallOptions & { advance(bytes: number): void },
): Promise<boolean> {
  const { phase, generation, staged } = replica.state;
  if (phase === 'rolling') {
    await refuseDuringRehearsal(replica, options);
    await finishRolling(replica, target);
    return true;
  }
  if (phase !== 'staged' || !generation) {
    await replica.dropStaging();
    return false;
  }
  await checkHeld(replica, target, options);
  const opened: StagedDisk[] = [];
  try {
    for (const diskId of staged) opened.push(await openStaged(replica, target, generation, diskId, options));
  } catch (error) {
    await Promise.allSettled(opened.map((disk) => disk[Symbol.asyncDispose]()));
    throw error;
  }
  await bringToTarget(replica, target, opened, options);
  return true;
}

/** Puts the images of the kept generation in place that the state says is the last one. Done again after a crash, all of it. */
export async function finishRolling(replica: Replica, target: Target): Promise<void> {
  const { generation } = replica.state;
  const history = target.historyOf?.(replica.id);
  const number = generation?.rolledTo;
  if (!generation || !history || number === undefined)
    throw replicaFaults.stateUnreadable({ path: replica.folder, reason: 'no generation is rolled to' });
  try {
    for (const disk of generation.disks) await history.bringBack(number, specOf(replica, disk));
  } catch (error) {
    const reason = (error as Error).message;
    throw replicaFaults.notRolled({ generation: number, next: generation.number, reason }, { cause: error });
  }
  await replica.save({ phase: 'idle', staged: [], disks: await withMarks(replica, target) });
}

async function openStaged(
  replica: Replica,
  target: Target,
  { number, disks }: ReplicaGeneration,
  diskId: string,
  options: CallOptions,
): Promise<StagedDisk> {
  const disk = disks.find((each) => each.diskId === diskId);
  if (!disk)
    throw replicaFaults.stateUnreadable({
      path: replica.folder,
      reason: `disk ${diskId} is of no generation`,
    });
  const opened = await target.openDisk(specOf(replica, disk), options);
  try {
    return await StagedDisk.open(replica, { diskId, generation: number }, opened);
  } catch (error) {
    const reason = (error as Error).message;
    throw replicaFaults.stagingLost(
      { generation: number, folder: replica.stagingFolder, reason },
      { cause: error },
    );
  }
}

/** A disk of which an earlier copy is at hand, such as one in a restore point. */
export interface SeedDisk extends DiskToHold {
  readonly reader: Disk;
}

/**
 * Writes copies from elsewhere onto the target, so that the first cycle finds most of it there. They make no generation: the
 * cycle compares all of it.
 */
export async function seedFrom(
  replica: Replica,
  target: Target,
  disks: readonly SeedDisk[],
  options: CallOptions & { readonly over: SeedOver; readonly progress?: Progress },
): Promise<void> {
  const { signal, progress = silentProgress } = options;
  await claimDisks(replica, target, disks, options);
  for (const { id: diskId, reader, size, logicalSectorSize } of disks) {
    const spec = specOf(replica, { diskId, size, logicalSectorSize });
    const into = await target.openDisk(spec, { signal });
    try {
      progress.phase(`seed ${target.placeOf(spec)}`);
      await into.settleSize({ signal });
      const how = into.isNew ? 'fresh' : 'differences';
      const extents = reader.allocated(undefined, { signal });
      const advance = (bytes: number): void => progress.advance(bytes);
      await copyRanges({ source: reader, extents, into, how, signal, advance });
      await into.flush({ signal });
    } finally {
      await into.close();
    }
  }
}
