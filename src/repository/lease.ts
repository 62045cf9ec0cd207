/**
 * The right to do something alone, such as to back up one VM, held by one run at a time.
 *
 *   locks/VM/00000007           who holds it; the highest number counts
 *   locks/VM/00000007-000042    a heartbeat, replaced by the next
 *
 * No clock is compared with another: a holder on the same machine is asked whether it lives; one elsewhere has lost the lease
 * when its heartbeat did not change for as long as the asker watched. Taking over means creating the next number, which only
 * one can; the former holder finds the higher number before it commits (`check`), and gives up.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { hasCode, sleep } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { processMark, processState, type ObjectStore, type ProcessState } from '../objectstore/index.ts';
import { canonicalJson, parseObject } from './canonical-json.ts';
import { repositoryFaults } from './faults.ts';

/** Four heartbeats: a run that is busy or paged out for a minute keeps its lease. */
const OBSERVE_MS = 80_000;
const BEAT_MS = 20_000;
const LOCK_NAME = /\/(\d{8})(?:-(\d{6}))?$/;
/** A holder that lets go at the very moment it is looked at makes one more look necessary, never many. */
const LOOKS_MAX = 5;

export interface LeaseOptions extends CallOptions {
  readonly beatMs?: number;
  /** How long a holder elsewhere is watched before it counts as dead. */
  readonly observeMs?: number;
}

/**
 * What this process holds or is about to: a lock of ours that is not in here was not let go properly, and is nobody's. A
 * nonce is entered before its lock is stored, or a second run of this process could take the lock for such a remainder.
 */
const heldHere = new Set<string>();

interface Holders {
  /** Every name, in order: changes with each heartbeat. */
  readonly names: readonly string[];
  readonly number: number;
}

interface Taken {
  readonly number: number;
  readonly nonce: string;
}

export class Lease implements AsyncDisposable {
  readonly #store: ObjectStore;
  readonly #folder: string;
  readonly #number: number;
  readonly #nonce: string;
  readonly #timer: NodeJS.Timeout;
  #beat = 0;
  #beating: Promise<void> = Promise.resolve();
  #released = false;

  private constructor(store: ObjectStore, folder: string, taken: Taken, beatMs: number) {
    this.#store = store;
    this.#folder = folder;
    this.#number = taken.number;
    this.#nonce = taken.nonce;
    this.#timer = setInterval(() => {
      this.#beating = this.#beating.then(() => this.#sendBeat());
    }, beatMs);
    this.#timer.unref();
  }

  /** Throws `REPO_VM_BUSY`. May take `observeMs` when a run on another machine died. */
  static async acquire(store: ObjectStore, folder: string, options: LeaseOptions = {}): Promise<Lease> {
    for (let look = 0; look < LOOKS_MAX; look += 1) {
      const holders = await holdersOf(store, folder, options);
      if (holders.number > 0 && !(await isDead(store, folder, holders, options))) continue;
      const taken = await take(store, folder, holders, options);
      return new Lease(store, folder, taken, options.beatMs ?? BEAT_MS);
    }
    throw repositoryFaults.vmBusy({ holder: 'it changes hands too fast to tell whose' });
  }

  /** Throws `REPO_LEASE_LOST` when another run took over. A lease that was let go has nothing to lose. */
  async check(options: CallOptions = {}): Promise<void> {
    if (this.#released) return;
    const { names, number } = await holdersOf(this.#store, this.#folder, options);
    const ours = `${this.#folder}/${numberText(this.#number)}`;
    if (number !== this.#number || !names.includes(ours)) throw repositoryFaults.leaseLost();
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    clearInterval(this.#timer);
    heldHere.delete(this.#nonce);
    await this.#beating;
    const { names } = await holdersOf(this.#store, this.#folder, {});
    const own = names.filter((name) => name.includes(`/${numberText(this.#number)}`));
    for (const name of own.toReversed()) await this.#store.delete(name); // heartbeats first: the lock itself says "held"
  }

  /** Never throws: a lock that stays is taken over by the next run, and must not hide why this one failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch(() => {});
  }

  /** A heartbeat that fails is made up for by the next; whether the lease was lost meanwhile, `check` says. */
  async #sendBeat(): Promise<void> {
    if (this.#released) return;
    const name = (beat: number): string =>
      `${this.#folder}/${numberText(this.#number)}-${String(beat).padStart(6, '0')}`;
    try {
      await this.#store.putNew(name(this.#beat + 1), new Uint8Array(0));
      this.#beat += 1;
      await this.#store.delete(name(this.#beat - 1));
    } catch {
      // see above
    }
  }
}

async function holdersOf(store: ObjectStore, folder: string, { signal }: CallOptions): Promise<Holders> {
  const names: string[] = [];
  let number = 0;
  for await (const { name } of store.list(`${folder}/`, { signal })) {
    const match = LOCK_NAME.exec(name);
    if (!match) continue;
    names.push(name);
    if (match[2] === undefined) number = Math.max(number, Number(match[1]));
  }
  return { names, number };
}

/** What is known at once of who holds `folder`, without watching: `gone`, nobody does. */
export async function holderState(
  store: ObjectStore,
  folder: string,
  options: CallOptions = {},
): Promise<ProcessState | 'gone'> {
  const { number } = await holdersOf(store, folder, options);
  const holder = number > 0 && (await readHolder(store, `${folder}/${numberText(number)}`, options));
  return holder ? stateOf(holder) : 'gone';
}

function stateOf({ mark, nonce }: { mark: string; nonce: string }): ProcessState {
  return mark === processMark() && !heldHere.has(nonce) ? 'dead' : processState(mark);
}

/** False when it was let go meanwhile. Throws `REPO_VM_BUSY` when the holder lives. */
async function isDead(
  store: ObjectStore,
  folder: string,
  holders: Holders,
  options: LeaseOptions,
): Promise<boolean> {
  const holder = await readHolder(store, `${folder}/${numberText(holders.number)}`, options);
  if (!holder) return false;
  const state = stateOf(holder);
  if (state === 'alive') throw repositoryFaults.vmBusy({ holder: holder.text });
  return state === 'dead' || (await isSilent(store, folder, holders, holder.text, options));
}

async function isSilent(
  store: ObjectStore,
  folder: string,
  holders: Holders,
  text: string,
  options: LeaseOptions,
): Promise<boolean> {
  const { beatMs = BEAT_MS, observeMs = OBSERVE_MS, signal } = options;
  for (let waited = 0; waited < observeMs; waited += beatMs) {
    await sleep(beatMs, signal);
    const now = await holdersOf(store, folder, options);
    if (now.number === 0) return false;
    if (now.names.join() !== holders.names.join()) throw repositoryFaults.vmBusy({ holder: text });
  }
  return true;
}

async function take(
  store: ObjectStore,
  folder: string,
  seen: Holders,
  options: LeaseOptions,
): Promise<Taken> {
  const taken = { number: seen.number + 1, nonce: randomUUID() };
  heldHere.add(taken.nonce);
  try {
    await putLock(store, folder, taken, options);
    await settle(store, folder, seen, taken, options);
    return taken;
  } catch (error) {
    heldHere.delete(taken.nonce);
    throw error;
  }
}

async function putLock(
  store: ObjectStore,
  folder: string,
  { number, nonce }: Taken,
  { signal }: CallOptions,
): Promise<void> {
  const mark = { mark: processMark(), host: hostname(), pid: process.pid, nonce };
  try {
    await store.putNew(`${folder}/${numberText(number)}`, Buffer.from(canonicalJson(mark)), { signal });
  } catch (error) {
    if (!hasCode(error, 'STORE_NAME_TAKEN', 'STORE_NAME_BUSY')) throw error;
    throw repositoryFaults.vmBusy({ holder: 'it was started at the same moment' }, { cause: error });
  }
}

/** Gives way to whoever came at the same moment; else removes what the dead holder left. */
async function settle(
  store: ObjectStore,
  folder: string,
  seen: Holders,
  taken: Taken,
  options: CallOptions,
): Promise<void> {
  const name = `${folder}/${numberText(taken.number)}`;
  const now = await holdersOf(store, folder, options);
  if (now.names.some((other) => other !== name && !seen.names.includes(other))) {
    await store.delete(name);
    throw repositoryFaults.vmBusy({ holder: 'it was started at the same moment' });
  }
  for (const old of seen.names) await store.delete(old);
}

/** Undefined when it was let go; whose content is damaged, of whom nothing is known. */
async function readHolder(
  store: ObjectStore,
  name: string,
  options: CallOptions,
): Promise<{ mark: string; nonce: string; text: string } | undefined> {
  const bytes = await readLock(store, name, options);
  if (!bytes) return undefined;
  const { mark, nonce, host, pid } = parseObject(Buffer.from(bytes).toString()) ?? {};
  return { mark: String(mark), nonce: String(nonce), text: `process ${String(pid)} on ${String(host)}` };
}

async function readLock(
  store: ObjectStore,
  name: string,
  { signal }: CallOptions,
): Promise<Uint8Array | undefined> {
  const found = await store.stat(name, { signal });
  if (!found) return undefined;
  try {
    return await store.getRange(name, 0, Math.min(found.size, 4096), { signal });
  } catch (error) {
    if (hasCode(error, 'STORE_NOT_FOUND')) return undefined; // let go in between
    throw error;
  }
}

function numberText(number: number): string {
  return String(number).padStart(8, '0');
}
