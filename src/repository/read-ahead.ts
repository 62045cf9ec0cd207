/**
 * Who reads front to back is noticed, and what comes next is there when it is asked for.
 *
 *   reads ─► does one begin where another ended? ─► twice: the next slots are wanted ─► a few at a time are fetched
 *
 * Several may read front to back at once, each in a place of its own, as programs that copy over several connections do. What is
 * wanted for one that has gone elsewhere is not fetched any more; what is being fetched ends, and is kept as if it had been read.
 */
import { SLOT_BYTES } from './format.ts';

/** Ends of reads that are remembered. */
const STREAMS_MAX = 32;
/** Reads in a row that go on where the one before ended: files of a guest are full of pairs. */
const RUN_MIN = 2;
/** Slots ahead of the reader: at 500 MiB a second 16 ms, and what a seek costs for nothing. */
const SLOTS_AHEAD = 8;
const FETCHES_AT_ONCE = 4;
/** A reader that has not gone on for so many reads of others has gone elsewhere. */
const IDLE_READS_MAX = 128;

interface Stream {
  /** Reads in a row. */
  run: number;
  /** The next slot to fetch. */
  wanted: number;
  end: number;
  lastRead: number;
}

export class ReadAhead {
  readonly #slots: number;
  readonly #fetch: (slot: number) => Promise<void>;
  /** By where the next read would begin; the one that was longest without a read is first. */
  readonly #streams = new Map<number, Stream>();
  #reads = 0;
  #fetches = 0;

  /** `slots`: of the disk. `fetch` must not throw. */
  constructor(slots: number, fetch: (slot: number) => Promise<void>) {
    this.#slots = slots;
    this.#fetch = fetch;
  }

  saw(offset: number, length: number): void {
    this.#reads += 1;
    const end = offset + length;
    const stream = this.#streams.get(offset) ?? { run: -1, wanted: 0, end, lastRead: 0 };
    this.#streams.delete(offset);
    stream.run += 1;
    stream.end = end;
    stream.lastRead = this.#reads;
    this.#streams.set(end, stream);
    if (this.#streams.size > STREAMS_MAX) this.#streams.delete(this.#streams.keys().next().value!);
    if (stream.run >= RUN_MIN) this.#pump();
  }

  #pump(): void {
    while (this.#fetches < FETCHES_AT_ONCE) {
      const slot = this.#next();
      if (slot === undefined) return;
      this.#fetches += 1;
      void this.#fetch(slot).finally(() => {
        this.#fetches -= 1;
        this.#pump();
      });
    }
  }

  /** The slot that is wanted soonest: the one with the least distance to its reader. */
  #next(): number | undefined {
    let best: Stream | undefined;
    for (const stream of this.#streams.values()) {
      if (!this.#isLive(stream)) continue;
      const first = Math.ceil(stream.end / SLOT_BYTES);
      stream.wanted = Math.max(stream.wanted, first);
      if (stream.wanted >= Math.min(this.#slots, first + SLOTS_AHEAD)) continue;
      if (!best || stream.wanted * SLOT_BYTES - stream.end < best.wanted * SLOT_BYTES - best.end)
        best = stream;
    }
    return best && best.wanted++;
  }

  #isLive({ run, lastRead }: Stream): boolean {
    return run >= RUN_MIN && this.#reads - lastRead < IDLE_READS_MAX;
  }
}
