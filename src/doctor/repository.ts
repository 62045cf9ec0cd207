/**
 * What a repository needs from the place it is in, tried there: under a name of its own, of which nothing stays.
 *
 *   open ─► does a repository lie there? ─► the checks of the store's port ─► cleaned up
 *
 * Unlike the look at a host this writes: whether a store gives a name once only shows when it is asked to give it twice.
 */
import { randomBytes } from 'node:crypto';
import { hasCode } from '../base/index.ts';
import { LIVE_CHECKS, prefixedStore, type ObjectStore } from '../objectstore/index.ts';
import { probeRepository } from '../repository/index.ts';
import { failed, ok, skipped, warned, type Check, type Finding } from './finding.ts';
import { doctorFaults } from './faults.ts';

const REACH: Check = { id: 'reach', title: 'the place' };
const REPOSITORY: Check = { id: 'repository', title: 'the repository' };
const WIRE: Check = { id: 'wire', title: 'what others can read' };
const CLEAN: Check = { id: 'clean', title: 'cleaning up' };

export interface RepositoryTarget {
  /** The address, without secrets. */
  readonly address: string;
  /** Makes a client of its own at each call. */
  readonly open: () => Promise<ObjectStore>;
}

/** Throws the signal's reason, and nothing that a store can cause. */
export async function* diagnoseRepository(
  { address, open }: RepositoryTarget,
  signal: AbortSignal,
): AsyncGenerator<Finding, void> {
  await using stores = new AsyncDisposableStack();
  const opened = async (): Promise<ObjectStore> => {
    const store = await open();
    stores.defer(async () => store.close?.());
    return store;
  };
  try {
    const [store, other] = [await opened(), await opened()];
    const reached = await repositoryAt(store, signal);
    yield ok(REACH, `${store.location} answers`);
    yield reached;
    if (/endpoint=http:/i.test(address)) yield warned(WIRE, doctorFaults.plainHttp({ address }));
    yield* tried(store, other, signal);
  } catch (error) {
    signal.throwIfAborted();
    yield failed(REACH, error);
  }
}

async function repositoryAt(store: ObjectStore, signal: AbortSignal): Promise<Finding> {
  try {
    const { encrypted } = await probeRepository(store, { signal });
    return ok(REPOSITORY, encrypted ? 'one is there, encrypted' : 'one is there, NOT ENCRYPTED');
  } catch (error) {
    if (hasCode(error, 'REPO_NOT_INITIALISED')) return skipped(REPOSITORY, 'there is none yet');
    if (!hasCode(error, 'REPO_HEADER_DAMAGED', 'REPO_FORMAT_NEWER')) throw error;
    return failed(REPOSITORY, error);
  }
}

async function* tried(
  store: ObjectStore,
  other: ObjectStore,
  signal: AbortSignal,
): AsyncGenerator<Finding, void> {
  const scratch = `probe/${randomBytes(16).toString('hex')}/`;
  try {
    for (const { id, title, run } of LIVE_CHECKS) {
      const part = (whole: ObjectStore): ObjectStore => prefixedStore(whole, `${scratch}${id}/`);
      yield await outcomeOf({ id, title }, run({ store: part(store), other: part(other), signal }), signal);
    }
  } finally {
    yield await cleaned(store, scratch);
  }
}

async function outcomeOf(check: Check, running: Promise<string>, signal: AbortSignal): Promise<Finding> {
  try {
    return ok(check, await running);
  } catch (error) {
    signal.throwIfAborted();
    return failed(check, error);
  }
}

/** Also of a cancelled run, so without its signal: what stays is billed for ever. */
async function cleaned(store: ObjectStore, scratch: string): Promise<Finding> {
  let removed = 0;
  try {
    for await (const { name } of store.list(scratch)) {
      await store.delete(name);
      removed += 1;
    }
    return ok(CLEAN, `the ${removed} objects of these checks are removed`);
  } catch (error) {
    return warned(CLEAN, doctorFaults.scratchStays({ scratch, location: store.location }, { cause: error }));
  }
}
