/** Files without a parent, by hand. */
import { readFileSync } from 'node:fs';
import { MiB } from '../../src/base/index.ts';
import type { MemoryDisk } from '../../src/disk/index.ts';
import { DirtyLog } from '../../src/vhdx/log-writer.fixture.ts';
import { noise } from './content.ts';
import type { HandMade, Parts } from './vhdx-by-hand.ts';

export function alone({ block, size, blockSize, sector, chunk, base, emptied }: Parts): HandMade[] {
  return [
    {
      name: 'blocks in the reverse order of the disk',
      trait: 'VHDX, unusual order',
      layers: [{ ...base, blocks: base.blocks.toReversed() }],
    },
    {
      name: 'tables behind the payload',
      trait: 'VHDX, tables elsewhere',
      layers: [{ ...base, tables: 'behind' }],
    },
    {
      name: 'a size that is not whole groups of eight sectors',
      trait: 'VHDX, unusual order',
      layers: [{ ...base, size: size - sector }],
    },
    {
      name: 'a region that nobody has to know',
      trait: 'VHDX, unknown region',
      layers: [{ ...base, strangers: 'region' }],
    },
    {
      name: 'an item that nobody has to know',
      trait: 'VHDX, unknown item',
      layers: [{ ...base, strangers: 'system item' }],
    },
    {
      name: 'an item of a user under a name of the system',
      trait: 'VHDX, item of a user',
      layers: [{ ...base, strangers: 'user item' }],
    },
    {
      name: 'fixed, blocks out of order',
      trait: 'VHDX, unusual order',
      layers: [{ ...base, kind: 'fixed', blocks: [3, 0, 4, 2, 1].map((index) => block(index, 'fixed')) }],
    },
    {
      name: 'undefined, zero and unmapped blocks',
      trait: 'VHDX, empty states',
      layers: [{ ...base, blocks: [...emptied, block(3, 'base')] }],
    },
    {
      name: 'undefined, zero and unmapped blocks that still name a place',
      trait: 'VHDX, empty states with stale places',
      layers: [{ ...base, blocks: [...emptied.map((each) => ({ ...each, staleMiB: 4 })), block(3, 'base')] }],
    },
    {
      name: 'partially present without a parent',
      trait: 'VHDX, partial block without a parent',
      layers: [
        { ...base, blocks: [block(0, 'base'), block(1, 'base', { state: 'partial', sectors: [[0, 8]] })] },
      ],
    },
    { name: 'two equal headers', trait: 'VHDX, two equal headers', layers: [{ ...base, headers: 'twins' }] },
    {
      name: 'first header damaged',
      trait: 'VHDX, one header',
      layers: [{ ...base, headers: 'second only' }],
    },
    {
      name: 'second header damaged',
      trait: 'VHDX, one header',
      layers: [{ ...base, headers: 'first only' }],
    },
    {
      name: 'sequence numbers beyond 2⁵³',
      trait: 'VHDX, large sequence numbers',
      layers: [{ ...base, sequence: 2n ** 60n, headers: 'first newer' }],
    },
    {
      name: 'first region table damaged',
      trait: 'VHDX, one region table',
      layers: [{ ...base, regionTables: 'second only' }],
    },
    { name: 'no log', trait: 'VHDX, no log', layers: [{ ...base, log: 'none' }] },
    {
      name: 'bytes behind the last block',
      trait: 'VHDX, bytes behind the end',
      layers: [{ ...base, tail: 512 }],
    },
    {
      name: 'last block cut at the end of the disk',
      trait: 'VHDX, short last block',
      layers: [
        {
          ...base,
          blocks: [
            ...base.blocks,
            block(4, 'base', { strokes: [{ offset: 0, bytes: noise('short', 9 * sector) }] }),
          ],
          shortEnd: true,
        },
      ],
    },
    {
      name: 'blocks on both sides of a chunk',
      trait: 'VHDX, more than a chunk',
      layers: [
        {
          ...base,
          size: (chunk + 3) * blockSize,
          blocks: [0, chunk - 1, chunk, chunk + 2].map((index) => block(index, 'far')),
        },
      ],
    },
    {
      name: 'a log over tables and payload',
      trait: 'VHDX, not closed',
      layers: [base],
      damage: (path, content) => withLog(path, content, size),
    },
  ];
}

const BAT = 3 * MiB;

/** A log that gives block 1 another entry, writes sectors of block 2 and zeros others: two entries, the ring's end between. */
async function withLog(path: string, content: MemoryDisk, size: number): Promise<void> {
  const file = readFileSync(path);
  const table = Buffer.from(file.subarray(BAT, BAT + 4096));
  const blockAt = (entry: number): number => Number(table.readBigUInt64LE(8 * entry) >> 20n) * MiB;
  const blockSize = blockAt(1) - blockAt(0);
  const payload = blockAt(2);
  table.writeBigUInt64LE(2n, 8);
  const sectors = [0, 1].map((n) => noise(`logged ${n}`, 4096));
  const log = new DirtyLog(MiB);
  const grown = { flushed: file.length, last: file.length };
  const next = log.write(MiB - 8192, {
    sequence: 5n,
    tail: MiB - 8192,
    changes: [
      { offset: BAT, data: table },
      { offset: payload, data: sectors[0]! },
    ],
    ...grown,
  });
  log.write(next, {
    sequence: 6n,
    tail: MiB - 8192,
    changes: [
      { offset: payload + 8192, data: sectors[1]! },
      { offset: payload + 16384, zeros: 8192 },
    ],
    ...grown,
  });
  log.install(path);
  await content.zero(blockSize, Math.min(blockSize, size - blockSize));
  await content.write(2 * blockSize, sectors[0]!);
  await content.write(2 * blockSize + 8192, sectors[1]!);
  await content.zero(2 * blockSize + 16384, 8192);
}
