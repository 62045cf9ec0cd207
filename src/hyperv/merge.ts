/**
 * Waiting for the host's own work on a VM. After a checkpoint goes, its AVHDX is merged as a separate activity that no job
 * of ours covers; a backup is over when that is done, because a leftover AVHDX breaks the next one.
 */
import type { CallOptions } from '../disk/index.ts';
import { listCheckpoints } from './checkpoints.ts';
import { readDiskInfo } from './disk-info.ts';
import { disksOfSettings, disksOfVm } from './disks.ts';
import { growingPauses, type Host } from './host.ts';
import { MERGING, readVm } from './vms.ts';

export interface WaitOptions extends CallOptions {
  readonly timeoutMs: number;
}

/** `merged` when no checkpoint disk is left that no checkpoint needs; `running` when that is not so in time. */
export async function waitForMerge(
  host: Host,
  vmId: string,
  options: WaitOptions,
): Promise<'merged' | 'running'> {
  return (await waitUntil(host, options, () => isMerged(host, vmId, options))) ? 'merged' : 'running';
}

/** `idle` when no operation runs on the VM; `busy` when that is not so in time. */
export async function waitUntilIdle(
  host: Host,
  vmId: string,
  options: WaitOptions,
): Promise<'idle' | 'busy'> {
  const isIdle = async (): Promise<boolean> => (await readVm(host, vmId, options)).busy === undefined;
  return (await waitUntil(host, options, isIdle)) ? 'idle' : 'busy';
}

async function waitUntil(host: Host, options: WaitOptions, holds: () => Promise<boolean>): Promise<boolean> {
  const started = host.clock.now();
  for (const pause of growingPauses(host.pollMs)) {
    if (await holds()) return true;
    const left = options.timeoutMs - (host.clock.now() - started);
    if (left <= 0) return false;
    await host.clock.sleep(Math.min(pause, left), options.signal);
  }
  return false;
}

async function isMerged(host: Host, vmId: string, options: CallOptions): Promise<boolean> {
  if ((await readVm(host, vmId, options)).busy === MERGING) return false;
  const leaves = (await disksOfVm(host, vmId, options)).filter(
    (disk) => disk.kind === 'virtual' && /\.avhdx?$/i.test(disk.path),
  );
  if (leaves.length === 0) return true;
  const needed = await pathsOfCheckpoints(host, vmId, options);
  for (const leaf of leaves) {
    const { parentPath } = await readDiskInfo(host, leaf.path, options);
    if (parentPath !== undefined && !needed.has(parentPath.toLowerCase())) return false;
  }
  return true;
}

/** The frozen files of the checkpoints that exist: an active AVHDX on top of one of them is there to stay. */
async function pathsOfCheckpoints(
  host: Host,
  vmId: string,
  options: CallOptions,
): Promise<ReadonlySet<string>> {
  const paths = new Set<string>();
  for (const checkpoint of await listCheckpoints(host, vmId, options)) {
    for (const disk of await disksOfSettings(host, checkpoint.instanceId, options)) {
      paths.add(disk.path.toLowerCase());
    }
  }
  return paths;
}
