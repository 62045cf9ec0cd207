/**
 * Several VMs at once. What they share has room for a few: the hosts they run on, and the volumes their disks lie on. A VM
 * takes one place of its host and one of each of its volumes, and begins when all of them have one.
 */
import { mapCapped, mapOrdered } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Vm } from '../hyperv/index.ts';
import { isShared, volumeOf } from './volume-of.ts';

export interface RunCaps {
  /** VMs at once. */
  readonly parallel: number;
  readonly perHost: number;
  readonly perVolume: number;
}

/** Where a VM runs and its disks lie. */
export interface VmPlace {
  readonly host: string;
  readonly diskPaths: readonly string[];
}

export interface PlacedVm {
  readonly vm: Vm;
  readonly host: string;
  readonly volumes: readonly string[];
}

/** Questions about places at once: they are small, and the first backup waits for all of them. */
const QUESTIONS_AT_ONCE = 4;

/** A VM whose place cannot be found out has none, and takes no place of anything: its own run says what is wrong with it. */
export async function placeVms(
  vms: readonly Vm[],
  placeOf: (vm: Vm, options: CallOptions) => Promise<VmPlace>,
  options: CallOptions,
): Promise<PlacedVm[]> {
  const places = mapOrdered(vms, QUESTIONS_AT_ONCE, async (vm): Promise<PlacedVm> => {
    try {
      const { host, diskPaths } = await placeOf(vm, options);
      return { vm, host, volumes: [...new Set(diskPaths.map(volumeOf))] };
    } catch {
      options.signal?.throwIfAborted();
      return unplaced(vm);
    }
  });
  return Array.fromAsync(places);
}

/** It takes no place of anything. */
export function unplaced(vm: Vm): PlacedVm {
  return { vm, host: '', volumes: [] };
}

/** Runs `backup` for each VM within the caps; results come as they end. What it throws ends the whole run, see `mapCapped`. */
export function backupMany<R>(
  vms: readonly PlacedVm[],
  { parallel, perHost, perVolume }: RunCaps,
  backup: (vm: Vm) => Promise<R>,
): AsyncGenerator<R> {
  const placesOf = (use: string): number => (use.startsWith('host ') ? perHost : perVolume);
  const work = vms.map((placed) => ({ item: placed.vm, uses: usesOf(placed) }));
  return mapCapped(work, { atOnce: parallel, placesOf }, backup);
}

function usesOf({ host, volumes }: PlacedVm): string[] {
  if (host === '') return [];
  const name = host.toLowerCase();
  return [
    `host ${name}`,
    ...volumes.map((volume) => (isShared(volume) ? `volume ${volume}` : `volume ${name} ${volume}`)),
  ];
}
