/** Reading a restore point at random: right whatever is kept, each chunk decoded once, and little is read before the first byte. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { KiB, MiB, TiB, hasCode } from '../base/index.ts';
import type { Disk } from '../disk/index.ts';
import { createMemoryStore, openDirectoryStore, type ObjectStore } from '../objectstore/index.ts';
import { CELL_BYTES } from './format.ts';
import { Repository } from './repository.ts';
import {
  backUp,
  contentOf,
  diskWith,
  openTest,
  partsFor,
  sampleBytes,
  temporaryFolder,
} from './repository.fixture.ts';

/** Notes what is read, and from where; each read waits for `gate`, when there is one. */
function counted(store: ObjectStore, gate?: { open: Promise<void> | undefined }) {
  const reads: string[] = [];
  const counting = new Proxy(store, {
    get(target, member: keyof ObjectStore) {
      const value: unknown = target[member];
      if (typeof value !== 'function') return value;
      return (...args: readonly unknown[]): unknown => {
        const call = (): unknown => value.apply(target, args) as unknown;
        if (member !== 'getRange') return call();
        reads.push(args[0] as string);
        return gate?.open ? gate.open.then(call) : call();
      };
    },
  });
  return { counting, reads };
}

/** 6 MiB and a bit: whole chunks, a hole, and a slot patched in three generations. */
async function patchedPoint(repository: Repository) {
  const size = 6 * MiB + 4096;
  const disk = await diskWith(size, [
    [0, sampleBytes(3 * MiB, 1)],
    [5 * MiB, sampleBytes(MiB + 4096, 2)],
  ]);
  let { root } = await backUp(repository, { reader: disk, extents: disk.allocated() });
  for (const [generation, cell] of [3, 7, 8].entries()) {
    const extent = { offset: MiB + cell * CELL_BYTES, length: CELL_BYTES };
    await disk.write(extent.offset, sampleBytes(CELL_BYTES, 10 + generation));
    ({ root } = await backUp(repository, { reader: disk, extents: [extent], base: root }));
  }
  return { root, size, content: await contentOf(disk) };
}

for (const [name, workers, cacheBytes] of [
  ['threads and a cache for all of it', 1, 64 * MiB],
  ['threads and a cache that holds next to nothing', 1, MiB + 1],
  ['no threads and a small cache', 0, 2 * MiB],
] as const) {
  test(`any reads, many at once, give the bytes that were stored: ${name}`, async () => {
    const store = await openDirectoryStore(join(temporaryFolder(), `reads-${workers}-${cacheBytes}`), {
      create: true,
    });
    const repository = await openTest(store);
    const { root, size, content } = await patchedPoint(repository);
    await using chunks = repository.chunkReader({ workers, cacheBytes });
    const disk = repository.openDisk(root, size, { chunks });
    const range = fc
      .tuple(fc.nat({ max: size }), fc.oneof(fc.nat({ max: 200_000 }), fc.nat({ max: 4 * MiB })))
      .map(([offset, length]) => ({ offset, length: Math.min(length, size - offset) }));
    await fc.assert(
      fc.asyncProperty(fc.array(range, { minLength: 1, maxLength: 12 }), async (ranges) => {
        await Promise.all(
          ranges.map(async ({ offset, length }) => {
            const bytes = Buffer.alloc(length, 0xa5);
            await disk.read(offset, bytes);
            assert.ok(
              bytes.equals(content.subarray(offset, offset + length)),
              `${length} bytes at ${offset}`,
            );
          }),
        );
        assert.ok(chunks.keptBytes <= cacheBytes);
      }),
      { numRuns: 40 },
    );
    await disk.close();
  });
}

test('sixteen readers of one chunk have it read from the store once, and again once others pushed it out', async () => {
  const { counting, reads } = counted(createMemoryStore());
  const repository = await openTest(counting);
  const reader = await diskWith(4 * MiB, [[0, sampleBytes(4 * MiB, 3)]]);
  const { root } = await backUp(repository, { reader, extents: reader.allocated() });
  await using chunks = repository.chunkReader({ workers: 0, cacheBytes: 2 * MiB });
  const disk = repository.openDisk(root, 4 * MiB, { chunks });
  const piece = Buffer.alloc(64 * KiB);
  await disk.read(0, piece);
  reads.length = 0;
  const readIn = (slot: number): Promise<unknown> =>
    Promise.all(
      Array.from({ length: 16 }, (_, i) =>
        disk.read(slot * MiB + (15 - i) * 64 * KiB, Buffer.alloc(64 * KiB)),
      ),
    );
  await readIn(2);
  assert.equal(reads.length, 1);
  await readIn(0);
  assert.equal(reads.length, 1, 'it was kept');
  await readIn(3);
  await readIn(1);
  await readIn(2);
  assert.equal(reads.length, 4);
});

test('the first byte of a disk of 64 TiB takes two reads of the store, wherever it is', async () => {
  const size = 64 * TiB;
  const parts = partsFor();
  const places = [0, 17 * TiB + 5 * MiB, size - MiB];
  const disk = await diskWith(
    size,
    places.map((at, i) => [at, sampleBytes(MiB, i)]),
  );
  const { root } = await backUp(await Repository.open(parts), { reader: disk, extents: disk.allocated() });
  for (const at of places) {
    const { counting, reads } = counted(parts.store);
    const repository = await Repository.open({ ...parts, store: counting });
    await using chunks = repository.chunkReader({ workers: 0 });
    const opened = repository.openDisk(root, size, { chunks });
    reads.length = 0;
    const byte = Buffer.alloc(1);
    await opened.read(at, byte);
    assert.equal(byte[0], sampleBytes(1, places.indexOf(at))[0]);
    // The four pages on the way through the map lie together in their pack; then the chunk.
    assert.equal(reads.length, 2, reads.join(' '));
    await opened.close();
  }
});

test('who reads front to back asks the store for each chunk once, and finds the next ones there', async () => {
  const { counting, reads } = counted(createMemoryStore());
  const repository = await openTest(counting);
  const content = sampleBytes(24 * MiB, 4);
  const reader = await diskWith(content.length, [[0, content]]);
  const { root } = await backUp(repository, { reader, extents: reader.allocated() });
  await using chunks = repository.chunkReader({ workers: 0 });
  const disk = repository.openDisk(root, content.length, { chunks });
  const piece = Buffer.alloc(256 * KiB);
  await disk.read(0, piece);
  reads.length = 0;
  for (let at = 256 * KiB; at < content.length; at += piece.length) {
    assert.ok(at < MiB || reads.length >= Math.floor(at / MiB), `what lies at ${at} was there before`);
    await disk.read(at, piece);
    assert.ok(piece.equals(content.subarray(at, at + piece.length)));
    await settled(chunks);
  }
  assert.equal(reads.length, 23);
  await disk.close();
});

test('a store that does not answer: sixteen chunks are asked for at most, and who gives up is let go', async () => {
  const gate: { open: Promise<void> | undefined } = { open: undefined };
  const { counting, reads } = counted(createMemoryStore(), gate);
  const repository = await openTest(counting);
  const content = sampleBytes(40 * MiB, 6);
  const reader = await diskWith(content.length, [[0, content]]);
  const { root } = await backUp(repository, { reader, extents: reader.allocated() });
  await using chunks = repository.chunkReader({ workers: 0 });
  const disk = repository.openDisk(root, content.length, { chunks });
  await disk.read(0, Buffer.alloc(1));
  const { promise, resolve: answer } = Promise.withResolvers<void>();
  gate.open = promise;
  reads.length = 0;
  const controller = new AbortController();
  const pieces = Array.from({ length: 39 }, (_, i) => ({
    at: (39 - i) * MiB,
    bytes: Buffer.alloc(512, 0xa5),
  }));
  const outcomes = pieces.map(({ at, bytes }, i) =>
    disk.read(at, bytes, i % 2 === 0 ? { signal: controller.signal } : {}),
  );
  const settling = Promise.allSettled(outcomes);
  await settled(chunks);
  assert.equal(reads.length, 16);
  controller.abort(new Error('given up'));
  await assert.rejects(outcomes[0]!, /given up/);
  answer();
  for (const [i, outcome] of (await settling).entries()) {
    const { at, bytes } = pieces[i]!;
    assert.equal(outcome.status, i % 2 === 0 ? 'rejected' : 'fulfilled');
    if (i % 2 === 1) assert.ok(bytes.equals(content.subarray(at, at + 512)));
  }
  await disk.close();
});

async function settled(chunks: { readonly keptBytes: number }): Promise<void> {
  for (let before = -1; before !== chunks.keptBytes;) {
    before = chunks.keptBytes;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

for (const workers of [0, 1]) {
  test(`${workers} threads: a chunk that is damaged or gone is told, again and again, and the others are read`, async () => {
    const store = createMemoryStore();
    const parts = partsFor(store);
    const repository = await Repository.open(parts);
    const content = sampleBytes(3 * MiB, 5);
    const reader = await diskWith(content.length, [[0, content]]);
    const { root } = await backUp(repository, { reader, extents: reader.allocated() });
    const names = await Array.fromAsync(store.list('packs/'), ({ name, size }) => ({ name, size }));
    const largest = names.toSorted((a, b) => b.size - a.size)[0]!;
    store.damage(largest.name, (bytes) => {
      const at = Math.floor(bytes.length / 2); // in the second of three chunks
      return bytes.with(at, bytes[at]! ^ 0x10);
    });
    await using chunks = repository.chunkReader({ workers });
    const disk = repository.openDisk(root, content.length, { chunks });
    for (let times = 0; times < 2; times += 1) {
      await assert.rejects(readAt(disk, MiB), (error) => hasCode(error, 'REPO_OBJECT_DAMAGED'));
      for (const at of [0, 2 * MiB])
        assert.ok((await readAt(disk, at)).equals(content.subarray(at, at + 64 * KiB)));
    }
    await disk.close();
  });
}

async function readAt(disk: Disk, offset: number): Promise<Buffer> {
  const bytes = Buffer.from(randomBytes(64 * KiB));
  await disk.read(offset, bytes);
  return bytes;
}
