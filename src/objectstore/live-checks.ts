/**
 * What a repository needs of a store, tried on the store itself: by `hvlift doctor repo` on the user's, and by the conformance
 * suite on every driver. Each check gets a part of the store that is empty, and says what it saw.
 */
import { randomBytes } from 'node:crypto';
import { hasCode, MiB } from '../base/index.ts';
import { storeFaults } from './faults.ts';
import type { ObjectStore } from './port.ts';

export interface LiveStores {
  readonly store: ObjectStore;
  /** The same place by a client of its own, as another machine has one. */
  readonly other: ObjectStore;
  readonly signal: AbortSignal;
}

export interface LiveCheck {
  readonly id: string;
  readonly title: string;
  /** Returns what was seen. Throws `STORE_NAMES_NOT_ATOMIC`, `STORE_CONTRACT_BROKEN`, and what the store throws. */
  readonly run: (stores: LiveStores) => Promise<string>;
}

export const LIVE_CHECKS: readonly LiveCheck[] = [
  { id: 'read-back', title: 'reading what was written', run: readBack },
  { id: 'names-once', title: 'names given once', run: namesOnce },
  { id: 'race', title: 'writers at the same time', run: race },
  { id: 'pack', title: 'a whole pack', run: wholePack },
  { id: 'absent', title: 'what is not there', run: absent },
  { id: 'list', title: 'lists', run: lists },
  { id: 'cancel', title: 'cancelling', run: cancelling },
  { id: 'delete', title: 'deleting', run: deleting },
];

const WRITERS = 8;
/** As a repository fills its packs. */
const PACK_BYTES = 32 * MiB;
const PIECE_BYTES = MiB;

async function readBack({ store, other, signal }: LiveStores): Promise<string> {
  const body = randomBytes(3 * MiB + 7);
  await store.putNew('a/object', body, { signal });
  for (const [offset, length] of [
    [0, 1],
    [MiB - 1, 2],
    [body.length - 1, 1],
    [0, body.length],
  ] as const) {
    const got = await other.getRange('a/object', offset, length, { signal });
    demand(same(got, body.subarray(offset, offset + length)), store, 'it gives back other bytes than it got');
  }
  const found = await other.stat('a/object', { signal });
  demand(found?.size === body.length, store, 'it tells another size than it got');
  return 'ranges of an object come back as they were stored, at once and to another client';
}

async function namesOnce({ store, other, signal }: LiveStores): Promise<string> {
  await store.putNew('a/name', Buffer.from('first'), { signal });
  await store.putNew('a/name', Buffer.from('first'), { signal });
  if (await takes(other, 'a/name', Buffer.from('later'), signal)) throw replaced(store);
  demand(same(await store.getRange('a/name', 0, 5), Buffer.from('first')), store, 'a refused put changed it');
  return 'an object that exists is not replaced, and the same bytes are accepted again';
}

async function race({ store, other, signal }: LiveStores): Promise<string> {
  const bodies = Array.from({ length: WRITERS }, (_, index) => Buffer.alloc(100_000, index + 1));
  const won = await Promise.all(
    bodies.map((body, index) => takes(index % 2 === 0 ? store : other, 'a/race', body, signal)),
  );
  const winners = bodies.filter((_, index) => won[index]);
  if (winners.length !== 1) throw replaced(store);
  const stored = await store.getRange('a/race', 0, winners[0]!.length, { signal });
  demand(same(stored, winners[0]!), store, 'it keeps the bytes of a writer that was refused');
  return `of ${WRITERS} writers of one name one wins, and its bytes stay`;
}

async function wholePack({ store, other, signal }: LiveStores): Promise<string> {
  const piece = randomBytes(PIECE_BYTES);
  const started = performance.now();
  const upload = await store.startNew('a/pack', { signal });
  for (let at = 0; at < PACK_BYTES; at += PIECE_BYTES) await upload.append(piece);
  demand(!(await other.stat('a/pack', { signal })), store, 'it shows an object that is not complete');
  await upload.commit();
  const written = performance.now();
  for (let at = 0; at < PACK_BYTES; at += PIECE_BYTES) {
    const got = await other.getRange('a/pack', at, PIECE_BYTES, { signal });
    demand(same(got, piece), store, 'it gives back other bytes of a large object than it got');
  }
  const [put, get] = [written - started, performance.now() - written];
  return `32 MiB at once, written at ${rate(put)} and read back piece by piece at ${rate(get)}`;
}

async function absent({ store, signal }: LiveStores): Promise<string> {
  await store.putNew('a/short', Buffer.alloc(100), { signal });
  demand(
    await fails(store.getRange('a/short', 0, 101, { signal }), 'STORE_TRUNCATED'),
    store,
    'it gives bytes that an object does not have',
  );
  demand(
    await fails(store.getRange('a/none', 0, 1, { signal }), 'STORE_NOT_FOUND'),
    store,
    'it gives an object that does not exist',
  );
  demand(!(await store.stat('a/none', { signal })), store, 'it tells a size of what does not exist');
  return 'missing objects and missing bytes are told apart from empty ones';
}

async function lists({ store, other, signal }: LiveStores): Promise<string> {
  // '-' and '.' sort before '/', '0' and letters behind it: where folders are listed by themselves, order shows.
  const names = ['a-b', 'a.b', 'a/b', 'a/b-c', 'a0', 'b/1', 'b/10', 'b/2/x', 'ba'];
  for (const name of names.toReversed()) await store.putNew(name, Buffer.alloc(1), { signal });
  for (const prefix of ['', 'a', 'a/', 'b/1', 'c']) {
    const listed = (await Array.fromAsync(other.list(prefix, { signal }))).map(({ name }) => name);
    const expected = names.filter((name) => name.startsWith(prefix)).sort();
    demand(
      listed.join() === expected.join(),
      store,
      `its list of "${prefix}" is not what was stored, in order`,
    );
  }
  return 'complete, in order, and at once for another client';
}

async function cancelling({ store, signal }: LiveStores): Promise<string> {
  const stop = AbortSignal.any([signal, AbortSignal.abort(new Error('stop'))]);
  const stopped = await store.putNew('a/late', Buffer.alloc(1), { signal: stop }).then(
    () => false,
    () => true,
  );
  demand(stopped && !(await store.stat('a/late', { signal })), store, 'it stores what was cancelled');
  return 'a cancelled call stores nothing';
}

async function deleting({ store, other, signal }: LiveStores): Promise<string> {
  await store.putNew('a/gone', Buffer.from('one'), { signal });
  await store.delete('a/gone', { signal });
  await store.delete('a/gone', { signal });
  demand(!(await other.stat('a/gone', { signal })), store, 'it still shows what was deleted');
  await other.putNew('a/gone', Buffer.from('two'), { signal });
  demand(
    same(await store.getRange('a/gone', 0, 3), Buffer.from('two')),
    store,
    'it gives back what was deleted',
  );
  return 'what is deleted is gone at once, and its name is free';
}

/** False when the name was taken. */
async function takes(
  store: ObjectStore,
  name: string,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await store.putNew(name, body, { signal });
    return true;
  } catch (error) {
    if (hasCode(error, 'STORE_NAME_TAKEN', 'STORE_NAME_BUSY')) return false;
    throw error;
  }
}

async function fails(call: Promise<unknown>, code: string): Promise<boolean> {
  try {
    await call;
    return false;
  } catch (error) {
    if (hasCode(error, code)) return true;
    throw error;
  }
}

function demand(holds: boolean, { location }: ObjectStore, reason: string): void {
  if (!holds) throw storeFaults.contractBroken({ location, reason });
}

function replaced({ location }: ObjectStore): Error {
  return storeFaults.namesNotAtomic({ location });
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function rate(milliseconds: number): string {
  return `${((PACK_BYTES / MiB / Math.max(1, milliseconds)) * 1000).toFixed(0)} MiB/s`;
}
