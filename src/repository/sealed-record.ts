/** Small files that are one object each, holding canonical JSON: manifests, baselines, journal entries and the like. */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { canonicalJson, parseObject } from './canonical-json.ts';
import { repositoryFaults } from './faults.ts';
import { OBJECT_RAW_MAX, type ObjectKind } from './format.ts';
import { ObjectProblem, OVERHEAD_BYTES, newSalt, type ObjectCodec } from './object.ts';

export type RecordKind = Exclude<ObjectKind, 'data' | 'leaf' | 'node' | 'blob'>;

interface ReadOptions extends CallOptions {
  readonly size?: number | undefined;
}

export class SealedRecords {
  readonly #store: ObjectStore;
  readonly #codec: ObjectCodec;

  constructor(store: ObjectStore, codec: ObjectCodec) {
    this.#store = store;
    this.#codec = codec;
  }

  /** Throws `STORE_NAME_TAKEN` when the name exists. */
  write(name: string, kind: RecordKind, value: object, options: CallOptions = {}): Promise<void> {
    return this.writeBytes(name, kind, Buffer.from(canonicalJson(value)), options);
  }

  /** As {@link write}, of a record that is no JSON. */
  async writeBytes(
    name: string,
    kind: RecordKind,
    raw: Uint8Array,
    options: CallOptions = {},
  ): Promise<void> {
    const id = this.#codec.idOf(kind, raw);
    await this.#store.putNew(name, this.#codec.seal({ kind, raw, id, salt: newSalt() }), options);
  }

  /** `size`: as it was listed just now; else it is asked for. Undefined when there is no such file. Throws `REPO_POINT_DAMAGED`. */
  async read(
    name: string,
    kind: RecordKind,
    options: ReadOptions = {},
  ): Promise<Record<string, unknown> | undefined> {
    const bytes = await this.readBytes(name, kind, options);
    if (!bytes) return undefined;
    const value = parseObject(bytes.toString());
    if (!value) throw damagedRecord(name, 'it holds no JSON object');
    return value;
  }

  /** As {@link read}, of a record that is no JSON. */
  async readBytes(
    name: string,
    kind: RecordKind,
    { size: listed, ...options }: ReadOptions = {},
  ): Promise<Buffer | undefined> {
    const size = listed ?? (await this.#store.stat(name, options))?.size;
    if (size === undefined) return undefined;
    if (size > OBJECT_RAW_MAX + OVERHEAD_BYTES) throw damagedRecord(name, 'its size is impossible');
    return this.#open(name, kind, size, options);
  }

  async #open(
    name: string,
    kind: RecordKind,
    size: number,
    options: CallOptions,
  ): Promise<Buffer | undefined> {
    try {
      return this.#codec.open(await this.#store.getRange(name, 0, size, options), { kind });
    } catch (error) {
      if (error instanceof ObjectProblem) throw damagedRecord(name, error.message);
      if (hasCode(error, 'STORE_NOT_FOUND')) return undefined; // deleted meanwhile
      if (hasCode(error, 'STORE_TRUNCATED')) throw damagedRecord(name, 'it changed while it was read');
      throw error;
    }
  }
}

export function damagedRecord(name: string, problem: string): Error {
  return repositoryFaults.pointDamaged({ name, problem });
}
