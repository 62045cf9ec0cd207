/** The exact content of a disk at one seal (or now), assembled from its truth log. */
import { FileReader, checkRange, type CallOptions, type RangeReader } from '../../src/disk/index.ts';
import { forEachBounded } from '../../src/base/index.ts';
import { Comparison, type Truth } from './comparison.ts';
import type { JudgedImage } from './judged-image.ts';
import { EVENT, type TruthEvent, type TruthLog } from './truth-log.ts';

/** Where the bytes of a range come from. */
const FROM_BASE = -2;
const FROM_ZEROS = -1;

const READ_DEPTH = 8;

interface Piece {
  readonly offset: number;
  readonly length: number;
  /** `FROM_BASE`, `FROM_ZEROS`, or where in data.log the first byte lies. */
  readonly source: number;
}

/** Content at the seal `sealId`, or now without one. `undefined` when the disk has no such seal. */
export async function openTruth(log: TruthLog, sealId?: string): Promise<TruthReader | undefined> {
  const content = await contentAt(log, sealId);
  return content && TruthReader.open(log, content.pieces, content.size);
}

interface Content {
  readonly pieces: PieceMap;
  readonly size: number;
}

/** A revert is played as what it is: everything up to its seal once more. Each goes back to an earlier event, so it ends. */
async function contentAt(log: TruthLog, sealId: string | undefined): Promise<Content | undefined> {
  let content: Content = { pieces: new PieceMap(), size: 0 };
  for await (const event of log.events()) {
    const { pieces } = content;
    if (event.kind === EVENT.revert) {
      content = (await contentAt(log, event.seal))!;
    } else if (event.kind === EVENT.resize) {
      pieces.put(event.length, Number.MAX_SAFE_INTEGER, FROM_ZEROS);
      content = { pieces, size: event.length };
    } else if (event.kind === EVENT.seal) {
      if (event.seal === sealId) return content;
    } else {
      pieces.apply(event);
    }
  }
  return sealId === undefined ? content : undefined;
}

export class TruthReader implements Truth {
  readonly size: number;
  readonly #pieces: PieceMap;
  readonly #data: FileReader;
  readonly #base: FileReader | undefined;

  private constructor(size: number, pieces: PieceMap, data: FileReader, base: FileReader | undefined) {
    this.size = size;
    this.#pieces = pieces;
    this.#data = data;
    this.#base = base;
  }

  static async open(log: TruthLog, pieces: PieceMap, size: number): Promise<TruthReader> {
    const base = await FileReader.open(log.basePath).catch(() => undefined);
    return new TruthReader(size, pieces, await FileReader.open(log.dataPath), base);
  }

  async read(offset: number, into: Uint8Array, options: CallOptions = {}): Promise<void> {
    checkRange(offset, into.length, this.size);
    await forEachBounded(this.#pieces.within(offset, offset + into.length), READ_DEPTH, (piece) => {
      const part = into.subarray(piece.offset - offset, piece.offset - offset + piece.length);
      return this.#readPiece(piece, part, options);
    });
  }

  async #readPiece(piece: Piece, into: Uint8Array, options: CallOptions): Promise<void> {
    if (piece.source >= 0) return this.#data.read(piece.source, into, options);
    const base = piece.source === FROM_BASE ? this.#base : undefined;
    const held = base ? Math.max(0, Math.min(into.length, base.size - piece.offset)) : 0;
    if (held > 0) await base!.read(piece.offset, into.subarray(0, held), options);
    into.fill(0, held);
  }

  /** True when the range is known to be zeros without reading it. */
  isHole(offset: number, length: number): boolean {
    for (const { source } of this.#pieces.within(offset, offset + length)) {
      if (source >= 0 || (source === FROM_BASE && this.#base && offset < this.#base.size)) return false;
    }
    return true;
  }

  /** The first offset at which `image` differs, or `undefined`. */
  firstDifference(image: RangeReader & Partial<JudgedImage>): Promise<number | undefined> {
    return new Comparison(this, image).firstDifference();
  }

  async close(): Promise<void> {
    await this.#data.close();
    await this.#base?.close();
  }
}

/** A partition of the disk into pieces; everything comes from the base until something is put over it. */
class PieceMap {
  #starts = [0];
  #sources = [FROM_BASE];

  apply(event: TruthEvent): void {
    const source = event.kind === EVENT.write ? event.dataOffset : FROM_ZEROS;
    if (event.kind === EVENT.write || event.kind === EVENT.zero) {
      this.put(event.offset, event.offset + event.length, source);
    }
  }

  put(start: number, end: number, source: number): void {
    if (start >= end) return;
    const first = this.#indexAt(start);
    const last = this.#indexAt(end - 1);
    const tail = this.#sourceAt(last, end);
    const starts = [start];
    const sources = [source];
    if (this.#starts[first]! < start) {
      starts.unshift(this.#starts[first]!);
      sources.unshift(this.#sources[first]!);
    }
    if ((this.#starts[last + 1] ?? Number.MAX_SAFE_INTEGER) > end) {
      starts.push(end);
      sources.push(tail);
    }
    this.#starts.splice(first, last - first + 1, ...starts);
    this.#sources.splice(first, last - first + 1, ...sources);
  }

  *within(start: number, end: number): Generator<Piece> {
    for (let i = this.#indexAt(start), at = start; at < end; i += 1) {
      const next = Math.min(end, this.#starts[i + 1] ?? Number.MAX_SAFE_INTEGER);
      yield { offset: at, length: next - at, source: this.#sourceAt(i, at) };
      at = next;
    }
  }

  /** The source of byte `offset`, which lies in piece `index`. */
  #sourceAt(index: number, offset: number): number {
    const source = this.#sources[index]!;
    return source < 0 ? source : source + (offset - this.#starts[index]!);
  }

  #indexAt(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
