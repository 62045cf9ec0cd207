/** Changes of the dynamic header of a VHD and of the texts that name its parent. */
import { ANYTHING, REFUSED, SAME, SAME_OR_REFUSED } from './expectation.ts';
import { always, areaMutator, fieldMutator, type FieldOf, type Rule } from './structure-fields.ts';
import type { Mutator } from './subject.ts';
import { versionRule, type VhdSituation } from './vhd-footers.ts';
import { HEADER, PLACES, SECTOR, TABLE, sumSeal, type VhdModel } from './vhd-layout.ts';

export function headerMutators(model: VhdModel, { kind }: VhdSituation): Mutator[] {
  const { image } = model;
  const isChild = kind === 'differencing';
  const seals = [sumSeal(HEADER, 1024, 36)];
  const texts = TABLE + SECTOR;
  return [
    {
      name: 'dynamic header, not sealed',
      weight: 3,
      make: (random) => {
        const offset = HEADER + random.below(1024);
        const patches = [{ offset, bytes: Buffer.of(image.bytes[offset]! ^ random.between(1, 256)) }];
        return {
          what: `dynamic header at ${offset - HEADER}`,
          patches,
          expect: REFUSED,
          amongOthers: ANYTHING,
        };
      },
    },
    fieldMutator(image, {
      name: 'dynamic header, sealed',
      copies: [HEADER],
      endian: 'big',
      weight: 8,
      seals,
      fields: headerFields(model, isChild),
    }),
    ...(isChild
      ? [
          fieldMutator(image, {
            name: 'parent locators, sealed',
            copies: [HEADER],
            endian: 'big',
            weight: 6,
            seals,
            fields: locatorFields(),
          }),
          areaMutator(image, {
            name: 'text that names the parent',
            at: texts,
            length: SECTOR,
            expect: SAME_OR_REFUSED,
            weight: 3,
          }),
        ]
      : []),
    areaMutator(image, {
      name: 'behind the block table',
      at: TABLE + 4 * model.blocks,
      length: SECTOR - 4 * model.blocks,
      expect: SAME,
      amongOthers: SAME_OR_REFUSED,
      weight: 1,
    }),
  ];
}

function headerFields({ blocks }: VhdModel, isChild: boolean): FieldOf[] {
  const room: Rule = (entries) => (entries < BigInt(blocks) ? REFUSED : SAME);
  const blockSizes = [512, 32_768, 65_536, 131_072, 2 ** 21, 2 ** 28, 2 ** 29];
  return [
    { name: 'cookie', at: 0, size: 8, rule: always(REFUSED) },
    { name: 'dataOffset', at: 8, size: 8, rule: always(SAME) },
    { name: 'tableOffset', at: 16, size: 8, values: PLACES, rule: always(ANYTHING) },
    { name: 'headerVersion', at: 24, size: 4, values: [0x10001, 0x20000], rule: versionRule },
    {
      name: 'maxTableEntries',
      at: 28,
      size: 4,
      values: [0, blocks - 1, blocks + 1, 2 ** 32 - 1],
      rule: room,
    },
    { name: 'blockSize', at: 32, size: 4, values: blockSizes, rule: always(ANYTHING) },
    { name: 'parentUniqueId', at: 40, size: 16, rule: always(isChild ? REFUSED : SAME) },
    { name: 'parentTimestamp', at: 56, size: 4, rule: always(SAME) },
    { name: 'reserved', at: 60, size: 4, rule: always(SAME) },
    { name: 'parentName', at: 64, size: 16, rule: always(SAME) },
    { name: 'end of the reserved', at: 1016, size: 8, rule: always(SAME) },
  ];
}

/** Whatever is tried, only the file with the right identity is taken. */
function locatorFields(): FieldOf[] {
  return [0, 1, 7].flatMap((index): FieldOf[] => {
    const at = 576 + 24 * index;
    const codes = [0x57327275, 0x57326b75, 0x57693272, 0x5769326b, 0x4d616358];
    return [
      { name: `platformCode ${index}`, at, size: 4, values: codes, rule: always(SAME_OR_REFUSED) },
      { name: `platformDataSpace ${index}`, at: at + 4, size: 4, rule: always(SAME) },
      {
        name: `platformDataLength ${index}`,
        at: at + 8,
        size: 4,
        values: [0, 1, 65_536, 65_537],
        rule: always(SAME_OR_REFUSED),
      },
      { name: `reserved of locator ${index}`, at: at + 12, size: 4, rule: always(SAME) },
      {
        name: `platformDataOffset ${index}`,
        at: at + 16,
        size: 8,
        values: PLACES,
        rule: always(SAME_OR_REFUSED),
      },
    ];
  });
}
