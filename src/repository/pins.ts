/** Restore points that somebody holds: they are not dropped while their pin exists, whatever the rules say. */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { FORMAT_VERSION } from './format.ts';
import type { RestorePoint } from './point.ts';
import type { Points } from './points.ts';
import { damagedRecord, type SealedRecords } from './sealed-record.ts';

export interface Pin {
  readonly pointId: string;
  readonly vmId: string;
  /** For people. */
  readonly reason: string;
  /** ISO 8601, UTC. */
  readonly pinned: string;
}

const PIN_NAME = /^pins\/[0-9a-f]{16}\/[0-9tz.]+-([0-9a-f]{16})$/;

export class Pins {
  readonly #store: ObjectStore;
  readonly #records: SealedRecords;
  readonly #points: Points;
  readonly #now: () => Date;

  constructor(parts: { store: ObjectStore; records: SealedRecords; points: Points; now: () => Date }) {
    this.#store = parts.store;
    this.#records = parts.records;
    this.#points = parts.points;
    this.#now = parts.now;
  }

  /** A pin that is there already stays as it is, and is returned: changing it would let go of the point for a moment. */
  async set(point: RestorePoint, reason: string, options: CallOptions = {}): Promise<Pin> {
    const name = await this.#nameOf(point, options);
    const pin = { pointId: point.id, vmId: point.vm.id, reason, pinned: this.#now().toISOString() };
    try {
      await this.#records.write(name, 'pin', { formatVersion: FORMAT_VERSION, ...pin }, options);
      return pin;
    } catch (error) {
      const existing = hasCode(error, 'STORE_NAME_TAKEN') && (await this.check(name, options));
      if (!existing) throw error;
      return existing;
    }
  }

  /** False when there was none. */
  async remove(point: RestorePoint, options: CallOptions = {}): Promise<boolean> {
    const name = await this.#nameOf(point, options);
    const found = await this.#store.stat(name, options);
    await this.#store.delete(name, options);
    return found !== undefined;
  }

  /** Reasons by point id, of one VM or all. One that cannot be read holds its point all the same. */
  async reasons({ vmId, signal }: CallOptions & { readonly vmId?: string | undefined } = {}): Promise<
    Map<string, string>
  > {
    const reasons = new Map<string, string>();
    const prefix = vmId === undefined ? 'pins/' : `pins/${this.#points.folderOf(vmId)}/`;
    for await (const { name } of this.#store.list(prefix, { signal })) {
      const id = PIN_NAME.exec(name)?.[1];
      if (id !== undefined) reasons.set(id, await this.#reason(name, { signal }));
    }
    return reasons;
  }

  /** Throws `REPO_POINT_DAMAGED` unless the file is whole and belongs under its name. */
  async check(name: string, options: CallOptions = {}): Promise<Pin | undefined> {
    const value = await this.#records.read(name, 'pin', options);
    if (!value) return undefined;
    const { formatVersion, ...pin } = value as unknown as Pin & { formatVersion: number };
    if (formatVersion !== FORMAT_VERSION || PIN_NAME.exec(name)?.[1] !== pin.pointId)
      throw damagedRecord(name, 'it is another record under this name');
    return pin;
  }

  async #reason(name: string, options: CallOptions): Promise<string> {
    try {
      return (await this.check(name, options))?.reason ?? '';
    } catch (error) {
      if (hasCode(error, 'REPO_POINT_DAMAGED')) return 'its pin is damaged';
      throw error;
    }
  }

  async #nameOf(point: RestorePoint, options: CallOptions): Promise<string> {
    return (await this.#points.nameOf(point, options)).replace(/^points/, 'pins');
  }
}
