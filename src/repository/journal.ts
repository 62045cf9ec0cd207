/**
 * Notes of a run that must survive it: what it is about to do on the host, durable before it does it. A capture uses them to
 * find what a killed run left behind. Entries are small, sealed, and removed when the run is settled.
 */
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import type { SealedRecords } from './sealed-record.ts';

export interface JournalNote {
  /** Unique for its VM: `RUN-STEP`. */
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

export class Journal {
  readonly #store: ObjectStore;
  readonly #records: SealedRecords;
  readonly #folderOf: (vmId: string) => string;

  constructor(parts: { store: ObjectStore; records: SealedRecords; folderOf: (vmId: string) => string }) {
    this.#store = parts.store;
    this.#records = parts.records;
    this.#folderOf = parts.folderOf;
  }

  /** Durable once it resolves. `key`: lower-case letters, digits and hyphens. */
  async record(vmId: string, note: JournalNote, options: CallOptions = {}): Promise<void> {
    await this.#records.write(this.#prefix(vmId) + note.key, 'journal', note.value, options);
  }

  /** In ascending order of keys. */
  async notes(vmId: string, options: CallOptions = {}): Promise<JournalNote[]> {
    const prefix = this.#prefix(vmId);
    const notes: JournalNote[] = [];
    for await (const { name } of this.#store.list(prefix, options)) {
      const value = await this.#records.read(name, 'journal', options);
      if (value) notes.push({ key: name.slice(prefix.length), value });
    }
    return notes;
  }

  /** Removes every note whose key begins with `keyPrefix`. */
  async clear(vmId: string, keyPrefix: string, options: CallOptions = {}): Promise<void> {
    for await (const { name } of this.#store.list(this.#prefix(vmId) + keyPrefix, options)) {
      await this.#store.delete(name, options);
    }
  }

  #prefix(vmId: string): string {
    return `journal/${this.#folderOf(vmId)}/`;
  }
}
