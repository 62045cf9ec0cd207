/**
 * Notes of a run that must survive it: what it is about to do on the host, durable before it does it. A capture uses them to
 * find what a killed run left behind. Entries are small, sealed, and removed when the run is settled.
 */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { FORMAT_VERSION } from './format.ts';
import { damagedRecord, type SealedRecords } from './sealed-record.ts';

export interface JournalNote {
  /** Unique for its VM: `RUN-STEP`. */
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface JournalFile extends JournalNote {
  readonly formatVersion: number;
  readonly vmId: string;
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
    const value = { formatVersion: FORMAT_VERSION, vmId, ...note };
    await this.#records.write(this.#prefix(vmId) + note.key, 'journal', value, options);
  }

  /**
   * In ascending order of keys. One that is damaged is left out: it stays until {@link dropDamaged}, and must not keep the VM
   * from being backed up.
   */
  async notes(vmId: string, options: CallOptions = {}): Promise<JournalNote[]> {
    const notes: JournalNote[] = [];
    for await (const { name } of this.#store.list(this.#prefix(vmId), options)) {
      const note = await this.#readable(name, options);
      if (note && note !== 'damaged') notes.push(note);
    }
    return notes;
  }

  /** Deletes what cannot be read, and returns the keys: what those runs left on the host, the journal cannot tell any more. */
  async dropDamaged(vmId: string, options: CallOptions = {}): Promise<string[]> {
    const prefix = this.#prefix(vmId);
    const dropped: string[] = [];
    for await (const { name } of this.#store.list(prefix, options)) {
      if ((await this.#readable(name, options)) !== 'damaged') continue;
      await this.#store.delete(name, options);
      dropped.push(name.slice(prefix.length));
    }
    return dropped;
  }

  /** Throws `REPO_POINT_DAMAGED` unless the file is whole and belongs under its name. */
  async check(name: string, options: CallOptions = {}): Promise<JournalNote | undefined> {
    const file = await this.#records.read(name, 'journal', options);
    if (!file) return undefined;
    const { formatVersion, vmId, key, value } = file as unknown as JournalFile;
    if (formatVersion !== FORMAT_VERSION || name !== this.#prefix(vmId) + key)
      throw damagedRecord(name, 'it is another record under this name');
    return { key, value };
  }

  /** Removes every note whose key begins with `keyPrefix`, in ascending order of keys. */
  async clear(vmId: string, keyPrefix: string, options: CallOptions = {}): Promise<void> {
    for await (const { name } of this.#store.list(this.#prefix(vmId) + keyPrefix, options)) {
      await this.#store.delete(name, options);
    }
  }

  async #readable(name: string, options: CallOptions): Promise<JournalNote | 'damaged' | undefined> {
    try {
      return await this.check(name, options);
    } catch (error) {
      if (hasCode(error, 'REPO_POINT_DAMAGED')) return 'damaged';
      throw error;
    }
  }

  #prefix(vmId: string): string {
    return `journal/${this.#folderOf(vmId)}/`;
  }
}
