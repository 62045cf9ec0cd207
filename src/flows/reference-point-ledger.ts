/**
 * Which reference points were made by hand with `hvlift rct enable`. They carry no name on the host, so their ids are
 * written down here: only what stands in the ledger is ever destroyed by `rct reset`.
 *
 * Kept as one small object a reference point in a folder of this machine.
 */
import { createHash } from 'node:crypto';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';

export class ReferencePointLedger {
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async add(vmId: string, referencePointId: string, options: CallOptions = {}): Promise<void> {
    await this.#store.putNew(nameOf(vmId, referencePointId), Buffer.from(referencePointId), options);
  }

  async list(vmId: string, options: CallOptions = {}): Promise<string[]> {
    const ids: string[] = [];
    for await (const { name, size } of this.#store.list(`reference-points/${vmId}/`, options)) {
      ids.push(Buffer.from(await this.#store.getRange(name, 0, size, options)).toString());
    }
    return ids;
  }

  async remove(vmId: string, referencePointId: string, options: CallOptions = {}): Promise<void> {
    await this.#store.delete(nameOf(vmId, referencePointId), options);
  }
}

/** InstanceIDs hold characters that object names may not. */
function nameOf(vmId: string, referencePointId: string): string {
  const digest = createHash('sha256').update(referencePointId).digest('hex').slice(0, 32);
  return `reference-points/${vmId}/${digest}`;
}
