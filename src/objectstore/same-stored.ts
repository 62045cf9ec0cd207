/** Compares an object that exists with bytes that were to be stored under its name, in bounded memory. */
import { hasCode, MiB } from '../base/index.ts';
import type { ObjectStore } from './port.ts';

const PIECE_BYTES = 4 * MiB;

export async function sameStored(
  store: Pick<ObjectStore, 'stat' | 'getRange'>,
  name: string,
  body: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const found = await store.stat(name, { signal });
  if (found?.size !== body.length) return false;
  for (let at = 0; at < body.length; at += PIECE_BYTES) {
    const ours = body.subarray(at, at + PIECE_BYTES);
    const theirs = await store.getRange(name, at, ours.length, { signal }).catch(absent);
    if (!theirs || Buffer.compare(theirs, ours) !== 0) return false;
  }
  return true;
}

/** Removed while it was compared: what was there is not known any more, and our bytes are not stored. */
function absent(error: unknown): undefined {
  if (!hasCode(error, 'STORE_NOT_FOUND')) throw error;
}
