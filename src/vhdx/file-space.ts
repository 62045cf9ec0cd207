/**
 * Which MiB of the file are taken. Everything from 1 MiB on lies on whole MiB, so one bit a MiB is exact; the bits are held
 * in segments made when first needed, so that room depends on what is in the file.
 */
import { MiB } from '../base/index.ts';
import type { FileSpan } from '../disk/index.ts';
import { bitAt, runEnd, setBits } from './sector-bitmap.ts';

/** Bits of one segment: 64 GiB of file in 8 KiB. */
const SEGMENT_UNITS = 65_536;

export class FileSpace {
  readonly #segments = new Map<number, Uint8Array>();

  /** Takes `[fileOffset, fileOffset + length)`, to whole MiB; false, and nothing changes, when part of it is taken. */
  claim(fileOffset: number, length: number): boolean {
    const first = Math.floor(fileOffset / MiB);
    const end = Math.ceil((fileOffset + length) / MiB);
    if (this.#freeEnd(first, end) < end) return false;
    this.#eachSegment(first, end, (segment, from, to) => setBits(segment, from, to));
    return true;
  }

  /** The free stretches of `length` bytes between 1 MiB and `fileEnd`, ascending; each is found when asked for. */
  *gaps(length: number, fileEnd: number): Generator<number> {
    const units = length / MiB;
    const last = Math.floor(fileEnd / MiB) - units;
    for (let at = 1; at <= last;) {
      const end = this.#freeEnd(at, at + units);
      if (end === at + units) {
        yield at * MiB;
        at = end;
      } else {
        at = end + 1;
      }
    }
  }

  /** The taken stretches, ascending; one that crosses 64 GiB comes in two. */
  *taken(): Generator<FileSpan> {
    for (const index of [...this.#segments.keys()].sort((a, b) => a - b)) {
      const segment = this.#segments.get(index)!;
      for (let at = 0; at < SEGMENT_UNITS;) {
        const end = runEnd(segment, at, SEGMENT_UNITS);
        if (bitAt(segment, at) === 1) {
          yield { fileOffset: (index * SEGMENT_UNITS + at) * MiB, length: (end - at) * MiB };
        }
        at = end;
      }
    }
  }

  /** The first taken unit from `first` on, or `end` when all are free. */
  #freeEnd(first: number, end: number): number {
    let found = end;
    this.#eachSegment(first, end, (segment, from, to, base) => {
      if (found < end) return;
      const stop = bitAt(segment, from) === 1 ? from : runEnd(segment, from, to);
      if (stop < to) found = base + stop;
    });
    return found;
  }

  #eachSegment(
    first: number,
    end: number,
    visit: (segment: Uint8Array, from: number, to: number, base: number) => void,
  ): void {
    for (let at = first; at < end;) {
      const index = Math.floor(at / SEGMENT_UNITS);
      const base = index * SEGMENT_UNITS;
      const to = Math.min(end - base, SEGMENT_UNITS);
      visit(this.#segment(index), at - base, to, base);
      at = base + to;
    }
  }

  #segment(index: number): Uint8Array {
    const known = this.#segments.get(index);
    if (known) return known;
    const fresh = new Uint8Array(SEGMENT_UNITS / 8);
    this.#segments.set(index, fresh);
    return fresh;
  }
}
