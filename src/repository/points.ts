/** Restore points of a repository: committed by create-if-absent, listed, found by id. */
import { randomBytes } from 'node:crypto';
import { hasCode, mapOrdered } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { Catalogue } from './catalogue.ts';
import { repositoryFaults } from './faults.ts';
import { vmFolder, type RepositoryKeys } from './keys.ts';
import {
  checkPoint,
  parsePointName,
  signPoint,
  stampOf,
  stampTime,
  type PointDraft,
  type PointName,
  type RestorePoint,
} from './point.ts';
import type { SealedRecords } from './sealed-record.ts';

export interface PointQuery extends CallOptions {
  readonly vmId?: string | undefined;
}

/** Hides the latency of a store that is not local. */
const READS_AT_ONCE = 32;
/** So many manifests are read in a moment: for fewer there is no catalogue. */
const CATALOGUE_FROM = 256;

export class Points {
  readonly #store: ObjectStore;
  readonly #records: SealedRecords;
  readonly #keys: RepositoryKeys;
  readonly #now: () => Date;

  constructor(parts: { store: ObjectStore; records: SealedRecords; keys: RepositoryKeys; now: () => Date }) {
    this.#store = parts.store;
    this.#records = parts.records;
    this.#keys = parts.keys;
    this.#now = parts.now;
  }

  folderOf(vmId: string): string {
    return vmFolder(this.#keys, vmId);
  }

  /** The commit: from here on the point exists. Returned is what was read back. `of`: the point whose content it has. */
  async commit(
    draft: PointDraft,
    { of, ...options }: CallOptions & { readonly of?: RestorePoint | undefined },
  ): Promise<RestorePoint> {
    const folder = this.folderOf(draft.vm.id);
    const created = of ? new Date(Date.parse(of.created) + 1) : await this.#nextTime(folder, options);
    const id = randomBytes(8).toString('hex');
    const stamp = stampOf(created);
    const name = `points/${folder}/${stamp}-${id}`;
    await this.#records.write(name, 'manifest', signPoint(this.#keys, draft, { id, created }), options);
    return this.read({ name, folder, stamp, id }, options);
  }

  /** A point of another repository, under its own id and time. Undefined when it is there already. */
  async commitCopy(point: RestorePoint, options: CallOptions): Promise<RestorePoint | undefined> {
    const { id, created, formatVersion: _version, digest: _digest, ...draft } = point;
    const place = this.placeOf(point);
    const signed = signPoint(this.#keys, draft, { id, created: new Date(created) });
    if (await this.#store.stat(place.name, options)) return undefined;
    await this.#records.write(place.name, 'manifest', signed, options);
    return this.read(place, options);
  }

  async exists(point: RestorePoint, options: CallOptions = {}): Promise<boolean> {
    return (await this.#store.stat(this.placeOf(point).name, options)) !== undefined;
  }

  /** Where a point with this id and time would be. */
  placeOf({ id, created, vm }: Pick<RestorePoint, 'id' | 'created' | 'vm'>): PointName {
    const folder = this.folderOf(vm.id);
    const stamp = stampOf(new Date(created));
    return { name: `points/${folder}/${stamp}-${id}`, folder, stamp, id };
  }

  /** Throws `REPO_POINT_DAMAGED`, `REPO_POINT_NOT_FOUND`. */
  async read(point: PointName, options: CallOptions = {}): Promise<RestorePoint> {
    const value = await this.#records.read(point.name, 'manifest', { ...options, size: point.size });
    if (!value) throw repositoryFaults.pointNotFound({ point: point.id });
    return checkPoint(this.#keys, value, point, (vmId) => this.folderOf(vmId));
  }

  /** Undefined when it was dropped since it was listed. Throws `REPO_POINT_DAMAGED`. */
  async readListed(point: PointName, options: CallOptions = {}): Promise<RestorePoint | undefined> {
    try {
      return await this.read(point, options);
    } catch (error) {
      if (hasCode(error, 'REPO_POINT_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Newest first for each VM. A damaged point does not hide the others: it is thrown after them. */
  async *all(query: PointQuery = {}): AsyncGenerator<RestorePoint> {
    yield* this.#each(await this.names(query), (name) => this.readListed(name, query));
  }

  /** As {@link all}, for showing: what the catalogue knows of a point that exists is taken from there. */
  async *shown(query: PointQuery = {}): AsyncGenerator<RestorePoint> {
    const names = await this.names(query);
    if (names.length < CATALOGUE_FROM) {
      yield* this.#each(names, (name) => this.readListed(name, query));
      return;
    }
    const parts = { store: this.#store, records: this.#records, now: this.#now };
    const catalogue = await Catalogue.load(parts, query);
    const read = async (name: PointName): Promise<RestorePoint | undefined> => {
      const known = catalogue.find(name);
      if (known) return known;
      const point = await this.readListed(name, query);
      if (point) catalogue.note(name, point);
      return point;
    };
    // Of one VM alone it is not known what else is needed.
    const isAll = query.vmId === undefined;
    yield* this.#each(names, read, async () => (isAll ? catalogue.save(query) : undefined));
  }

  /** Throws `REPO_POINT_DAMAGED`. */
  async checkCatalogue(name: string, options: CallOptions = {}): Promise<void> {
    await this.#records.readBytes(name, 'catalogue', options);
  }

  async *#each(
    names: readonly PointName[],
    read: (name: PointName) => Promise<RestorePoint | undefined>,
    atEnd: () => Promise<void> = async () => {},
  ): AsyncGenerator<RestorePoint> {
    let damage: unknown;
    const points = mapOrdered(names, READS_AT_ONCE, async (name) => {
      try {
        return await read(name);
      } catch (error) {
        damage ??= error;
        return undefined;
      }
    });
    for await (const point of points) if (point) yield point;
    await atEnd();
    if (damage !== undefined) throw damage;
  }

  /** Names alone, newest first for each VM: reads no manifest. */
  async names({ vmId, signal }: PointQuery = {}): Promise<PointName[]> {
    const prefix = vmId === undefined ? 'points/' : `points/${this.folderOf(vmId)}/`;
    const names: PointName[] = [];
    for await (const { name, size } of this.#store.list(prefix, { signal })) {
      const parsed = parsePointName(name);
      if (parsed) names.push({ ...parsed, size });
    }
    return names.sort((a, b) => compare(a.folder, b.folder) || compare(b.name, a.name));
  }

  /** Throws `REPO_POINT_NOT_FOUND`. */
  async nameOf({ id, vm }: RestorePoint, options: CallOptions = {}): Promise<string> {
    const names = await this.names({ vmId: vm.id, signal: options.signal });
    const found = names.find((each) => each.id === id);
    if (!found) throw repositoryFaults.pointNotFound({ point: id });
    return found.name;
  }

  /** What it alone needs is garbage from now on. Gone already is success. */
  async drop(point: RestorePoint, options: CallOptions = {}): Promise<void> {
    await this.#store.delete(await this.nameOf(point, options), options);
  }

  /** By id, unique beginning of an id, or `latest` together with a VM. */
  async find(point: string, query: PointQuery = {}): Promise<RestorePoint> {
    const names = await this.names(query);
    if (point === 'latest' && query.vmId !== undefined) {
      if (!names[0]) throw repositoryFaults.pointNotFound({ point });
      return this.read(names[0], query);
    }
    const prefix = point.toLowerCase();
    const matches = prefix === '' ? [] : names.filter((name) => name.id.startsWith(prefix));
    if (matches.length > 1) {
      const list = matches.slice(0, 5).map((name) => name.id);
      throw repositoryFaults.pointAmbiguous({ point, matches: list.join(', ') });
    }
    if (!matches[0]) throw repositoryFaults.pointNotFound({ point });
    return this.read(matches[0], query);
  }

  /** Now, or just after the VM's newest point: a clock that was set back must not make a new point look old. */
  async #nextTime(folder: string, options: CallOptions): Promise<Date> {
    let newest = '';
    for await (const { name } of this.#store.list(`points/${folder}/`, options))
      newest = parsePointName(name)?.stamp ?? newest;
    const now = this.#now();
    return newest < stampOf(now) ? now : new Date(stampTime(newest).getTime() + 1);
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
