/**
 * One file of a server as a `RangeReader`. A read is cut into pieces that travel at once, over as many connections as the
 * client has; a piece whose connection breaks is asked for again on the next one.
 */
import { mapOrdered } from '../base/index.ts';
import { checkRange, diskFaults, type CallOptions, type RangeReader } from '../disk/index.ts';
import { FileLane, Patience, piecesOf, type Piece, type Slot } from '../remote/index.ts';
import { sameFile, type FilePlace } from './same-file.ts';
import { PIECE_BYTES, type FileHandle, type SftpSession } from './session.ts';

/** Of one `read`: what keeps two connections busy. Each connection has a bound of its own for all reads together. */
const PIECES_AT_ONCE = 128;
/** 1 MiB: with less under way a second connection gains nothing, and each costs the host a process. */
const PIECES_BEFORE_NEXT_LANE = 16;

/** A new connection may cure these. A refusal, a changed file or a damaged message it would not. */
const CURABLE = ['SSH_CONNECTION_LOST', 'SSH_UNREACHABLE', 'SSH_TIMED_OUT', 'SFTP_TIMED_OUT'];

export interface FileOptions {
  /** One lane for each; the handle the file was opened with is of the first. */
  readonly slots: readonly Slot<SftpSession>[];
  readonly reconnectMs: number;
}

export class SftpFile implements RangeReader {
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

  /** Throws, beyond what the port says, the faults of a log-on and `SFTP_FILE_CHANGED`. */
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
    // Set when one piece fails: the others then stop too, instead of being waited for.
    const failing = new AbortController();
    const wanted = signal ? AbortSignal.any([signal, failing.signal]) : failing.signal;
    const waiting = AbortSignal.any([wanted, this.#ending.signal]);
    const work = async (piece: Piece): Promise<void> => {
      const lane = this.#freest();
      lane.running += 1;
      try {
        await this.#readPiece(lane, piece, wanted, waiting);
      } catch (error) {
        failing.abort(error);
        throw error;
      } finally {
        lane.running -= 1;
      }
    };
    try {
      for await (const _ of mapOrdered(piecesOf(offset, into, PIECE_BYTES), PIECES_AT_ONCE, work));
    } catch (error) {
      throw failing.signal.aborted && !signal?.aborted ? failing.signal.reason : error;
    }
  }

  /** The first that has little to do, else the least busy: small reads never open a second connection. */
  #freest(): FileLane<FileHandle> {
    const idle = this.#lanes.find((lane) => lane.running < PIECES_BEFORE_NEXT_LANE);
    return idle ?? this.#lanes.reduce((best, lane) => (lane.running < best.running ? lane : best));
  }

  /** `wanted` ends it at once; `waiting` also, but only where it waits for a server that is away. */
  async #readPiece(
    lane: FileLane<FileHandle>,
    { offset, into }: Piece,
    wanted: AbortSignal,
    waiting: AbortSignal,
  ): Promise<void> {
    let patience: Patience | undefined;
    for (let done = 0; done < into.length;) {
      try {
        const handle = lane.handle ?? (await lane.reopen(waiting));
        done += await handle.session.read(handle, offset + done, into.subarray(done), wanted);
        this.#arrived += 1;
      } catch (error) {
        wanted.throwIfAborted();
        patience ??= new Patience(this.#reconnectMs, () => this.#arrived, CURABLE);
        await patience.afterFailure(error, waiting);
      }
    }
  }
}
