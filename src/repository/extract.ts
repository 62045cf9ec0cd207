/** Objects out of packs, in a worker: read, verify, and write what is not zeros to its places in a local file. */
import { hasCode } from '../base/index.ts';
import { BlockingReader, BlockingWriter } from '../disk/index.ts';
import type { ObjectKind } from './format.ts';
import { HEADER_BYTES, ObjectProblem, type ObjectCodec } from './object.ts';

/** A run of the object's content that belongs into the target file. */
export interface Placement {
  readonly from: number;
  readonly length: number;
  readonly fileOffset: number;
}

export interface ReadObject {
  readonly kind: ObjectKind;
  readonly id: Uint8Array;
  /** Where header and stored bytes are: in a local file, or here. */
  readonly source: { readonly path: string; readonly offset: number; readonly length: number } | Uint8Array;
  readonly placements: readonly Placement[];
}

export interface ReadJob {
  readonly objects: readonly ReadObject[];
  /** File to write to; none: objects are only verified. */
  readonly target?: string | undefined;
}

/** The content, or why it cannot be had. */
export type OpenReply =
  | { readonly raw: Uint8Array; readonly problem?: undefined }
  | { readonly raw?: undefined; readonly problem: string };

export interface ReadReply {
  readonly writtenBytes: number;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly problems: readonly { readonly index: number; readonly problem: string }[];
}

export class ObjectExtractor {
  readonly #codec: ObjectCodec;
  readonly #packs = new BlockingReader();
  readonly #target = new BlockingWriter();
  #buffer = Buffer.alloc(0);

  constructor(codec: ObjectCodec) {
    this.#codec = codec;
  }

  /** Objects that cannot be had are told in the reply. Throws what writing throws: `DISK_NO_SPACE`, `DISK_IO_FAILED`. */
  read({ objects, target }: ReadJob): ReadReply {
    const stats = { writtenBytes: 0, rawBytes: 0, storedBytes: 0 };
    const problems: { index: number; problem: string }[] = [];
    for (const [index, object] of objects.entries()) {
      try {
        this.#codec.withContent(this.#stored(object), object, (raw) => {
          stats.rawBytes += raw.length;
          stats.storedBytes += object.source.length;
          if (target !== undefined) stats.writtenBytes += this.#place(target, raw, object.placements);
        });
      } catch (error) {
        if (!(error instanceof ObjectProblem)) throw error;
        problems.push({ index, problem: error.message });
      }
    }
    return { ...stats, problems };
  }

  /** The content of one object, in memory of its own. */
  open(object: ReadObject): OpenReply {
    try {
      const stored = this.#stored(object);
      const raw = this.#codec.open(stored, object);
      return { raw: raw.buffer === stored.buffer ? Uint8Array.from(raw) : raw };
    } catch (error) {
      if (!(error instanceof ObjectProblem)) throw error;
      return { problem: error.message };
    }
  }

  close(): void {
    this.#packs.close();
    this.#target.close();
  }

  #stored({ source }: ReadObject): Uint8Array {
    if (source instanceof Uint8Array) return source;
    if (this.#buffer.length < source.length) {
      this.#buffer = Buffer.allocUnsafeSlow(source.length + HEADER_BYTES);
    }
    const into = this.#buffer.subarray(0, source.length);
    try {
      this.#packs.read(source, source.offset, into);
    } catch (error) {
      throw packProblem(error as Error);
    }
    return into;
  }

  #place(target: string, raw: Uint8Array, placements: readonly Placement[]): number {
    let written = 0;
    for (const { from, length, fileOffset } of placements) {
      const piece = raw.subarray(from, from + length);
      written += this.#target.writeSparse(target, fileOffset, piece, { durable: true });
    }
    return written;
  }
}

function packProblem(error: Error): ObjectProblem {
  if (hasCode(error, 'DISK_TRUNCATED')) return new ObjectProblem('its pack is cut short');
  return new ObjectProblem(`its pack cannot be read: ${error.message}`);
}
