/**
 * The connections to one export. A request takes the one with the least to do; one that broke is made again for the next
 * request, and what was under way on it is asked once more: reading, writing the same bytes to the same place and flushing do no
 * harm when they happen twice. Several connections are used only with servers that say a flush covers them all.
 */
import type { CallOptions } from '../disk/index.ts';
import { unlessAborted } from '../base/index.ts';
import { Patience, Slot } from '../remote/index.ts';
import type { NbdAddress } from './address.ts';
import { NbdConnection, type NbdRequest, type StatusRun } from './connection.ts';
import { nbdFaults } from './faults.ts';
import { COMMAND, EXPORT_FLAG } from './format.ts';
import type { ExportInfo } from './negotiation.ts';
import type { NbdClientTls } from './tls.ts';
import { WriteLedger } from './write-ledger.ts';

export interface NbdOptions {
  /** Connections at most; default 4. */
  readonly connections?: number;
  /** How long the server may be silent while it has something to do. Default 60 000. */
  readonly answerTimeoutMs?: number;
  /** How long a server that is away is waited for, before a request fails. Default 30 000. */
  readonly reconnectMs?: number;
  readonly tls?: NbdClientTls;
}

interface Lane {
  readonly slot: Slot<NbdConnection>;
  running: number;
}

const CURABLE = ['NBD_UNREACHABLE', 'NBD_CONNECTION_LOST', 'NBD_TIMED_OUT'];
const CONNECTIONS = 4;
const ANSWER_TIMEOUT_MS = 60_000;
const RECONNECT_MS = 30_000;

export class NbdLanes {
  readonly info: ExportInfo;
  readonly server: string;
  readonly #address: NbdAddress;
  readonly #options: NbdOptions;
  readonly #lanes: Lane[];
  readonly #ledger = new WriteLedger();
  #answers = 0;

  private constructor(address: NbdAddress, options: NbdOptions, first: NbdConnection) {
    this.info = first.info;
    this.server = first.server;
    this.#address = address;
    this.#options = options;
    const several = (first.info.flags & EXPORT_FLAG.canMultiConn) !== 0;
    const count = several ? Math.max(1, options.connections ?? CONNECTIONS) : 1;
    let given: NbdConnection | undefined = first;
    this.#lanes = Array.from({ length: count }, () => {
      const make = async (): Promise<NbdConnection> => {
        const made = given ?? (await this.#reconnect());
        given = undefined;
        return made;
      };
      return { slot: new Slot(make), running: 0 };
    });
  }

  static async open(address: NbdAddress, options: NbdOptions, call: CallOptions): Promise<NbdLanes> {
    return new NbdLanes(address, options, await connect(address, options, call));
  }

  /** Throws what {@link NbdConnection.request} throws, `NBD_EXPORT_CHANGED`, and the signal's reason. */
  async request(request: NbdRequest, { signal }: CallOptions = {}): Promise<readonly StatusRun[]> {
    const patience = new Patience(this.#options.reconnectMs ?? RECONNECT_MS, () => this.#answers, CURABLE);
    for (;;) {
      signal?.throwIfAborted();
      try {
        return await this.#once(request, signal);
      } catch (error) {
        signal?.throwIfAborted();
        await patience.afterFailure(error, signal ?? new AbortController().signal);
      }
    }
  }

  /**
   * What was answered before is durable. Throws `NBD_WRITES_UNCERTAIN` when a connection broke since the last flush: then all
   * that was written since has to be written again.
   */
  async flush(options: CallOptions): Promise<void> {
    const covered = this.#ledger.answered;
    await this.request({ command: COMMAND.flush, offset: 0, length: 0 }, options);
    const count = this.#ledger.flushed(covered);
    if (count > 0) throw nbdFaults.writesUncertain({ server: this.server, count });
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map(({ slot }) => slot.close()));
  }

  async #once(request: NbdRequest, signal: AbortSignal | undefined): Promise<readonly StatusRun[]> {
    const lane = this.#lanes.reduce((best, each) => (each.running < best.running ? each : best));
    lane.running += 1;
    let connection: NbdConnection | undefined;
    try {
      connection = await unlessAborted(lane.slot.get(), signal);
      const status = await (signal ? cancellable(connection, request, signal) : connection.request(request));
      this.#answers += 1;
      if (request.command === COMMAND.write || request.command === COMMAND.writeZeroes) this.#ledger.wrote();
      return status;
    } finally {
      lane.running -= 1;
      if (connection && !connection.usable) this.#ledger.connectionBroke();
    }
  }

  async #reconnect(): Promise<NbdConnection> {
    const connection = await connect(this.#address, this.#options, {});
    const { size, flags, minimumBlock, structured, allocationContext } = connection.info;
    const now = { size, flags, minimumBlock, structured, allocationContext };
    const changed = Object.entries(now).find(([key, value]) => this.info[key as keyof typeof now] !== value);
    if (!changed) return connection;
    connection.close();
    const reason = `its ${changed[0]} was ${this.info[changed[0] as keyof typeof now]} and is ${changed[1]}`;
    throw nbdFaults.exportChanged({ server: this.server, name: this.#address.exportName, reason });
  }
}

function connect(address: NbdAddress, options: NbdOptions, { signal }: CallOptions): Promise<NbdConnection> {
  const { tls = {}, answerTimeoutMs = ANSWER_TIMEOUT_MS } = options;
  return NbdConnection.open(address, { tls, answerTimeoutMs, signal });
}

/**
 * A request that is cancelled takes its connection with it: its answer would still be written into a buffer that is the
 * caller's again, or its payload be read from there.
 */
async function cancellable(
  connection: NbdConnection,
  request: NbdRequest,
  signal: AbortSignal,
): Promise<readonly StatusRun[]> {
  const cancel = (): void => connection.abandon();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await connection.request(request);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
