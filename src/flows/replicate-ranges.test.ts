import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KiB, MiB } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { normalise, totalBytes, type Extent } from '../extents/index.ts';
import { copyRanges, type RangeCopy, type RangeTally } from './replicate-ranges.ts';

const SIZE = 3 * MiB + 512;
const extent = fc
  .tuple(fc.nat({ max: SIZE - 1 }), fc.integer({ min: 1, max: 400_000 }))
  .map(([offset, length]) => ({ offset, length: Math.min(length, SIZE - offset) }));
const writes = fc.array(fc.tuple(extent, fc.nat({ max: 3 })), { maxLength: 8 });

async function diskOf(all: readonly (readonly [Extent, number])[], under?: MemoryDisk): Promise<MemoryDisk> {
  const disk = under?.snapshot() ?? new MemoryDisk(SIZE);
  for (const [{ offset, length }, fill] of all) await disk.write(offset, Buffer.alloc(length, fill));
  return disk;
}

async function contentOf(disk: MemoryDisk): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.size);
  await disk.read(0, bytes);
  return bytes;
}

function copy(request: Pick<RangeCopy, 'source' | 'extents' | 'into' | 'how'>): Promise<RangeTally> {
  return copyRanges({ ...request, advance() {} });
}

test('differences make any two disks equal; a second time there are none', async () => {
  await fc.assert(
    fc.asyncProperty(writes, writes, async (a, b) => {
      const [source, into] = [await diskOf(a), await diskOf(b)];
      await copy({ source, into, extents: source.allocated(), how: 'differences' });
      assert.ok((await contentOf(into)).equals(await contentOf(source)));
      const again = await copy({ source, into, extents: source.allocated(), how: 'differences' });
      assert.equal(again.written + again.zeroed, 0);
    }),
    { numRuns: 60 },
  );
});

test('changed ranges over the earlier content make the later one, and nothing else is read or written', async () => {
  await fc.assert(
    fc.asyncProperty(writes, writes, async (earlier, changes) => {
      const into = await diskOf(earlier);
      const source = await diskOf(changes, into);
      const extents = normalise(changes.map(([range]) => range));
      const tally = await copy({ source, into, extents, how: 'over' });
      assert.ok((await contentOf(into)).equals(await contentOf(source)));
      assert.equal(tally.read, totalBytes(extents));
      assert.equal(tally.written + tally.zeroed, tally.read);
    }),
    { numRuns: 60 },
  );
});

test('into an empty disk only data is written, never zeros', async () => {
  const source = await diskOf([[{ offset: 0, length: MiB }, 0]]);
  await source.write(70 * KiB, Buffer.alloc(KiB, 1));
  const into = new MemoryDisk(SIZE);
  const tally = await copy({ source, into, extents: [{ offset: 0, length: SIZE }], how: 'fresh' });
  assert.deepEqual(tally, { read: SIZE, written: 64 * KiB, zeroed: 0 });
  assert.ok((await contentOf(into)).equals(await contentOf(source)));
});

test('a cancelled copy ends with the reason, and nothing is under way afterwards', async () => {
  const [source, into] = [new MemoryDisk(24 * MiB), new MemoryDisk(24 * MiB)];
  await source.write(0, Buffer.alloc(24 * MiB, 1));
  const reason = new Error('enough');
  const gone = new AbortController();
  const advance = (): void => gone.abort(reason);
  const extents = source.allocated();
  await assert.rejects(
    copyRanges({ source, into, extents, how: 'fresh', advance, signal: gone.signal }),
    reason,
  );
  const then = await contentOf(into);
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok((await contentOf(into)).equals(then));
});
