/**
 * Looks after the room of a checkpoint while it stands: the new files its VM writes to, and the volumes they lie on.
 *
 * The first look comes after a pause, so a run of some seconds asks nothing. A look that fails is made up for by the next: the host
 * is busy, and the run has its own ways to find out that the host is gone.
 */
import { formatBytes, hasCode, isFault, realClock, type Clock } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { volumeUnder, type HostVolume, type HyperV } from '../hyperv/index.ts';
import { captureFaults } from './faults.ts';
import { budgetOn, DEFAULT_BUDGET, floorOf } from './room.ts';
import type { WatchOptions } from './source.ts';

/** A VM that writes 500 MB/s, more than most volumes take, adds 5 GB in that time. */
const LOOK_EVERY_MS = 10_000;

export interface Guarded {
  readonly hyperv: HyperV;
  readonly vm: { readonly id: string; readonly name: string };
  /** As they were before the checkpoint. */
  readonly volumes: readonly HostVolume[];
  /** Frozen files; whatever the VM uses besides them came with the checkpoint. */
  readonly frozen: ReadonlySet<string>;
  readonly clock?: Clock;
}

/** Until `options.signal` aborts. Throws `CAPTURE_VOLUME_FILLING`, `CAPTURE_CHECKPOINT_TOO_LARGE`. */
export async function guardCheckpoint(guarded: Guarded, options: WatchOptions): Promise<void> {
  const { clock = realClock, volumes } = guarded;
  const { signal, everyMs = LOOK_EVERY_MS } = options;
  if (volumes.length === 0 && !isAbsolute(options)) return;
  while (!signal.aborted) {
    try {
      await clock.sleep(everyMs, signal);
      await look(guarded, options);
    } catch (error) {
      if (signal.aborted) return;
      if (hasCode(error, 'CAPTURE_VOLUME_FILLING', 'CAPTURE_CHECKPOINT_TOO_LARGE')) throw error;
      if (!isFault(error) || error.kind === 'bug') throw error;
    }
  }
}

/** Bytes can be counted where the host tells nothing of its volumes. */
function isAbsolute({ budget }: WatchOptions): boolean {
  return typeof budget === 'object' && 'bytes' in budget;
}

async function look(guarded: Guarded, options: WatchOptions): Promise<void> {
  const { hyperv, vm, volumes } = guarded;
  const now = volumes.length === 0 ? [] : await hyperv.volumes(vm.id, options);
  for (const before of volumes) {
    const volume = now.find(({ name }) => name === before.name);
    if (volume && volume.free < floorOf(volume)) throw filling(volume);
  }
  if (options.budget === 'off') return;
  for (const [volume, written] of await writtenByVolume(guarded, options))
    mustFit(vm.name, volume, written, options);
}

const filling = (volume: HostVolume): Error =>
  captureFaults.volumeFilling({
    volume: volume.name,
    free: formatBytes(volume.free),
    floor: formatBytes(floorOf(volume)),
  });

/** Bytes of the new files, by the volume as it was before; undefined stands for those of which nothing is told. */
async function writtenByVolume(
  { hyperv, vm, volumes, frozen }: Guarded,
  options: CallOptions,
): Promise<Map<HostVolume | undefined, number>> {
  const written = new Map<HostVolume | undefined, number>();
  for (const { kind, path } of await hyperv.disks(vm.id, options)) {
    // A disk that no checkpoint holds has the file it had before.
    if (kind !== 'virtual' || !/\.avhdx?$/i.test(path) || frozen.has(path.toLowerCase())) continue;
    const volume = volumeUnder(path, volumes);
    const bytes = await hyperv.diskFileBytes(path, options);
    written.set(volume, (written.get(volume) ?? 0) + bytes);
  }
  return written;
}

function mustFit(
  vm: string,
  volume: HostVolume | undefined,
  written: number,
  { budget = DEFAULT_BUDGET }: WatchOptions,
): void {
  const most = volume
    ? budgetOn(volume, budget)
    : typeof budget === 'object' && 'bytes' in budget
      ? budget.bytes
      : undefined;
  if (most === undefined || written <= most) return;
  throw captureFaults.checkpointTooLarge({
    vm,
    volume: volume?.name ?? 'its volume',
    written: formatBytes(written),
    budget: formatBytes(most),
  });
}
