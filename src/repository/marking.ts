/**
 * What is alive: every object that a restore point reaches, and the one pack that each of them is taken to stand in.
 *
 *   manifests ─► pages, each once however many points share it ─► chunks ─► bytes alive, a pack
 *
 * An object may stand in several packs. Those that are condemned are asked last, so that a condemned pack only comes to life
 * where nothing else has the object, or all else is damaged. Memory: one bit an object, and a number a pack.
 */
import type { CallOptions } from '../disk/index.ts';
import { repositoryFaults } from './faults.ts';
import { hexOf, trailerEntry, type ObjectKind } from './format.ts';
import { HEADER_BYTES } from './object.ts';
import { isUsable, type Epoch } from './epochs.ts';
import type { BlockMap, PageAt } from './block-map.ts';
import { slotsBelow, type MapRoot } from './map-root.ts';
import type { Location, ObjectIndex } from './object-index.ts';
import type { RestorePoint } from './point.ts';
import { SeenObjects } from './seen-objects.ts';
import type { SlotEntry } from './slot.ts';

export interface MarkingParts {
  readonly map: BlockMap;
  readonly index: ObjectIndex;
  readonly epoch: Epoch;
  /** Bytes of each pack that is there, by hexadecimal id. */
  readonly packs: ReadonlyMap<string, number>;
}

export class Marking {
  readonly #parts: MarkingParts;
  readonly #options: CallOptions;
  readonly #seen = new SeenObjects();
  /** Bytes alive, by pack. */
  readonly #alive = new Map<string, number>();

  constructor(parts: MarkingParts, options: CallOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Throws `REPO_OBJECT_MISSING`, `REPO_OBJECT_DAMAGED`, `REPO_PAGE_DAMAGED`: what is below cannot be told then. */
  async point(point: RestorePoint): Promise<void> {
    const { configuration, files = [] } = point.vm;
    for (const id of [configuration, ...files.map(({ blob }) => blob)]) await this.#reach('blob', id);
    for (const { root } of point.disks) await this.#disk(root);
  }

  /** Bytes of the pack that are alive, with their entries in its trailer; 0: nothing refers to it. */
  aliveBytes(pack: string): number {
    return this.#alive.get(pack) ?? 0;
  }

  /** Is this the place the object was found alive at? */
  isAlive(place: Location): boolean {
    return this.#seen.has(place);
  }

  async #disk({ id, levels }: MapRoot): Promise<void> {
    const pages: PageAt[] = id === null ? [] : [{ level: levels - 1, id, firstSlot: 0 }];
    for (let page = pages.pop(); page; page = pages.pop()) {
      this.#options.signal?.throwIfAborted();
      if (!(await this.#reach(page.level === 0 ? 'leaf' : 'node', page.id))) continue;
      if (page.level === 0) await this.#leaf(page.id);
      else pages.push(...(await this.#children(page)));
    }
  }

  /** All of them, also behind the end of the disk: a larger one may share the page, and it is visited only once. */
  async #children(page: PageAt): Promise<PageAt[]> {
    const { children } = await this.#parts.map.node(page.id, page.level);
    const level = page.level - 1;
    return children.flatMap((id, index) =>
      id === null ? [] : [{ level, id, firstSlot: page.firstSlot + index * slotsBelow(level) }],
    );
  }

  async #leaf(id: string): Promise<void> {
    for (const slot of (await this.#parts.map.leaf(id)).slots) {
      for (const chunk of chunksOf(slot)) await this.#reach('data', chunk);
    }
  }

  /** True the first time. */
  async #reach(kind: ObjectKind, id: string): Promise<boolean> {
    const place = await this.#locate(kind, id);
    if (!this.#seen.add(place)) return false;
    const pack = hexOf(place.packId);
    this.#alive.set(pack, this.aliveBytes(pack) + HEADER_BYTES + place.storedLength + trailerEntry.size);
    return true;
  }

  async #locate(kind: ObjectKind, id: string): Promise<Location> {
    const { index } = this.#parts;
    const found = await this.#find(id);
    if (found) return found;
    await index.refresh(this.#options); // a list of segments that was made while two of them became one
    const again = await this.#find(id);
    if (again) return again;
    throw index.damaged[0] ?? repositoryFaults.objectMissing({ kind, id });
  }

  async #find(id: string): Promise<Location | undefined> {
    const { index, epoch, packs } = this.#parts;
    const bytes = Buffer.from(id, 'hex');
    const isThere = (packId: Uint8Array): boolean => packs.has(hexOf(packId));
    const found = await index.find(bytes, (packId) => isUsable(epoch, packId) && isThere(packId));
    if (found && !found.quarantined) return found;
    const condemned = await index.find(bytes, isThere);
    return condemned?.quarantined ? (found ?? condemned) : condemned;
  }
}

/** Every chunk it names, also one of which no cell is used. */
function chunksOf(slot: SlotEntry): string[] {
  if (slot === null) return [];
  if (slot.kind === 'chunk') return [slot.id];
  const extents = slot.extents.map(({ id }) => id);
  return [slot.base, ...extents].filter((id) => id !== null);
}
