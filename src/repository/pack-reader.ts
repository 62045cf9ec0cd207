/** Packs, read: what is in them by the trailer, or, when that is damaged, by walking from object to object. */
import { crc32c } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { repositoryFaults } from './faults.ts';
import {
  FORMAT_VERSION,
  OBJECT_MAGIC,
  OBJECT_RAW_MAX,
  PACK_BYTES_MAX,
  PACK_END_MAGIC,
  PACK_MAGIC,
  PACK_TYPES,
  TAG_BYTES,
  isWhole,
  packFooter,
  packHeader,
  packName,
  trailerEntry,
  type PackType,
} from './format.ts';
import { HEADER_BYTES, ObjectProblem, readHeader } from './object.ts';
import type { ObjectPlace, PackInfo } from './segment-writer.ts';

export interface ListedObject extends ObjectPlace {
  /** Number of its kind. */
  readonly kind: number;
}

export interface PackListing {
  readonly pack: PackInfo;
  readonly places: readonly ListedObject[];
}

export interface PackFile {
  readonly name: string;
  readonly size: number;
}

const SEARCH_STEP_BYTES = 1024 * 1024;

export class PackReader {
  readonly #store: ObjectStore;
  readonly #repositoryId: Uint8Array;

  constructor(store: ObjectStore, repositoryId: Uint8Array) {
    this.#store = store;
    this.#repositoryId = repositoryId;
  }

  /** Checks header, trailer and footer. Throws `REPO_PACK_DAMAGED`. */
  async list(file: PackFile, options: CallOptions = {}): Promise<PackListing> {
    const damaged = (problem: string): Error => repositoryFaults.packDamaged({ name: file.name, problem });
    if (file.size < packHeader.size + packFooter.size || file.size > PACK_BYTES_MAX)
      throw damaged('its size is impossible');
    const pack = await this.#readPackHeader(file, options);
    const footerAt = file.size - packFooter.size;
    const bytes = await this.#store.getRange(file.name, footerAt, packFooter.size, options);
    const footer = packFooter.read(bytes);
    if (!isWhole(bytes, packFooter.size) || footer.magic !== PACK_END_MAGIC)
      throw damaged('its footer is damaged');
    const trailerBytes = footerAt - footer.trailerOffset;
    if (trailerBytes !== footer.entryCount * trailerEntry.size)
      throw damaged('its footer and its size disagree');
    const trailer = await this.#store.getRange(file.name, footer.trailerOffset, trailerBytes, options);
    if (crc32c(trailer) !== footer.trailerChecksum) throw damaged('the checksum of its trailer is wrong');
    return { pack, places: placesOf(trailer, pack.packId, footer.entryCount) };
  }

  /** Finds every object whose header is whole, whatever else is damaged. */
  async scan(file: PackFile, options: CallOptions = {}): Promise<PackListing> {
    const packId = Buffer.from(file.name.slice(-32), 'hex');
    const places: ListedObject[] = [];
    let type: PackType = 'meta';
    for (let at = 0; at + HEADER_BYTES <= file.size;) {
      const header = await this.#headerAt(file, at, options);
      if (!header) {
        at = await this.#nextMagic(file, at + 1, options);
        continue;
      }
      const { id, rawLength, storedLength, kind } = header;
      if (kind === 1) type = 'data';
      places.push({ id, packId, offset: at, storedLength, rawLength, kind });
      at += HEADER_BYTES + storedLength;
    }
    return { pack: { packId, size: file.size, type }, places };
  }

  async #readPackHeader(file: PackFile, options: CallOptions): Promise<PackInfo> {
    const bytes = await this.#store.getRange(file.name, 0, packHeader.size, options);
    const header = packHeader.read(bytes);
    const type = (Object.keys(PACK_TYPES) as PackType[]).find((name) => PACK_TYPES[name] === header.type);
    const whole =
      isWhole(bytes, packHeader.size) && header.magic === PACK_MAGIC && header.version === FORMAT_VERSION;
    const ours =
      Buffer.compare(header.repositoryId, this.#repositoryId) === 0 && packName(header.packId) === file.name;
    if (!whole || !ours || !type) {
      const problem = whole ? 'it belongs elsewhere' : 'its header is damaged';
      throw repositoryFaults.packDamaged({ name: file.name, problem });
    }
    return { packId: header.packId, size: file.size, type };
  }

  async #headerAt(
    file: PackFile,
    at: number,
    options: CallOptions,
  ): Promise<ReturnType<typeof readHeader> | undefined> {
    const bytes = await this.#store.getRange(file.name, at, HEADER_BYTES, options);
    try {
      const header = readHeader(bytes);
      return at + HEADER_BYTES + header.storedLength <= file.size ? header : undefined;
    } catch (error) {
      if (error instanceof ObjectProblem) return undefined;
      throw error;
    }
  }

  /** Offset of the next object magic at or after `from`, or the end of the file. */
  async #nextMagic(file: PackFile, from: number, options: CallOptions): Promise<number> {
    for (let at = from; at < file.size; at += SEARCH_STEP_BYTES) {
      const length = Math.min(SEARCH_STEP_BYTES + OBJECT_MAGIC.length, file.size - at);
      const bytes = Buffer.from(await this.#store.getRange(file.name, at, length, options));
      const found = bytes.indexOf(OBJECT_MAGIC, 0, 'latin1');
      if (found >= 0) return at + found;
    }
    return file.size;
  }
}

function placesOf(trailer: Uint8Array, packId: Uint8Array, count: number): ListedObject[] {
  return Array.from({ length: count }, (_, index) => {
    const { id, offset, storedLength, rawLength, kind } = trailerEntry.read(
      trailer,
      index * trailerEntry.size,
    );
    return { id, packId, offset, storedLength, rawLength, kind };
  }).filter((place) => place.rawLength <= OBJECT_RAW_MAX && place.storedLength <= OBJECT_RAW_MAX + TAG_BYTES);
}
