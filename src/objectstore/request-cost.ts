/**
 * What requests cost. Prices are those AWS published for S3 Standard in us-east-1 (2024); other regions, classes and providers
 * differ, so this is an estimate, and is shown as one.
 */
import { GiB } from '../base/index.ts';
import type { StoreStats } from './counting-store.ts';

/** As object stores bill them. A list is a request for every 1000 names. */
export interface Requests {
  readonly put: number;
  readonly get: number;
  readonly head: number;
  readonly list: number;
  readonly delete: number;
  readonly receivedBytes: number;
}

const DOLLARS_A_PUT = 0.005 / 1000;
const DOLLARS_A_GET = 0.0004 / 1000;
const DOLLARS_A_GIB_OUT = 0.09;

export function requestsOf(stats: StoreStats): Requests {
  return {
    put: stats.putNew.calls + stats.commit.calls + stats.retain.calls,
    get: stats.getRange.calls,
    head: stats.stat.calls,
    list: stats.list.calls,
    delete: stats.delete.calls,
    receivedBytes: stats.getRange.bytes,
  };
}

/** US dollars, the way out of the provider's network included. */
export function costOf(requests: Requests): number {
  const { put, list, get, head, receivedBytes } = requests;
  return (
    (put + list) * DOLLARS_A_PUT + (get + head) * DOLLARS_A_GET + (receivedBytes / GiB) * DOLLARS_A_GIB_OUT
  );
}
