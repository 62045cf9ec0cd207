/** The index made anew from the packs: nothing in it is known only to it. */
import type { CallOptions } from '../disk/index.ts';
import { hasCode, isFault } from '../base/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import type { PackMarks } from './epochs.ts';
import type { ObjectIndex } from './object-index.ts';
import type { PackListing, PackReader } from './pack-reader.ts';
import type { ObjectPlace, PackInfo } from './segment-writer.ts';

/** About 60 MiB on the heap a segment. */
const SEGMENT_ENTRIES = 262_144;

export interface RebuildReport {
  readonly packs: number;
  readonly objects: number;
  /** Faults of packs whose trailer was damaged: their objects were found by walking through them. */
  readonly damagedPacks: readonly Error[];
}

export async function rebuildIndex(
  store: ObjectStore,
  index: ObjectIndex,
  packs: PackReader,
  options: CallOptions & { readonly doomed: PackMarks },
): Promise<RebuildReport> {
  const superseded: Uint8Array[] = [];
  for await (const { name } of store.list('index/', options))
    superseded.push(Buffer.from(name.slice(6), 'hex'));
  const report = { packs: 0, objects: 0, damagedPacks: [] as Error[] };
  let pending: { packs: PackInfo[]; places: ObjectPlace[] } = { packs: [], places: [] };
  for await (const file of store.list('packs/', options)) {
    if (options.doomed.has(file.name.slice(-32))) continue; // it is being deleted
    const { pack, places } = await listOrScan(packs, file, report.damagedPacks, options);
    report.packs += 1;
    report.objects += places.length;
    pending.packs.push(pack);
    for (const place of places) pending.places.push(place);
    if (pending.places.length < SEGMENT_ENTRIES) continue;
    await index.add(pending, options);
    pending = { packs: [], places: [] };
  }
  // Last, and only now, the old segments are replaced: until then nothing is worse than before.
  await index.add({ ...pending, superseded }, options);
  await index.refresh(options);
  return report;
}

async function listOrScan(
  packs: PackReader,
  file: { name: string; size: number },
  damaged: Error[],
  options: CallOptions,
): Promise<PackListing> {
  try {
    return await packs.list(file, options);
  } catch (error) {
    if (!isFault(error) || !hasCode(error, 'REPO_PACK_DAMAGED', 'STORE_TRUNCATED')) throw error;
    damaged.push(error);
    return packs.scan(file, options);
  }
}
