/**
 * Packs, written: objects back to back in the order they come, then a trailer that lists them, then a footer.
 *
 *   header │ object │ object │ … │ trailer: one entry an object │ footer
 *
 * A full pack is made durable while the next one fills: fsync is the slowest step of a backup to a local disk, and this way
 * it overlaps with reading and compressing.
 */
import { randomBytes } from 'node:crypto';
import { Mutex, crc32c } from '../base/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { repositoryFaults } from './faults.ts';
import {
  FORMAT_VERSION,
  KINDS,
  PACK_END_MAGIC,
  PACK_MAGIC,
  PACK_TARGET_BYTES,
  PACK_TYPES,
  closeStruct,
  objectHeader,
  packFooter,
  packHeader,
  packName,
  trailerEntry,
  type ObjectKind,
  type PackType,
} from './format.ts';
import type { ObjectPlace, PackInfo } from './segment-writer.ts';
import { StagedUpload } from './staged-upload.ts';

/** Beyond two, a store that is slower than the source would pile up open packs. */
const COMMITS_AT_ONCE = 2;

export interface PackedObject {
  readonly kind: ObjectKind;
  readonly id: Uint8Array;
  readonly rawLength: number;
  /** Header and stored bytes. May be reused once `append` resolves. */
  readonly bytes: Uint8Array;
}

export interface PackWriterOptions {
  readonly type: PackType;
  readonly repositoryId: Uint8Array;
  readonly signal?: AbortSignal | undefined;
  /** The pack is durable; its objects may be indexed. */
  readonly onSealed: (pack: PackInfo, places: readonly ObjectPlace[]) => void;
}

interface OpenPack {
  readonly packId: Uint8Array;
  readonly body: StagedUpload;
  readonly places: ObjectPlace[];
  readonly kinds: ObjectKind[];
}

export class PackWriter {
  readonly #store: ObjectStore;
  readonly #options: PackWriterOptions;
  readonly #mutex = new Mutex();
  readonly #commits = new Set<Promise<void>>();
  #open: OpenPack | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(store: ObjectStore, options: PackWriterOptions) {
    this.#store = store;
    this.#options = options;
  }

  append(object: PackedObject): Promise<void> {
    return this.#mutex.run(async () => {
      this.#throwFailure();
      const pack = (this.#open ??= await this.#start());
      const { id, rawLength, bytes, kind } = object;
      const storedLength = bytes.length - objectHeader.size;
      pack.places.push({ id, packId: pack.packId, offset: pack.body.size, storedLength, rawLength });
      pack.kinds.push(kind);
      await pack.body.append(bytes);
      if (pack.body.size >= PACK_TARGET_BYTES) await this.#close();
    });
  }

  /** Closes the open pack; resolves when every pack is durable. */
  seal(): Promise<void> {
    return this.#mutex.run(async () => {
      if (this.#open) await this.#close();
      await Promise.all(this.#commits);
      this.#throwFailure();
    });
  }

  /**
   * Drops the open pack; packs that are complete stay. Whoever appends or seals afterwards is refused: a commit under way
   * would else take what was dropped for stored.
   */
  abort(): Promise<void> {
    return this.#mutex.run(async () => {
      this.#failure ??= { error: repositoryFaults.sessionClosed() };
      const open = this.#open;
      this.#open = undefined;
      await open?.body.upload.abort();
      await Promise.all(this.#commits);
    });
  }

  async #start(): Promise<OpenPack> {
    const packId = randomBytes(16);
    const { type, repositoryId, signal } = this.#options;
    const upload = await this.#store.startNew(packName(packId), { signal });
    const header = Buffer.alloc(packHeader.size);
    const fields = {
      magic: PACK_MAGIC,
      version: FORMAT_VERSION,
      type: PACK_TYPES[type],
      repositoryId,
      packId,
    };
    packHeader.write(header, fields);
    closeStruct(header, header.length);
    const pack = { packId, body: new StagedUpload(upload), places: [], kinds: [] };
    this.#open = pack; // from here on `abort` knows it, also when the first append fails
    await pack.body.append(header);
    return pack;
  }

  async #close(): Promise<void> {
    const pack = this.#open!;
    if (this.#commits.size >= COMMITS_AT_ONCE) await Promise.race(this.#commits);
    this.#throwFailure();
    await pack.body.append(endOf(pack, this.#options.type));
    await pack.body.flush();
    this.#open = undefined;
    const info: PackInfo = { packId: pack.packId, size: pack.body.size, type: this.#options.type };
    const commit: Promise<void> = pack.body.upload
      .commit()
      .then(() => this.#options.onSealed(info, pack.places))
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#commits.delete(commit));
    this.#commits.add(commit);
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/** Trailer and footer. */
function endOf(pack: OpenPack, type: PackType): Uint8Array {
  const trailerBytes = pack.places.length * trailerEntry.size;
  const end = Buffer.alloc(trailerBytes + packFooter.size);
  pack.places.forEach(({ id, offset, storedLength, rawLength }, index) => {
    const fields = { id, offset, storedLength, rawLength, kind: KINDS[pack.kinds[index]!] };
    trailerEntry.write(end, fields, index * trailerEntry.size);
  });
  const footer = end.subarray(trailerBytes);
  packFooter.write(footer, {
    trailerOffset: pack.body.size,
    entryCount: pack.places.length,
    trailerChecksum: crc32c(end.subarray(0, trailerBytes)),
    type: PACK_TYPES[type],
    packId: pack.packId,
    magic: PACK_END_MAGIC,
  });
  closeStruct(footer, footer.length);
  return end;
}
