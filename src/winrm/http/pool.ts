/**
 * At most `size` connections to one host, each used by one request at a time; further requests wait in order.
 *
 * A password the host has refused is not offered again: every try counts towards the lock-out of the account, and with it
 * of everything else that uses it.
 */
import { hasCode } from '../../base/index.ts';
import { winrmFaults } from '../faults.ts';
import { Connection, type ConnectionTarget } from './connection.ts';

const REFUSALS = ['WINRM_AUTHENTICATION_FAILED', 'KERBEROS_PASSWORD_REFUSED', 'SSPI_FAILED'];

/**
 * Of a host nobody has spoken to yet, whoever runs hvlift waits for an answer on a screen; the port may be another service's. One
 * that answered before may be busy, and gets the time of every other call: a backup under way is not to end for that.
 */
const FIRST_ANSWER_MS = 20_000;

export interface PoolLimits {
  /** Connections at most. */
  readonly size: number;
  /**
   * A connection idle for longer is closed: http.sys closes idle ones after 120 s, and a request that crosses that close on
   * the wire would be one whose effect is unknown.
   */
  readonly idleMs: number;
}

export interface PoolUse {
  readonly signal?: AbortSignal | undefined;
  /** After a break: the other idle connections are probably broken too. */
  readonly fresh?: boolean;
}

export class Pool {
  readonly #target: ConnectionTarget;
  readonly #limits: PoolLimits;
  readonly #idle: Connection[] = [];
  readonly #busy = new Set<Connection>();
  readonly #waiting: (() => void)[] = [];
  readonly #closing = new AbortController();
  #sweeping: NodeJS.Timeout | undefined;
  #leases = 0;
  #refusal: unknown;
  #hasAnswered = false;

  constructor(target: ConnectionTarget, limits: PoolLimits) {
    this.#target = target;
    this.#limits = limits;
  }

  /** Runs `task` with a connection of its own. A task that closed its connection gave it up. */
  async use<T>(task: (connection: Connection) => Promise<T>, { signal, fresh }: PoolUse = {}): Promise<T> {
    await this.#lease(signal);
    try {
      const connection = await this.#take(fresh ?? false, signal);
      this.#busy.add(connection);
      try {
        return await task(connection);
      } finally {
        this.#busy.delete(connection);
        this.#keep(connection);
      }
    } finally {
      this.#leases -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Breaks what is under way. */
  close(): void {
    this.#closing.abort(winrmFaults.closed({ host: this.#target.address.host }));
    for (const connection of [...this.#idle, ...this.#busy]) connection.close();
    this.#idle.length = 0;
    clearTimeout(this.#sweeping);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #lease(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    while (this.#leases >= this.#limits.size && !this.#closing.signal.aborted) await this.#turn(signal);
    this.#closing.signal.throwIfAborted();
    this.#leases += 1;
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(wake), 1);
        reject(signal!.reason);
      };
      this.#waiting.push(wake);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  async #take(fresh: boolean, signal: AbortSignal | undefined): Promise<Connection> {
    const stale = (connection: Connection): boolean =>
      fresh || !connection.usable || connection.idleMs > this.#limits.idleMs;
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      if (!stale(idle)) return idle;
      idle.close();
    }
    return await this.#open(signal);
  }

  async #open(signal: AbortSignal | undefined): Promise<Connection> {
    if (this.#refusal) throw this.#refusal;
    const { signal: closing } = this.#closing;
    const target = this.#hasAnswered ? this.#target : { ...this.#target, firstAnswerMs: FIRST_ANSWER_MS };
    try {
      const opened = await Connection.open(target, signal ? AbortSignal.any([signal, closing]) : closing);
      this.#hasAnswered = true;
      return opened;
    } catch (error) {
      if (hasCode(error, ...REFUSALS)) this.#refusal = error;
      throw error;
    }
  }

  #keep(connection: Connection): void {
    if (this.#closing.signal.aborted || !connection.usable) return connection.close();
    this.#idle.push(connection);
    this.#sweepLater();
  }

  #sweepLater(): void {
    this.#sweeping ??= setTimeout(() => {
      this.#sweeping = undefined;
      const idle = this.#idle.splice(0);
      for (const connection of idle) {
        if (connection.usable && connection.idleMs < this.#limits.idleMs) this.#idle.push(connection);
        else connection.close();
      }
      if (this.#idle.length > 0) this.#sweepLater();
    }, this.#limits.idleMs).unref();
  }
}
