/**
 * Who writes just now, so that the collector deletes nothing that a session under way may come to rely on.
 *
 *   sessions/EPOCH-ID/00000001          a lease: who it is, and its heartbeats
 *
 * EPOCH is the epoch the session saw before it looked anything up. A pack that was condemned in a later epoch may be used by
 * the session without its knowing, and stays until the session has ended.
 *
 * A session whose process is known to be dead has ended. One that is only silent (its machine cannot be asked) loses its
 * registration, which its commit finds out; it still counts as open for the run that took it away, since its commit may be
 * under way at that moment. Runs lie hours apart, a commit takes one request.
 */
import { randomBytes } from 'node:crypto';
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { Lease, holderState, type LeaseOptions } from './lease.ts';

/** Of who only reads: every pack that is condemned or doomed was so in a later one. */
export const READING_EPOCH = 0;
const SESSION_NAME = /^(sessions\/(\d{8})-[0-9a-f]{16})\//;
/** Sessions asked at once: each that is silent is watched for 80 s. */
const ASKED_AT_ONCE = 16;

export interface OpenSession {
  readonly folder: string;
  readonly epoch: number;
}

export class SessionRegistry {
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Before the session looks anything up. The lease is checked before the commit, and let go when the session ends. */
  async register(epoch: number, options: LeaseOptions = {}): Promise<Lease> {
    const id = randomBytes(8).toString('hex');
    return Lease.acquire(this.#store, `sessions/${String(epoch).padStart(8, '0')}-${id}`, options);
  }

  /** Every session that is registered, dead ones included. */
  async registered(options: CallOptions = {}): Promise<OpenSession[]> {
    const open = new Map<string, OpenSession>();
    for await (const { name } of this.#store.list('sessions/', options)) {
      const match = SESSION_NAME.exec(name);
      if (match) open.set(match[1]!, { folder: match[1]!, epoch: Number(match[2]) });
    }
    return [...open.values()];
  }

  /**
   * The sessions that count as open. Removed are the registrations of dead ones; those elsewhere are only watched where
   * `matters` says so, since that takes up to `observeMs`.
   */
  async open(matters: (session: OpenSession) => boolean, options: LeaseOptions = {}): Promise<OpenSession[]> {
    const registered = await this.registered(options);
    const open: OpenSession[] = [];
    for (let from = 0; from < registered.length; from += ASKED_AT_ONCE) {
      const asked = registered.slice(from, from + ASKED_AT_ONCE);
      const ended = await Promise.all(asked.map((each) => this.#hasEnded(each, matters(each), options)));
      open.push(...asked.filter((_, index) => !ended[index]));
    }
    return open;
  }

  async #hasEnded(session: OpenSession, watch: boolean, options: LeaseOptions): Promise<boolean> {
    const state = await holderState(this.#store, session.folder, options);
    if (state === 'alive') return false;
    if (state === 'unknown' && !watch) return false;
    const removed = state === 'gone' || (await this.#remove(session, options));
    return removed && state !== 'unknown';
  }

  /** Takes the registration over, which its holder finds out before it commits, and removes it. */
  async #remove({ folder }: OpenSession, options: LeaseOptions): Promise<boolean> {
    try {
      await (await Lease.acquire(this.#store, folder, options)).release();
      return true;
    } catch (error) {
      if (hasCode(error, 'REPO_VM_BUSY')) return false;
      throw error;
    }
  }
}
