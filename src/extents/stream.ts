/** Extent streams: sorted, non-overlapping extents that arrive one by one, for disks too large to list. */
import { faults } from '../base/index.ts';
import { endOf, type Extent } from './extents.ts';

export type ExtentStream = AsyncIterable<Extent> | Iterable<Extent>;

const streamFaults = faults('EXTENT', {
  disorder: {
    kind: 'bug',
    text: 'extent at {offset} arrived after the stream had reached {reached}',
    remedy: 'please report this; the producer of the stream must sort it',
  },
});

/** Merges touching extents of a sorted stream and cuts the result into pieces that never cross a multiple of `piece`. */
export async function* piecesOf(stream: ExtentStream, piece: number): AsyncGenerator<Extent> {
  for await (const extent of coalesce(stream)) {
    for (let at = extent.offset; at < endOf(extent);) {
      const end = Math.min(endOf(extent), (Math.floor(at / piece) + 1) * piece);
      yield { offset: at, length: end - at };
      at = end;
    }
  }
}

/** Merges overlapping and touching neighbours; throws `EXTENT_DISORDER` when an extent starts before its predecessor did. */
export async function* coalesce(stream: ExtentStream): AsyncGenerator<Extent> {
  let pending: Extent | undefined;
  for await (const extent of stream) {
    if (extent.length <= 0) continue;
    if (!pending) {
      pending = extent;
    } else if (extent.offset < pending.offset) {
      throw streamFaults.disorder({ offset: extent.offset, reached: pending.offset });
    } else if (extent.offset <= endOf(pending)) {
      const end = Math.max(endOf(pending), endOf(extent));
      pending = { offset: pending.offset, length: end - pending.offset };
    } else {
      yield pending;
      pending = extent;
    }
  }
  if (pending) yield pending;
}

/** What is in one of two sorted streams or in both, merged. */
export async function* unionStream(a: ExtentStream, b: ExtentStream): AsyncGenerator<Extent> {
  yield* coalesce(inOrder(a, b));
}

async function* inOrder(a: ExtentStream, b: ExtentStream): AsyncGenerator<Extent> {
  const rest = iteratorOf(b);
  try {
    let other = await rest.next();
    for await (const extent of a) {
      for (; !other.done && other.value.offset < extent.offset; other = await rest.next()) yield other.value;
      yield extent;
    }
    for (; !other.done; other = await rest.next()) yield other.value;
  } finally {
    await rest.return?.();
  }
}

function iteratorOf(stream: ExtentStream): AsyncIterator<Extent> | Iterator<Extent> {
  return Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]();
}

/** Grows each extent outward to `grid`, clips to `size`, merges what then touches. */
export async function* alignStream(stream: ExtentStream, grid: number, size: number): AsyncGenerator<Extent> {
  yield* coalesce(grow(stream, grid, size));
}

async function* grow(stream: ExtentStream, grid: number, size: number): AsyncGenerator<Extent> {
  for await (const extent of stream) {
    const start = Math.floor(extent.offset / grid) * grid;
    const end = Math.min(size, Math.ceil(endOf(extent) / grid) * grid);
    if (start < end) yield { offset: start, length: end - start };
  }
}
