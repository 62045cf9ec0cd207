/**
 * Packs that are mostly dead: what is alive in them is copied into new packs, so that the old ones are as dead as any.
 *
 * Objects are self-contained and are copied as they are, after their content was verified: a damaged one is not made to look
 * fresh, and its pack stays.
 */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { hexOf, kindOf, packName, type ObjectKind } from './format.ts';
import type { Marking } from './marking.ts';
import { HEADER_BYTES, ObjectProblem, readHeader, type ObjectCodec } from './object.ts';
import type { ObjectIndex } from './object-index.ts';
import type { PackReader } from './pack-reader.ts';
import type { ObjectPlace } from './segment-writer.ts';
import { SessionObjects } from './session-objects.ts';

export interface RewriteParts {
  readonly store: ObjectStore;
  readonly repositoryId: Uint8Array;
  readonly codec: ObjectCodec;
  readonly index: ObjectIndex;
  readonly packs: PackReader;
  readonly marking: Marking;
}

export interface RewriteResult {
  /** Packs that hold nothing of their own any more. */
  readonly emptied: ReadonlySet<string>;
  readonly copiedBytes: number;
}

interface Copy {
  readonly kind: ObjectKind;
  readonly place: ObjectPlace;
  readonly bytes: Uint8Array;
}

/** `chosen`: packs by hexadecimal id with their sizes. When it resolves, the copies are durable and in the index. */
export async function rewritePacks(
  parts: RewriteParts,
  chosen: ReadonlyMap<string, number>,
  onPack: (bytes: number) => void,
  options: CallOptions,
): Promise<RewriteResult> {
  const { store, repositoryId, codec, index } = parts;
  const usable = (): boolean => true;
  const session = new SessionObjects({
    store,
    repositoryId,
    codec,
    index,
    usable,
    signal: options.signal,
  });
  const emptied = new Set<string>();
  let copiedBytes = 0;
  try {
    for (const [pack, size] of chosen) {
      const copies = await livingObjects(parts, pack, size, options);
      for (const { kind, place, bytes } of copies ?? []) {
        await session.append({ kind, id: place.id, rawLength: place.rawLength, bytes });
        copiedBytes += bytes.length;
      }
      if (copies) emptied.add(pack);
      onPack(size);
    }
    await session.flush();
  } catch (error) {
    await session.abort();
    throw error;
  }
  return { emptied, copiedBytes };
}

/** At most half a pack, in memory. Undefined when something in the pack is damaged. */
async function livingObjects(
  parts: RewriteParts,
  pack: string,
  size: number,
  options: CallOptions,
): Promise<Copy[] | undefined> {
  const { index, marking, packs } = parts;
  const packId = Buffer.from(pack, 'hex');
  const copies: Copy[] = [];
  try {
    const { places } = await packs.list({ name: packName(packId), size }, options);
    for (const place of places) {
      options.signal?.throwIfAborted();
      const found = await index.find(place.id, (each) => hexOf(each) === pack);
      if (!found || found.offset !== place.offset || !marking.isAlive(found)) continue;
      copies.push(await verifiedCopy(parts, place, options));
    }
    return copies;
  } catch (error) {
    if (error instanceof ObjectProblem || hasCode(error, 'REPO_PACK_DAMAGED', 'STORE_TRUNCATED'))
      return undefined;
    throw error;
  }
}

/** Throws {@link ObjectProblem}. */
async function verifiedCopy(
  { store, codec }: RewriteParts,
  place: ObjectPlace,
  options: CallOptions,
): Promise<Copy> {
  const length = HEADER_BYTES + place.storedLength;
  const bytes = await store.getRange(packName(place.packId), place.offset, length, options);
  const kind = kindOf(readHeader(bytes).kind);
  if (!kind) throw new ObjectProblem('it is of a kind that is not known');
  codec.open(bytes, { kind, id: place.id });
  return { kind, place, bytes };
}
