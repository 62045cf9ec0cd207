/** VHD files in memory: fixed, dynamic, and a chain of which either file is changed. */
import { join } from 'node:path';
import { subtract, type Extent } from '../../src/extents/index.ts';
import { beside, buildVhd, type BuiltBlock } from '../../src/vhd/built-vhd.fixture.ts';
import { MutableImage } from './mutable-image.ts';
import { Random } from './random.ts';
import { windowsOf, type Subject } from './subject.ts';
import { BLOCK_SIZE, SECTOR, VhdModel } from './vhd-layout.ts';
import { vhdMutators } from './vhd-mutators.ts';
import { seen } from './vhdx-subjects.ts';

const SIZE = 3 * BLOCK_SIZE + 1536;
const PARENT_ID = '5c0f7f0e-6f43-4f0c-8f69-5c9d2c1e7a10';
const CHILD_ID = '9d6f4f7a-0a0b-4c47-b0a4-6c1f3a2b7d22';

export function vhdSubjects(folder: string): Subject[] {
  const random = new Random(13);
  return [fixedSubject(folder, random), ...chainSubjects(folder, random)];
}

function fixedSubject(folder: string, random: Random): Subject {
  const path = join(folder, 'fixed.vhd');
  const content = random.bytes(SIZE);
  const image = new MutableImage(buildVhd(path, { kind: 'fixed', size: SIZE, uniqueId: PARENT_ID, content }));
  return {
    name: 'VHD, fixed',
    path,
    files: new Map([[path, image]]),
    image,
    content,
    windows: windowsOf(SIZE, BLOCK_SIZE),
    mutators: vhdMutators(new VhdModel(image, SIZE), { kind: 'fixed' }),
  };
}

function chainSubjects(folder: string, random: Random): Subject[] {
  const parentPath = join(folder, 'parent.vhd');
  const childPath = join(folder, 'child.avhd');
  const block = (index: number, has?: (sector: number) => boolean): BuiltBlock => ({
    index,
    data: random.bytes(BLOCK_SIZE),
    ...(has ? { has } : {}),
  });
  const shape = { size: SIZE, blockSize: BLOCK_SIZE };
  const below = new MutableImage(
    buildVhd(parentPath, {
      ...shape,
      kind: 'dynamic',
      uniqueId: PARENT_ID,
      blocks: [block(3), block(0), block(2, (sector) => sector % 5 !== 0)],
    }),
  );
  const above = new MutableImage(
    buildVhd(childPath, {
      ...shape,
      kind: 'differencing',
      uniqueId: CHILD_ID,
      parentId: PARENT_ID,
      locators: beside('parent.vhd'),
      blocks: [
        block(1),
        block(0, (sector) => sector >= 8 && sector < 40),
        block(3, (sector) => sector === 1),
      ],
    }),
  );
  const base = new VhdModel(below, SIZE);
  const model = new VhdModel(above, SIZE, base.content);
  const files = new Map([
    [childPath, above],
    [parentPath, below],
  ]);
  const looks = { content: model.content, windows: windowsOf(SIZE, BLOCK_SIZE) };
  const transparent = subtract([{ offset: 0, length: SIZE }], ownSectors(model));
  return [
    {
      name: 'VHD, dynamic',
      path: parentPath,
      files: new Map([[parentPath, below]]),
      image: below,
      content: base.content,
      windows: looks.windows,
      mutators: vhdMutators(base, { kind: 'dynamic' }),
    },
    {
      name: 'VHD, child',
      path: childPath,
      files,
      image: above,
      ...looks,
      mutators: vhdMutators(model, { kind: 'differencing' }),
    },
    {
      name: 'VHD, parent',
      path: childPath,
      files,
      image: below,
      ...looks,
      mutators: vhdMutators(base, { kind: 'dynamic', isParent: true }).map((each) => seen(each, transparent)),
    },
  ];
}

/** Of the child: sectors that hide its parent. */
function ownSectors(model: VhdModel): Extent[] {
  const through = new VhdModel(model.image, model.size, Buffer.alloc(model.size, 0xff));
  const opaque = new VhdModel(model.image, model.size);
  const [one, other] = [through.content, opaque.content];
  const sectors: Extent[] = [];
  for (let offset = 0; offset < model.size; offset += SECTOR) {
    const isSame = one.compare(other, offset, offset + SECTOR, offset, offset + SECTOR) === 0;
    if (isSame) sectors.push({ offset, length: SECTOR });
  }
  return sectors;
}
