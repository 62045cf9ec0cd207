/**
 * Restore points into another repository.
 *
 *   source map ─► slots that differ from the point copied before ─► chunks, read and verified ─► ids under the other's keys
 *        ─► what it does not have is sealed and stored ─► map with the new ids ─► manifest under the same id and time
 *
 * Ids are keyed, so nothing can be copied as it is stored. A point keeps its id and its time: whether it was copied is seen by
 * its name alone, and a copy that was cut off goes on where it was. Baselines belong to the repository that made them, and stay.
 */
import { mapOrdered, silentProgress, type Progress } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { BlockMap } from './block-map.ts';
import { SLOT_BYTES } from './format.ts';
import { mapDifference } from './map-difference.ts';
import { MapPatch, type SlotUpdate } from './map-patch.ts';
import { emptyRoot, slotCount, type MapRoot } from './map-root.ts';
import type { ObjectReader } from './object-reader.ts';
import type { PointDisk, PointVm, RestorePoint } from './point.ts';
import type { SessionObjects } from './session-objects.ts';
import { cellsOf, entryOf, type SlotEntry } from './slot.ts';

export interface CopyParts {
  readonly source: { readonly map: BlockMap; readonly objects: ObjectReader };
  readonly targetMap: BlockMap;
  readonly session: SessionObjects;
}

export interface CopyStats {
  /** Content read from the source and verified. */
  readBytes: number;
  /** What the target did not have, as it takes there. */
  storedBytes: number;
  chunks: number;
  newChunks: number;
}

/** The same disk in a point that both repositories have. */
export interface CopiedDisk {
  readonly source: PointDisk;
  readonly target: PointDisk;
}

export type CopyOptions = CallOptions & { readonly progress?: Progress | undefined };

/** Slots in work at once; each may hold a chunk of 1 MiB. */
const SLOTS_AT_ONCE = 8;
/** Chunks whose new id is remembered: about 30 MiB. */
const IDS_KEPT = 100_000;

export class PointCopy {
  readonly stats: CopyStats = { readBytes: 0, storedBytes: 0, chunks: 0, newChunks: 0 };
  readonly #parts: CopyParts;
  readonly #options: CopyOptions;
  readonly #progress: Progress;
  /** New ids by old ones; promises, so that two slots do not store one chunk twice. */
  readonly #ids = new Map<string, Promise<string>>();

  constructor(parts: CopyParts, options: CopyOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#progress = options.progress ?? silentProgress;
  }

  /** Settings of the VM, and the host's own files of them. */
  async vm({ configuration, files, ...vm }: PointVm): Promise<PointVm> {
    const copied = [];
    for (const file of files ?? []) copied.push({ ...file, blob: await this.#blob(file.blob) });
    return { ...vm, configuration: await this.#blob(configuration), ...(files ? { files: copied } : {}) };
  }

  /** The root of the disk in the target. */
  async disk({ root, size }: PointDisk, base: CopiedDisk | undefined): Promise<MapRoot> {
    const usable = base?.source.size === size ? base : undefined;
    const sink = async (kind: 'leaf' | 'node', raw: Uint8Array): Promise<string> =>
      (await this.#parts.session.store(kind, raw)).id;
    const start = usable?.target.root ?? emptyRoot(size);
    const patch = await MapPatch.start(this.#parts.targetMap, sink, size, start);
    const slots = this.#slots(root, size, usable?.source.root);
    for await (const update of mapOrdered(slots, SLOTS_AT_ONCE, (slot) => this.#translated(slot)))
      await patch.update(update);
    return patch.finish();
  }

  async *#slots(root: MapRoot, size: number, before: MapRoot | undefined): AsyncGenerator<SlotUpdate> {
    const { map } = this.#parts.source;
    if (!before) {
      yield* map.walk(root, 0, slotCount(size));
      return;
    }
    let reached = -1;
    for await (const { offset, length } of mapDifference(map, before, root, size)) {
      const end = Math.ceil((offset + length) / SLOT_BYTES);
      for (let slot = Math.max(Math.floor(offset / SLOT_BYTES), reached + 1); slot < end; slot += 1) {
        yield { slot, entry: await map.entry(root, slot) };
        reached = slot;
      }
    }
  }

  async #translated({ slot, entry }: SlotUpdate): Promise<SlotUpdate> {
    this.#options.signal?.throwIfAborted();
    const cells = cellsOf(entry);
    const ids = new Map<string, string>();
    for (const id of new Set(cells.flatMap((cell) => cell?.id ?? []))) ids.set(id, await this.#chunk(id));
    const translated: SlotEntry = entryOf(
      cells.map((cell) => cell && { id: ids.get(cell.id)!, cell: cell.cell }),
    );
    return { slot, entry: translated };
  }

  #chunk(id: string): Promise<string> {
    let copied = this.#ids.get(id);
    if (copied) return copied;
    if (this.#ids.size >= IDS_KEPT) this.#ids.clear();
    copied = this.#copyChunk(id);
    this.#ids.set(id, copied);
    return copied;
  }

  async #copyChunk(id: string): Promise<string> {
    const raw = await this.#parts.source.objects.read('data', id, this.#options);
    const stored = await this.#parts.session.store('data', raw);
    this.stats.readBytes += raw.length;
    this.stats.storedBytes += stored.storedBytes;
    this.stats.chunks += 1;
    if (stored.storedBytes > 0) this.stats.newChunks += 1;
    this.#progress.advance(raw.length);
    return stored.id;
  }

  async #blob(id: string): Promise<string> {
    const raw = await this.#parts.source.objects.read('blob', id, this.#options);
    return (await this.#parts.session.store('blob', raw)).id;
  }
}

/** What `point` is in the target: the same in everything but ids of objects. */
export async function copiedPoint(
  copy: PointCopy,
  point: RestorePoint,
  baseOf: (diskId: string) => CopiedDisk | undefined,
): Promise<RestorePoint> {
  const disks: PointDisk[] = [];
  for (const disk of point.disks) disks.push({ ...disk, root: await copy.disk(disk, baseOf(disk.diskId)) });
  return { ...point, vm: await copy.vm(point.vm), disks };
}
