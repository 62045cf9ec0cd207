/**
 * Locks of what restore points need, made to last. An object is locked for so many days from when it is stored; a point of today
 * that refers to a pack of last year would else stand on bytes that anybody with the key can remove.
 *
 * The collector does it, for it knows which packs are alive. A lock that has more than half of its days left is not touched, so most
 * runs ask for the locks and change none.
 */
import { forEachBounded } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { HEADER_NAME } from './header.ts';

const DAY_MS = 24 * 3600 * 1000;
/** Each is a request or two over a network. */
const AT_ONCE = 16;

/** Does nothing where the store locks nothing. Throws what the store throws. */
export async function extendLocks(
  store: ObjectStore,
  packs: Iterable<string>,
  options: CallOptions & { readonly now?: Date } = {},
): Promise<void> {
  if (!store.retain || store.lockDays === undefined) return;
  const now = options.now ?? new Date();
  const until = new Date(now.getTime() + (store.lockDays * DAY_MS) / 2);
  await forEachBounded(needed(store, packs, options), AT_ONCE, (name) => store.retain!(name, until, options));
}

async function* needed(
  store: ObjectStore,
  packs: Iterable<string>,
  { signal }: CallOptions,
): AsyncGenerator<string> {
  yield HEADER_NAME;
  for (const area of ['keys/', 'points/']) {
    for await (const { name } of store.list(area, { signal })) yield name;
  }
  yield* packs;
}
