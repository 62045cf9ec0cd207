/** Counts what is asked of a store: requests cost money on object storage and time everywhere. */
import type { ObjectStore } from './port.ts';
import { layered, type StoreMethod } from './store-layer.ts';

export interface MethodStats {
  calls: number;
  /** Handed over or asked for. */
  bytes: number;
}

export type StoreStats = Record<StoreMethod, MethodStats>;

const METHODS = [
  'putNew',
  'startNew',
  'append',
  'commit',
  'abort',
  'getRange',
  'stat',
  'list',
  'delete',
  'retain',
] as const satisfies StoreMethod[];

/** The same store, and the counters it keeps up to date. */
export function countingStore(inner: ObjectStore): { store: ObjectStore; stats: StoreStats } {
  const stats = Object.fromEntries(METHODS.map((method) => [method, { calls: 0, bytes: 0 }])) as StoreStats;
  const store = layered(inner, (call, run) => {
    stats[call.method].calls += 1;
    stats[call.method].bytes += call.bytes;
    return run();
  });
  return { store, stats };
}
