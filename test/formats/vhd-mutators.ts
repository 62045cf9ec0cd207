/** Changes of a VHD: footers alone and together, dynamic header, table, bitmaps, texts, payload. */
import { REFUSED, SAME, SAME_OR_REFUSED } from './expectation.ts';
import { misplacing, resizing, type Mutator } from './subject.ts';
import { blockMutators } from './vhd-blocks.ts';
import { fixedMutators, footerMutators, type VhdSituation } from './vhd-footers.ts';
import { headerMutators } from './vhd-headers.ts';
import { SECTOR, type VhdModel } from './vhd-layout.ts';

export function vhdMutators(model: VhdModel, situation: VhdSituation): Mutator[] {
  const { image } = model;
  if (situation.kind === 'fixed')
    return [...fixedMutators(model), ...resizing(image, REFUSED, REFUSED, SECTOR)];
  return [
    ...footerMutators(model, situation),
    ...headerMutators(model, situation),
    ...blockMutators(model),
    misplacing(image, image.originalSize),
    // A file cut behind its last block has the copy of its footer; a block that is cut is refused.
    ...resizing(image, SAME_OR_REFUSED, SAME, SECTOR),
  ];
}
