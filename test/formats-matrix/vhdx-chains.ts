/** Chains, by hand. */
import type { HandMade, Parts } from './vhdx-by-hand.ts';

export function chains({
  block,
  blockSize,
  sector,
  chunk,
  base,
  child,
  partial,
  emptied,
}: Parts): HandMade[] {
  return [
    {
      name: 'partial blocks over data',
      trait: 'VHDX chain',
      layers: [
        base,
        {
          ...child,
          blocks: [block(1, 'child', partial), block(3, 'child', partial), block(4, 'child', partial)],
        },
      ],
    },
    {
      name: 'undefined, zero and unmapped blocks over data',
      trait: 'VHDX chain, empty states',
      layers: [base, { ...child, blocks: [...emptied, block(3, 'child', partial)] }],
    },
    {
      name: 'empty blocks that still name a place, over data',
      trait: 'VHDX chain, empty states with stale places',
      layers: [
        base,
        {
          ...child,
          blocks: [...emptied.map((each) => ({ ...each, staleMiB: 4 })), block(3, 'child', partial)],
        },
      ],
    },
    {
      name: 'three files, partial over partial',
      trait: 'VHDX chain',
      layers: [
        base,
        { ...child, blocks: [block(0, 'one', partial), block(2, 'one')] },
        {
          ...child,
          blocks: [
            block(0, 'two', {
              ...partial,
              sectors: [
                [4, 2],
                [9, 30],
              ],
            }),
            block(2, 'two', partial),
          ],
        },
      ],
    },
    {
      name: 'a parent that ends earlier',
      trait: 'VHDX chain, smaller parent',
      layers: [
        { ...base, size: 2 * blockSize - 8 * sector },
        { ...child, blocks: [block(1, 'child', partial), block(2, 'child', partial)] },
      ],
    },
    {
      name: 'a child with tables behind the payload',
      trait: 'VHDX chain',
      layers: [base, { ...child, tables: 'behind', blocks: [block(3, 'child', partial), block(1, 'child')] }],
    },
    {
      name: 'partial blocks on both sides of a chunk',
      trait: 'VHDX chain, more than a chunk',
      layers: [
        {
          ...base,
          size: (chunk + 3) * blockSize,
          blocks: [chunk - 1, chunk, chunk + 1].map((index) => block(index, 'far')),
        },
        {
          ...child,
          size: (chunk + 3) * blockSize,
          blocks: [chunk + 2, chunk, chunk - 1].map((index) => block(index, 'child', partial)),
        },
      ],
    },
  ];
}
