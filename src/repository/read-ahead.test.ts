import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KiB, MiB } from '../base/index.ts';
import { ReadAhead } from './read-ahead.ts';

/** Fetches end when they are let. */
function aheadOf(slots: number) {
  const fetched: number[] = [];
  const open: (() => void)[] = [];
  const ahead = new ReadAhead(slots, (slot) => {
    fetched.push(slot);
    return new Promise((resolve) => open.push(resolve));
  });
  const settle = async (): Promise<void> => {
    while (open.length > 0) {
      open.shift()!();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { ahead, fetched, open, settle };
}

test('the third read in a row brings the next slots, four at a time, eight in all', async () => {
  const { ahead, fetched, settle } = aheadOf(100);
  ahead.saw(0, 64 * KiB);
  ahead.saw(64 * KiB, 64 * KiB);
  assert.deepEqual(fetched, []);
  ahead.saw(128 * KiB, 64 * KiB);
  assert.deepEqual(fetched, [1, 2, 3, 4]);
  await settle();
  assert.deepEqual(fetched, [1, 2, 3, 4, 5, 6, 7, 8]);
  ahead.saw(192 * KiB, MiB);
  await settle();
  assert.deepEqual(fetched, [1, 2, 3, 4, 5, 6, 7, 8, 9], 'nothing is fetched twice');
});

test('random reads, even many, fetch nothing ahead', () => {
  const { ahead, fetched } = aheadOf(1_000_000);
  for (let i = 0; i < 10_000; i += 1) ahead.saw(((i * 7919) % 999_983) * MiB, 64 * KiB);
  assert.deepEqual(fetched, []);
});

test('four readers in four places are each followed', async () => {
  const { ahead, fetched, settle } = aheadOf(4000);
  for (let i = 0; i < 8; i += 1) {
    for (let reader = 0; reader < 4; reader += 1) ahead.saw(reader * 1000 * MiB + i * 256 * KiB, 256 * KiB);
    await settle();
  }
  const perReader = [0, 1, 2, 3].map(
    (reader) => fetched.filter((slot) => Math.floor(slot / 1000) === reader).length,
  );
  assert.deepEqual(perReader, [9, 9, 9, 9]);
});

test('what a reader wanted who has gone elsewhere is not fetched any more', async () => {
  const { ahead, fetched, settle } = aheadOf(1_000_000);
  for (let i = 0; i < 3; i += 1) ahead.saw(i * MiB, MiB);
  const begun = fetched.length;
  for (let i = 0; i < 40; i += 1) ahead.saw((1000 + 17 * i) * MiB, MiB);
  await settle();
  assert.equal(fetched.length, begun);
});

test('nothing behind the end of the disk', async () => {
  const { ahead, fetched, settle } = aheadOf(6);
  for (let i = 0; i < 6; i += 1) {
    ahead.saw(i * MiB, MiB);
    await settle();
  }
  assert.deepEqual(fetched, [3, 4, 5]);
});
