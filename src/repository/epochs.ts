/**
 * The epoch: which packs nobody may build upon any more. One sealed object a step; who creates the next number owns the step.
 *
 *   live ──condemned──► nothing refers to it, as far as one run could see; writers do not use it any more
 *    ▲         │
 *    └─revived─┤       a session that began before had used it
 *              ▼
 *           doomed ──► a later run found the same, and whoever could not know has ended: it is being deleted, for good
 *
 * A doomed pack stays on the list until the index names it no more: an index made meanwhile by a session that began earlier may
 * bring it back. No clock and no access time is involved: only the numbers of epochs.
 */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { FORMAT_VERSION, hexOf } from './format.ts';
import { damagedRecord, type SealedRecords } from './sealed-record.ts';

/** Packs by hexadecimal id, each with the number of the epoch that put it there. */
export type PackMarks = ReadonlyMap<string, number>;

export interface Epoch {
  /** 0: no collector was ever here. */
  readonly number: number;
  readonly condemned: PackMarks;
  readonly doomed: PackMarks;
}

const EPOCH_NAME = /^epoch\/(\d{8})$/;
/** The newest may be replaced and removed between listing and reading; each such time a collector made a step. */
const LOOKS_MAX = 5;

export class Epochs {
  readonly #store: ObjectStore;
  readonly #records: SealedRecords;

  constructor(store: ObjectStore, records: SealedRecords) {
    this.#store = store;
    this.#records = records;
  }

  /** Number of the newest; 0: there is none. */
  async newest(options: CallOptions = {}): Promise<number> {
    return (await this.#numbers(options)).at(-1) ?? 0;
  }

  /** Throws `REPO_POINT_DAMAGED`. */
  async current(options: CallOptions = {}): Promise<Epoch> {
    for (let look = 0; look < LOOKS_MAX; look += 1) {
      const number = await this.newest(options);
      const epoch = number === 0 ? noEpoch(0) : await this.#read(number, options);
      if (epoch) return epoch;
    }
    throw damagedRecord('epoch', 'its objects come and go');
  }

  /** False when somebody else made a step meanwhile: then nothing of this one counts. */
  async advance(epoch: Epoch, options: CallOptions = {}): Promise<boolean> {
    const { number, condemned, doomed } = epoch;
    const value = {
      formatVersion: FORMAT_VERSION,
      number,
      condemned: byNumber(condemned),
      doomed: byNumber(doomed),
    };
    try {
      await this.#records.write(nameOf(number), 'epoch', value, options);
    } catch (error) {
      if (hasCode(error, 'STORE_NAME_TAKEN', 'STORE_NAME_BUSY')) return false;
      throw error;
    }
    // A number that was used and cleared away can be created once more: only the newest counts.
    if ((await this.newest(options)) === number) return true;
    await this.#store.delete(nameOf(number), options);
    return false;
  }

  /** Removes those before the newest but one: a reader that has just listed them finds the one it chose. */
  async clear(options: CallOptions = {}): Promise<void> {
    for (const number of (await this.#numbers(options)).slice(0, -2))
      await this.#store.delete(nameOf(number), options);
  }

  /** Throws `REPO_POINT_DAMAGED` unless the file is whole and belongs under its name. */
  async check(name: string, options: CallOptions = {}): Promise<void> {
    const match = EPOCH_NAME.exec(name);
    if (match) await this.#read(Number(match[1]), options);
  }

  async #numbers(options: CallOptions): Promise<number[]> {
    const numbers: number[] = [];
    for await (const { name } of this.#store.list('epoch/', options)) {
      const match = EPOCH_NAME.exec(name);
      if (match) numbers.push(Number(match[1]));
    }
    return numbers;
  }

  async #read(number: number, options: CallOptions): Promise<Epoch | undefined> {
    const value = await this.#records.read(nameOf(number), 'epoch', options);
    if (!value) return undefined;
    const condemned = marksOf(value['condemned']);
    const doomed = marksOf(value['doomed']);
    if (value['formatVersion'] !== FORMAT_VERSION || value['number'] !== number || !condemned || !doomed)
      throw damagedRecord(nameOf(number), 'it is another record under this name');
    return { number, condemned, doomed };
  }
}

/** An epoch in which everything may be used. */
export function noEpoch(number: number): Epoch {
  return { number, condemned: new Map(), doomed: new Map() };
}

/** May a writer refer to what lies in this pack, and may the index go on naming it? */
export function isUsable({ condemned, doomed }: Epoch, packId: Uint8Array): boolean {
  if (condemned.size === 0 && doomed.size === 0) return true;
  const id = hexOf(packId);
  return !condemned.has(id) && !doomed.has(id);
}

function nameOf(number: number): string {
  return `epoch/${String(number).padStart(8, '0')}`;
}

function byNumber(marks: PackMarks): Record<string, string[]> {
  const lists: Record<string, string[]> = {};
  for (const [pack, number] of marks) (lists[number] ??= []).push(pack);
  return lists;
}

/** Undefined when it is no such record. */
function marksOf(lists: unknown): Map<string, number> | undefined {
  if (typeof lists !== 'object' || lists === null) return undefined;
  const marks = new Map<string, number>();
  for (const [number, packs] of Object.entries(lists)) {
    if (!Array.isArray(packs)) return undefined;
    for (const pack of packs) marks.set(String(pack), Number(number));
  }
  return marks;
}
