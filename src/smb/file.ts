/**
 * One file of a share as a `RangeReader`. A read is cut into pieces that travel at once, over as many connections as the
 * client has; a piece whose connection breaks is asked for again on the next one.
 */
import { forEachBounded, MiB, unlessAborted } from '../base/index.ts';
import { checkRange, diskFaults, type CallOptions, type RangeReader } from '../disk/index.ts';
import { Landing } from './landing.ts';
import { FileLane, Patience, piecesOf, type Piece, type Slot } from '../remote/index.ts';
import { sameFile, type FilePlace } from './same-file.ts';
import type { FileHandle, SmbSession } from './session.ts';

/** What one request asks for, and how many of one `read` are under way: with the credits, the bound of memory. */
const PIECE_BYTES = MiB;
const PIECES_AT_ONCE = 16;

/** A new connection may cure these. A refusal, a changed file or a damaged message it would not. */
const CURABLE = [
  'SMB_CONNECTION_LOST',
  'SMB_TIMED_OUT',
  'SMB_UNREACHABLE',
  'SMB_SERVER_FAILED',
  'SMB_LOGON_UNAVAILABLE',
  'KERBEROS_SERVER_UNREACHABLE',
  'KERBEROS_TIMED_OUT',
];

export interface FileOptions {
  /** One lane for each; the handle the file was opened with is of the first. */
  readonly slots: readonly Slot<SmbSession>[];
  readonly reconnectMs: number;
}

export class SmbFile implements RangeReader {
  readonly size: number;
  readonly #reconnectMs: number;
  readonly #lanes: readonly FileLane<FileHandle>[];
  readonly #running = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  /** Answers with data, of any piece. */
  #arrived = 0;

  constructor(place: FilePlace, handle: FileHandle, { slots, reconnectMs }: FileOptions) {
    const { identity } = handle;
    this.size = identity.size;
    this.#reconnectMs = reconnectMs;
    this.#lanes = slots.map(
      (slot, index) => new FileLane(sameFile(slot, place, identity), index === 0 ? handle : undefined),
    );
  }

  /** Throws, beyond what the port says, the faults of a log-on, `SMB_FILE_CHANGED` and `SMB_RANGE_LOCKED`. */
  read(offset: number, into: Uint8Array, options: CallOptions = {}): Promise<void> {
    if (this.#ending.signal.aborted) return Promise.reject(diskFaults.closed());
    const task = this.#fill(offset, into, options.signal);
    const tracked: Promise<void> = task.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }

  /** Reads on the wire end first; reads that wait for a server that is away do not. */
  async close(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(diskFaults.closed());
    await Promise.allSettled(this.#running);
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  async #fill(offset: number, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    checkRange(offset, into.length, this.size);
    signal?.throwIfAborted();
    await forEachBounded(piecesOf(offset, into, PIECE_BYTES), PIECES_AT_ONCE, async (piece) => {
      const lane = this.#freest();
      lane.running += 1;
      try {
        await this.#readPiece(lane, piece, signal);
      } finally {
        lane.running -= 1;
      }
    });
  }

  /** The first of the least busy: who reads one piece at a time never opens a second connection. */
  #freest(): FileLane<FileHandle> {
    return this.#lanes.reduce((best, lane) => (lane.running < best.running ? lane : best));
  }

  async #readPiece(
    lane: FileLane<FileHandle>,
    { offset, into }: Piece,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const patience = new Patience(this.#reconnectMs, () => this.#arrived, CURABLE);
    const ending = this.#ending.signal;
    const waiting = signal ? AbortSignal.any([signal, ending]) : ending;
    for (let done = 0; done < into.length;) {
      const landing = new Landing(into.subarray(done));
      try {
        const handle = lane.handle ?? (await lane.reopen(waiting));
        done += await unlessAborted(handle.session.read(handle, offset + done, landing), signal);
        this.#arrived += 1;
      } catch (error) {
        // An answer may be on its way still, and the memory may be another's as soon as this has thrown.
        landing.abandon();
        signal?.throwIfAborted();
        await patience.afterFailure(error, waiting);
      }
    }
  }
}
