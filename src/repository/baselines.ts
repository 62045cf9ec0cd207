/**
 * Baselines: which reference point on the host goes with which restore point. Written after the manifest and before the
 * older reference point is destroyed, so that a crash anywhere leaves the old baseline or the new one, or both.
 */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { canonicalJson } from './canonical-json.ts';
import { repositoryFaults } from './faults.ts';
import { FORMAT_VERSION } from './format.ts';
import type { PointConsistency } from './point.ts';
import type { Points } from './points.ts';
import { damagedRecord, type SealedRecords } from './sealed-record.ts';

export interface BaselineDisk {
  readonly diskId: string;
  readonly attachmentId: string;
  readonly rctId: string;
  readonly size: number;
  /** Host files of the chain then, leaf first. */
  readonly chain: readonly string[];
}

export interface BaselineRecord {
  /** The restore point whose content the reference point marks. */
  readonly pointId: string;
  readonly vmId: string;
  readonly referencePointId: string;
  /** Who starts increments from it; absent: the repository's only or unnamed consumer. */
  readonly consumer?: string | undefined;
  readonly consistency: PointConsistency;
  readonly disks: readonly BaselineDisk[];
  /** Of users, that the VM had then; absent: not known. */
  readonly userCheckpoints?: number;
  /** Since when the VM ran then, by the host's own time; absent: it did not run, or that is not known. */
  readonly runningSince?: string;
}

export class Baselines {
  readonly #store: ObjectStore;
  readonly #records: SealedRecords;
  readonly #points: Points;

  constructor(parts: { store: ObjectStore; records: SealedRecords; points: Points }) {
    this.#store = parts.store;
    this.#records = parts.records;
    this.#points = parts.points;
  }

  /** Again with the same content is success. Throws `REPO_POINT_NOT_FOUND`, `REPO_BASELINE_CONFLICT`. */
  async record(baseline: BaselineRecord, options: CallOptions = {}): Promise<void> {
    const name = await this.#nameOf(baseline, options);
    if (!name) throw repositoryFaults.pointNotFound({ point: baseline.pointId });
    const value = { formatVersion: FORMAT_VERSION, ...baseline };
    try {
      await this.#records.write(name, 'baseline', value, options);
    } catch (error) {
      if (!hasCode(error, 'STORE_NAME_TAKEN')) throw error;
      const existing = await this.#records.read(name, 'baseline', options);
      if (canonicalJson(existing) !== canonicalJson(value)) {
        throw repositoryFaults.baselineConflict({ point: baseline.pointId }, { cause: error });
      }
    }
  }

  /** Newest first. One that cannot be read is left out: a lost baseline means a compare, never a wrong increment. */
  async of(vmId: string, options: CallOptions = {}): Promise<BaselineRecord[]> {
    const names: string[] = [];
    const prefix = `baselines/${this.#points.folderOf(vmId)}/`;
    for await (const { name } of this.#store.list(prefix, options)) names.unshift(name);
    const found: BaselineRecord[] = [];
    for (const name of names) {
      const baseline = await this.#readable(name, options);
      if (baseline) found.push(baseline);
    }
    return found;
  }

  /** What is gone already is success. */
  async forget(baseline: BaselineRecord, options: CallOptions = {}): Promise<void> {
    const suffix = `-${baseline.pointId}`;
    const prefix = `baselines/${this.#points.folderOf(baseline.vmId)}/`;
    for await (const { name } of this.#store.list(prefix, options)) {
      if (name.endsWith(suffix)) await this.#store.delete(name, options);
    }
  }

  /** Throws `REPO_POINT_DAMAGED` unless the file is whole and belongs under its name. */
  async check(name: string, options: CallOptions = {}): Promise<BaselineRecord | undefined> {
    const value = await this.#records.read(name, 'baseline', options);
    if (!value) return undefined;
    const { formatVersion, ...baseline } = value as unknown as BaselineRecord & { formatVersion: number };
    const folder = `baselines/${this.#points.folderOf(baseline.vmId)}/`;
    const belongs = name.startsWith(folder) && name.endsWith(`-${baseline.pointId}`);
    if (formatVersion !== FORMAT_VERSION || !belongs)
      throw damagedRecord(name, 'it is another record under this name');
    return baseline;
  }

  async #readable(name: string, options: CallOptions): Promise<BaselineRecord | undefined> {
    try {
      return await this.check(name, options);
    } catch (error) {
      if (hasCode(error, 'REPO_POINT_DAMAGED')) return undefined;
      throw error;
    }
  }

  async #nameOf({ vmId, pointId }: BaselineRecord, options: CallOptions): Promise<string | undefined> {
    const names = await this.#points.names({ vmId, signal: options.signal });
    return names.find((point) => point.id === pointId)?.name.replace(/^points/, 'baselines');
  }
}
