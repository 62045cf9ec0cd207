/** Merged segments against a model: a map of places. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createMemoryStore } from '../objectstore/index.ts';
import { hexOf } from './format.ts';
import { ObjectIndex } from './object-index.ts';
import type { ObjectPlace, PackInfo } from './segment-writer.ts';

const repositoryId = randomBytes(16);
const packs = Array.from({ length: 6 }, (_, n): PackInfo => ({
  packId: Buffer.alloc(16, n + 1),
  size: 30_000_000,
  type: n % 2 === 0 ? 'data' : 'meta',
}));

/** Ids that begin alike for their first seven bytes as well as such that do not. */
function idOf(n: number): Buffer {
  const id = Buffer.alloc(32, n % 3 === 0 ? 7 : n);
  id.writeUInt32BE(n, 28);
  return id;
}

/** What a place is known by: the same object in the same pack is the same place. */
const placeArbitrary = fc.record({ object: fc.nat(40), pack: fc.nat(packs.length - 1) });
const segmentArbitrary = fc.uniqueArray(placeArbitrary, {
  minLength: 15, // no segment is so much larger than another that it is left alone
  maxLength: 30,
  selector: ({ object, pack }) => `${object} ${pack}`,
});

function placeOf({ object, pack }: { readonly object: number; readonly pack: number }): ObjectPlace {
  const { packId } = packs[pack]!;
  return { id: idOf(object), packId, offset: object * 100, storedLength: pack, rawLength: 200 };
}

async function placesOf(index: ObjectIndex): Promise<string[]> {
  const found: string[] = [];
  for (const segment of index.segments)
    for await (const { id, packId, offset, storedLength } of segment.entries())
      found.push([hexOf(id), hexOf(packId), offset, storedLength].join(' '));
  return found;
}

test('segments that are merged hold each place once, in order, and nothing of packs that are gone', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(segmentArbitrary, { minLength: 1, maxLength: 6 }),
      fc.uniqueArray(fc.nat(packs.length - 1), { minLength: 1 }),
      async (segments, gone) => {
        const index = new ObjectIndex(createMemoryStore(), repositoryId);
        for (const places of segments) await index.add({ packs, places: places.map(placeOf) });
        await index.drop((packId) => !gone.includes(packId[0]! - 1));
        const kept = segments.flat().filter(({ pack }) => !gone.includes(pack));
        const expected = new Set(
          kept
            .map((each) => placeOf(each))
            .map((place) =>
              [hexOf(place.id), hexOf(place.packId), place.offset, place.storedLength].join(' '),
            ),
        );
        const found = await placesOf(index);
        assert.equal(index.segments.length, 1);
        assert.deepEqual(found.toSorted(), [...expected].toSorted());
        const ids = found.map((line) => line.slice(0, 64));
        assert.deepEqual(ids, ids.toSorted());
        for (const { object } of kept) assert.ok(await index.find(idOf(object)));
        assert.ok((await index.segments[0]!.packs()).every(({ packId }) => !gone.includes(packId[0]! - 1)));
      },
    ),
    { numRuns: 200 },
  );
});
