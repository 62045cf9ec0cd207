/**
 * Room for a checkpoint. While it stands, everything its VM writes goes to new files beside its disks, and a volume that fills
 * stops every VM on it. So there is a floor of free space on each volume, below which nothing is begun and nothing goes on, and
 * a budget for what one checkpoint may take.
 */
import { formatBytes, GiB, isFault, type Fault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { volumeUnder, type HostVolume, type HyperV } from '../hyperv/index.ts';
import { captureFaults } from './faults.ts';

/** A percentage of what was free on the volume at the start, or bytes for the files on one volume. */
export type CheckpointBudget = { readonly percent: number } | { readonly bytes: number } | 'off';

export const DEFAULT_BUDGET: CheckpointBudget = { percent: 50 };

/** On a small volume a fiftieth is as much as can be asked for. */
const FLOOR_MAX = 2 * GiB;

/** Free bytes below which a volume counts as full. */
export function floorOf({ capacity }: HostVolume): number {
  return Math.min(FLOOR_MAX, Math.floor(capacity / 50));
}

/** Empty when the host does not tell: the question is not worth a backup. */
export async function volumesOf(hyperv: HyperV, vmId: string, options: CallOptions): Promise<HostVolume[]> {
  try {
    return await hyperv.volumes(vmId, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (isFault(error) && error.kind !== 'bug') return [];
    throw error;
  }
}

/** The volumes on which the files lie, each once; those of shares and of hosts that tell nothing are not among them. */
export function volumesUnder(paths: readonly string[], volumes: readonly HostVolume[]): HostVolume[] {
  return [...new Set(paths.flatMap((path) => volumeUnder(path, volumes) ?? []))];
}

export function spaceFaults(vm: string, volumes: readonly HostVolume[]): Fault[] {
  return volumes
    .filter((volume) => volume.free < floorOf(volume))
    .map((volume) =>
      captureFaults.spaceTooLow({
        vm,
        volume: volume.name,
        free: formatBytes(volume.free),
        floor: formatBytes(floorOf(volume)),
      }),
    );
}

/** Bytes that new files of a checkpoint may take on the volume; undefined without a limit. */
export function budgetOn(volume: HostVolume, budget: CheckpointBudget): number | undefined {
  if (budget === 'off') return undefined;
  return 'bytes' in budget ? budget.bytes : Math.floor((volume.free * budget.percent) / 100);
}
