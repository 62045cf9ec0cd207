/**
 * Storing anew what earlier restore points lost and the source still has.
 *
 *   lost chunk, and where in a disk it lies ─► the same range of the source ─► same id? ─► stored again
 *
 * A full does that by itself for whole slots. Here it is done for the pieces of patched slots, which a full stores otherwise.
 * A chunk of which a part was overwritten since cannot be made again.
 */
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { SLOT_BYTES } from './format.ts';
import type { Losses } from './losses.ts';
import type { ObjectCodec } from './object.ts';
import type { ObjectIndex } from './object-index.ts';
import type { PointDisk } from './point.ts';
import type { SessionObjects } from './session-objects.ts';

export interface HealRequest extends CallOptions {
  readonly reader: RangeReader;
  /** The same disk in earlier restore points. */
  readonly disks: readonly Pick<PointDisk, 'root' | 'size'>[];
}

export interface HealParts {
  readonly losses: Losses;
  readonly index: ObjectIndex;
  readonly codec: ObjectCodec;
  readonly session: SessionObjects;
}

/** Returns how many chunks were stored again. */
export async function healDisk(request: HealRequest, parts: HealParts): Promise<number> {
  const tried = new Set<string>();
  let healed = 0;
  for (const disk of request.disks) {
    for await (const { id, offset, sourceOffset } of parts.losses.pieces(disk)) {
      const key = `${id} ${offset - sourceOffset}`;
      if (tried.has(key)) continue;
      tried.add(key);
      if (await healChunk(id, offset - sourceOffset, request, parts)) healed += 1;
    }
  }
  return healed;
}

async function healChunk(
  id: string,
  offset: number,
  { reader, signal }: HealRequest,
  { index, codec, session }: HealParts,
): Promise<boolean> {
  // Its length is known from where it was; without that it may still come back with a full.
  const place = await index.findReadable(id);
  if (!place || offset < 0 || place.rawLength > SLOT_BYTES) return false;
  const raw = Buffer.alloc(place.rawLength);
  const length = Math.min(raw.length, reader.size - offset);
  if (length <= 0) return false;
  await reader.read(offset, raw.subarray(0, length), { signal });
  if (codec.idOf('data', raw).toString('hex') !== id) return false;
  return (await session.store('data', raw)).storedBytes > 0;
}
