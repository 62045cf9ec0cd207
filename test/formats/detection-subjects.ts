/** Raw disks under several names, with the beginnings and ends of other formats put into them. */
import { ANYTHING, REFUSED, type Expectation } from './expectation.ts';
import { MutableImage } from './mutable-image.ts';
import { Random } from './random.ts';
import { endOf, type Extent } from '../../src/extents/index.ts';
import { windowsOf, type Mutant, type Mutator, type Subject } from './subject.ts';

const SIZE = 96 * 1024;
const SECTOR = 512;
const STARTS = ['vhdxfile', 'conectix', 'QFI\u00fb', 'KDMV', '# Disk DescriptorFile', '<<< Oracle VM'];
const CUT_STARTS = ['vhdxfil', 'conecti'];
const DISK_NAMES = /\.a?vhdx?$/;

export function detectionSubjects(): Subject[] {
  return ['/disk.img', '/disk', '/disk.vhdx', '/disk.avhd'].map((path) => {
    const content = new Random(17).bytes(SIZE);
    const image = new MutableImage(content);
    const isNamed = DISK_NAMES.test(path);
    return {
      name: `raw bytes in ${path.slice(1)}`,
      path,
      files: new Map([[path, image]]),
      image,
      content,
      windows: windowsOf(SIZE, SIZE / 2),
      mutators: mutators(image, isNamed),
    };
  });
}

/** What is called a virtual disk and is none is never a raw one. */
function mutators(image: MutableImage, isNamed: boolean): Mutator[] {
  const byName = (expectation: Expectation): Expectation => (isNamed ? REFUSED : expectation);
  return [
    {
      name: 'content',
      weight: 4,
      make: (random) => {
        const at = random.pick([random.below(SECTOR), random.below(SIZE), SIZE - 1 - random.below(SECTOR)]);
        return changed(at, Buffer.of(image.bytes[at]! ^ random.between(1, 256)), byName);
      },
    },
    {
      name: 'beginning of another format',
      weight: 4,
      make: (random) => {
        const start = random.pick([...STARTS, ...CUT_STARTS]);
        const mutant = changed(0, Buffer.from(start, 'latin1'), byName);
        return {
          ...mutant,
          ...(CUT_STARTS.includes(start) ? {} : { expect: REFUSED, amongOthers: ANYTHING }),
        };
      },
    },
    {
      name: 'end of another format',
      weight: 2,
      make: (random) => {
        const back = random.pick([512, 511]);
        return {
          ...changed(SIZE - back, Buffer.from('conectix'), byName),
          expect: REFUSED,
          amongOthers: ANYTHING,
        };
      },
    },
    {
      name: 'another size',
      weight: 2,
      make: (random) => {
        const fileSize = random.pick([0, 1, 511, 512, SIZE - 1, SIZE - 512, random.below(SIZE)]);
        const isDisk = fileSize > 0 && fileSize % SECTOR === 0;
        const expect = byName(isDisk ? { opens: 'yes', size: fileSize } : REFUSED);
        return { what: `${fileSize} bytes`, patches: [], fileSize, expect };
      },
    },
  ];
}

function changed(at: number, bytes: Buffer, byName: (expectation: Expectation) => Expectation): Mutant {
  const touched = [{ offset: at, length: bytes.length }];
  const content = ({ offset, length }: Extent, into: Buffer): void => {
    for (let i = 0; i < bytes.length; i += 1) {
      if (at + i >= offset && at + i < endOf({ offset, length })) into[at + i - offset] = bytes[i]!;
    }
  };
  const expect = byName({ opens: 'yes', touched, content });
  return { what: `${bytes.length} bytes at ${at}`, patches: [{ offset: at, bytes }], expect };
}
