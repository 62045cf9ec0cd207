/**
 * What a repository remembers of itself between runs, as one small sealed record of an area: the newest holds all of it.
 *
 *   load: every record there is, to be joined ─► change ─► replace: one new record, and only then those that were loaded go
 *
 * Two processes that do it at once leave two records, which the next one joins. A record that is damaged is passed over.
 */
import { randomBytes } from 'node:crypto';
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { FORMAT_VERSION } from './format.ts';
import { stampOf } from './point.ts';
import type { SealedRecords } from './sealed-record.ts';

export interface StateParts {
  readonly store: ObjectStore;
  readonly records: SealedRecords;
  readonly now: () => Date;
}

export class StateRecords {
  readonly #parts: StateParts;
  readonly #area: 'quarantine' | 'verified';
  #loaded: string[] = [];

  constructor(parts: StateParts, area: 'quarantine' | 'verified') {
    this.#parts = parts;
    this.#area = area;
  }

  /** Undefined when nothing changed since it was loaded last. */
  async load(options: CallOptions = {}): Promise<Record<string, unknown>[] | undefined> {
    const names: string[] = [];
    for await (const { name } of this.#parts.store.list(`${this.#area}/`, options)) names.push(name);
    if (names.join() === this.#loaded.join()) return undefined;
    const values: Record<string, unknown>[] = [];
    for (const name of names) {
      const value = await this.#readable(name, options);
      if (value) values.push(value);
    }
    this.#loaded = names;
    return values;
  }

  async replace(value: object, options: CallOptions = {}): Promise<void> {
    const name = `${this.#area}/${stampOf(this.#parts.now())}-${randomBytes(8).toString('hex')}`;
    await this.#parts.records.write(name, this.#area, { formatVersion: FORMAT_VERSION, ...value }, options);
    for (const old of this.#loaded) await this.#parts.store.delete(old, options);
    this.#loaded = [name];
  }

  /** Throws `REPO_POINT_DAMAGED`. */
  async check(name: string, options: CallOptions = {}): Promise<void> {
    await this.#parts.records.read(name, this.#area, options);
  }

  /** Of another version too: it is then of no use to this one, and goes with the next. */
  async #readable(name: string, options: CallOptions): Promise<Record<string, unknown> | undefined> {
    try {
      const value = await this.#parts.records.read(name, this.#area, options);
      return value?.['formatVersion'] === FORMAT_VERSION ? value : undefined;
    } catch (error) {
      if (hasCode(error, 'REPO_POINT_DAMAGED')) return undefined;
      throw error;
    }
  }
}
