/** Payload and a log: bytes that are logged, and bytes over which a log lies. */
import { ANYTHING, SAME, type Expectation } from './expectation.ts';
import type { MutableImage } from './mutable-image.ts';
import { areaMutator } from './structure-fields.ts';
import type { Mutant, Mutator } from './subject.ts';
import { MIB, PLACES, placeOf } from './vhdx-layout.ts';
import { SECTOR, entrySeal, inFile, lengthOf, type Entry } from './vhdx-log.ts';

/** A changed sector that the disk shows. */
interface LoggedPayload {
  /** Where on the disk. */
  readonly virtual: number;
  readonly descriptorAt: number;
  readonly sectorAt: number;
}

/** The sectors of an entry that are shown by the disk: those of the last entry, over which nothing was logged later. */
function payloadsOf({ at, changes }: Entry): LoggedPayload[] {
  const [first, second] = changes;
  if (changes.length !== 2 || !first || first.offset === PLACES.bat || !second) return [];
  const area = at + SECTOR;
  return [
    { virtual: 3 * MIB, descriptorAt: at + 64, sectorAt: area },
    { virtual: MIB / 2, descriptorAt: at + 96, sectorAt: area + SECTOR },
  ];
}

/** One byte of a logged sector, sealed: that byte of the disk. The first 8 and the last 4 are in the descriptor. */
function dataMutator(
  image: MutableImage,
  entry: Entry,
  { virtual, descriptorAt, sectorAt }: LoggedPayload,
): Mutator {
  return {
    name: 'logged sector, sealed',
    weight: 3,
    make: (random): Mutant => {
      const at = random.pick([random.below(8), SECTOR - 4 + random.below(4), random.below(SECTOR)]);
      const offset = inFile(placeInLog(at, descriptorAt, sectorAt));
      const byte = image.bytes[offset]! ^ random.between(1, 256);
      const touched = [{ offset: virtual + at, length: 1 }];
      return {
        what: `byte ${at} of the logged sector at ${virtual}`,
        patches: [{ offset, bytes: Buffer.of(byte) }],
        seals: [entrySeal(entry)],
        expect: {
          opens: 'yes',
          touched,
          content: (window, into) => {
            const index = virtual + at - window.offset;
            if (index >= 0 && index < into.length) into[index] = byte;
          },
        },
      };
    },
  };
}

function placeInLog(at: number, descriptorAt: number, sectorAt: number): number {
  if (at < 8) return descriptorAt + 8 + at;
  return at < SECTOR - 4 ? sectorAt + at : descriptorAt + 4 + (at - (SECTOR - 4));
}

/** Payload in place: a byte over which the log lays nothing is shown, the others are not. */
export function loggedPayloadMutators(image: MutableImage, entries: readonly Entry[]): Mutator[] {
  const logged = entries.flatMap(({ changes }) => changes);
  const { fileOffset } = placeOf(image.bytes, 0);
  return [
    ...entries.flatMap((entry) => payloadsOf(entry).map((payload) => dataMutator(image, entry, payload))),
    {
      name: 'payload below a log',
      weight: 6,
      make: (random) => {
        const at = random.below(MIB);
        const offset = fileOffset + at;
        const byte = image.bytes[offset]! ^ random.between(1, 256);
        const patches = [{ offset, bytes: Buffer.of(byte) }];
        const isHidden = logged.some(
          (change) => offset >= change.offset && offset < change.offset + lengthOf(change),
        );
        const content = (window: { offset: number }, into: Buffer): void => {
          const index = at - window.offset;
          if (index >= 0 && index < into.length) into[index] = byte;
        };
        const shown: Expectation = { opens: 'yes', touched: [{ offset: at, length: 1 }], content };
        return { what: `payload below a log at ${at}`, patches, expect: isHidden ? SAME : shown };
      },
    },
    areaMutator(image, {
      name: 'block table below a log',
      at: PLACES.bat,
      length: SECTOR,
      expect: SAME,
      amongOthers: ANYTHING,
      weight: 2,
    }),
  ];
}
