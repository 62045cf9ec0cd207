/**
 * The index made anew from the packs: nothing in it is known only to it.
 *
 *   trailers of the packs, and of torn packs every object that proves whole ─► new segments ─► the last replaces all old ones
 *
 * Looking without writing tells what would become of it.
 */
import type { CallOptions } from '../disk/index.ts';
import { hasCode, isFault } from '../base/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import type { PackMarks } from './epochs.ts';
import { hexOf, kindOf, packName } from './format.ts';
import { HEADER_BYTES, ObjectProblem, type ObjectCodec } from './object.ts';
import type { ObjectIndex } from './object-index.ts';
import type { ListedObject, PackFile, PackListing, PackReader } from './pack-reader.ts';
import type { ObjectPlace, PackInfo } from './segment-writer.ts';

/** About 60 MiB on the heap a segment. */
const SEGMENT_ENTRIES = 262_144;

export interface RebuildReport {
  readonly packs: number;
  readonly objects: number;
  /** Of these, what the old index did not have. */
  readonly unknownObjects: number;
  /** Segments of the old index that cannot be read. */
  readonly damagedSegments: number;
  /** Names of packs that the old index has and that are not there. */
  readonly missingPacks: readonly string[];
  /** Faults of packs whose trailer was damaged: their objects were found by walking through them. */
  readonly damagedPacks: readonly Error[];
}

export interface RebuildParts {
  readonly store: ObjectStore;
  readonly index: ObjectIndex;
  readonly packs: PackReader;
  readonly codec: ObjectCodec;
  /** They are being deleted. */
  readonly doomed: PackMarks;
}

export interface RebuildRequest extends CallOptions {
  /** Only look. */
  readonly dryRun?: boolean;
}

export class IndexRebuild {
  readonly #parts: RebuildParts;
  readonly #request: RebuildRequest;
  readonly #damagedPacks: Error[] = [];
  readonly #found = new Set<string>();
  #counts = { packs: 0, objects: 0, unknownObjects: 0 };
  #pending: { packs: PackInfo[]; places: ObjectPlace[] } = { packs: [], places: [] };

  constructor(parts: RebuildParts, request: RebuildRequest) {
    this.#parts = parts;
    this.#request = request;
  }

  async run(): Promise<RebuildReport> {
    const { store, index } = this.#parts;
    const damagedSegments = index.damaged.length;
    const superseded: Uint8Array[] = [];
    for await (const { name } of store.list('index/', this.#request))
      superseded.push(Buffer.from(name.slice(6), 'hex'));
    for await (const file of store.list('packs/', this.#request)) await this.#pack(file);
    const missingPacks = (await index.packs())
      .map(({ packId }) => packName(packId))
      .filter((name) => !this.#found.has(name));
    // Last, and only now, the old segments are replaced: until then nothing is worse than before.
    await this.#write(superseded);
    return { ...this.#counts, damagedSegments, missingPacks, damagedPacks: this.#damagedPacks };
  }

  async #pack(file: PackFile): Promise<void> {
    this.#request.signal?.throwIfAborted();
    this.#found.add(file.name);
    if (this.#parts.doomed.has(file.name.slice(-32))) return;
    const { pack, places } = await this.#listOrScan(file);
    this.#counts.packs += 1;
    this.#counts.objects += places.length;
    for (const { id } of places)
      if (!(await this.#parts.index.findReadable(hexOf(id)))) this.#counts.unknownObjects += 1;
    this.#pending.packs.push(pack);
    for (const place of places) this.#pending.places.push(place);
    if (this.#pending.places.length >= SEGMENT_ENTRIES) await this.#write([]);
  }

  async #write(superseded: readonly Uint8Array[]): Promise<void> {
    const pending = this.#pending;
    this.#pending = { packs: [], places: [] };
    if (this.#request.dryRun) return;
    await this.#parts.index.add({ ...pending, superseded }, this.#request);
    if (superseded.length > 0) await this.#parts.index.refresh(this.#request);
  }

  async #listOrScan(file: PackFile): Promise<PackListing> {
    const { packs } = this.#parts;
    try {
      return await packs.list(file, this.#request);
    } catch (error) {
      if (!isFault(error) || !hasCode(error, 'REPO_PACK_DAMAGED', 'STORE_TRUNCATED')) throw error;
      this.#damagedPacks.push(error);
      const { pack, places } = await packs.scan(file, this.#request);
      const whole: ListedObject[] = [];
      for (const place of places) if (await this.#isWhole(file, place)) whole.push(place);
      return { pack, places: whole };
    }
  }

  /**
   * A walk may meet bytes inside a chunk that look like an object: a guest may hold a repository, or what somebody made to look
   * like a part of this one. Only what proves to be the object it claims to be counts.
   */
  async #isWhole({ name }: PackFile, place: ListedObject): Promise<boolean> {
    const kind = kindOf(place.kind);
    if (kind === undefined) return false;
    const { store, codec } = this.#parts;
    const bytes = await store.getRange(name, place.offset, HEADER_BYTES + place.storedLength, this.#request);
    try {
      return codec.withContent(bytes, { kind, id: place.id }, () => true);
    } catch (error) {
      if (error instanceof ObjectProblem) return false;
      throw error;
    }
  }
}
