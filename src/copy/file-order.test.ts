import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Batch } from './batch.ts';
import { inFileOrder } from './file-order.ts';

function batch(path: string, fileOffset: number): Batch {
  const reads = [{ file: { path }, fileOffset, at: 0, length: 1 }];
  return { ranges: [], length: 1, reads, virtualBytes: 1 };
}

async function* streamOf(batches: readonly Batch[]): AsyncGenerator<Batch> {
  yield* batches;
}

const key = ({ reads }: Batch): [string, number] => [reads![0]!.file.path, reads![0]!.fileOffset];

test('within a window, files come one after the other and each from its front; nothing is lost or doubled', async () => {
  const place = fc.record({ path: fc.constantFrom('a', 'b', 'c'), at: fc.nat() });
  await fc.assert(
    fc.asyncProperty(fc.array(place, { maxLength: 100 }), async (places) => {
      const given = places.map(({ path, at }) => batch(path, at));
      const got = await Array.fromAsync(inFileOrder(streamOf(given)));
      const sorted = given.toSorted((a, b) => {
        const [[pathA, atA], [pathB, atB]] = [key(a), key(b)];
        return pathA === pathB ? atA - atB : pathA < pathB ? -1 : 1;
      });
      assert.deepEqual(got.map(key), sorted.map(key));
      assert.equal(new Set(got).size, given.length);
    }),
  );
});

test('the window is bounded: the first batch comes before the stream has ended', async () => {
  let asked = 0;
  async function* endless(): AsyncGenerator<Batch> {
    for (;;) yield batch('a', (asked += 1));
  }
  for await (const _ of inFileOrder(endless())) break;
  assert.ok(asked > 0 && asked <= 1000, `${asked}`);
});

test('a window of batches that are each in many pieces is closed early', async () => {
  let asked = 0;
  async function* endless(): AsyncGenerator<Batch> {
    for (;;) {
      asked += 1;
      const reads = Array.from({ length: 8192 }, (_, i) => ({
        file: { path: 'a' },
        fileOffset: i,
        at: i,
        length: 1,
      }));
      yield { ranges: [], length: 8192, reads, virtualBytes: 8192 };
    }
  }
  for await (const _ of inFileOrder(endless())) break;
  assert.ok(asked <= 8, `${asked}`);
});

test('what is in no file stays in the order of the disk', async () => {
  const given = [3, 1, 2].map((length): Batch => ({ ranges: [], length, reads: undefined, virtualBytes: 0 }));
  const got = await Array.fromAsync(inFileOrder(streamOf([...given, batch('a', 1)])));
  assert.deepEqual(
    got.filter(({ reads }) => !reads).map(({ length }) => length),
    [3, 1, 2],
  );
});
