/**
 * Bytes a second to and from a store, so that a backup over a shared line leaves room for others. On average: a driver that holds
 * the pieces of a pack sends them all at once, after their time has passed.
 */
import type { RateLimit } from '../base/index.ts';
import type { ObjectStore } from './port.ts';
import { layered } from './store-layer.ts';

/** Several stores may share a limit. Files of a local store that are read by their path are not counted. */
export function throttledStore(inner: ObjectStore, limit: RateLimit): ObjectStore {
  return layered(inner, async ({ bytes, signal }, run) => {
    // Afterwards: a wait that is cancelled before a piece of an upload would lose the piece, and the upload not know it.
    const result = await run();
    if (bytes > 0) await limit.take(bytes, signal);
    return result;
  });
}
