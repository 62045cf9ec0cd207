/** Changes of a VHDX file: every structure field by field, sealed and not, redundant copies alone and together, and payload. */
import { ANYTHING, REFUSED, SAME, SAME_OR_REFUSED } from './expectation.ts';
import { always, areaMutator, fieldMutator } from './structure-fields.ts';
import { misplacing, resizing, type Mutator } from './subject.ts';
import { payloadMutators, tableMutators } from './vhdx-blocks.ts';
import { headerMutators, regionMutators, type Situation } from './vhdx-headers.ts';
import { KIB, MIB, PLACES, type DiskModel } from './vhdx-layout.ts';
import { metadataMutators } from './vhdx-metadata.ts';

export function vhdxMutators(model: DiskModel, situation: Situation = {}): Mutator[] {
  const { hasLog = false } = situation;
  const { image } = model;
  return [
    ...headerMutators(model, situation),
    ...regionMutators(model),
    ...metadataMutators(model, situation),
    fieldMutator(image, {
      name: 'file identifier',
      copies: [0],
      endian: 'little',
      weight: 1,
      fields: [
        { name: 'signature', at: 0, size: 8, rule: always(REFUSED) },
        { name: 'creator', at: 8, size: 8, rule: always(SAME) },
      ],
    }),
    ...(hasLog ? [] : tableMutators(model)),
    ...(hasLog ? [] : payloadMutators(model)),
    areaMutator(image, {
      name: 'behind the identifier',
      at: 520,
      length: 64 * KIB - 520,
      expect: SAME,
      weight: 1,
    }),
    areaMutator(image, { name: 'reserved', at: 320 * KIB, length: 704 * KIB, expect: SAME, weight: 1 }),
    misplacing(image, PLACES.payload),
    ...resizing(image, hasLog ? ANYTHING : SAME_OR_REFUSED, hasLog ? ANYTHING : SAME, MIB),
  ];
}
