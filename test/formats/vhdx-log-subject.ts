/** A dynamic VHDX that was not closed: its log of three entries gives a block a place, changes payload and zeroes some. */
import { copyFileSync, readFileSync } from 'node:fs';
import { DirtyLog, applied, type LoggedChange } from '../../src/vhdx/log-writer.fixture.ts';
import { ANYTHING } from './expectation.ts';
import { MutableImage } from './mutable-image.ts';
import { Random } from './random.ts';
import { windowsOf, type Mutator, type Subject } from './subject.ts';
import { BLOCK_SIZE, DiskModel, KIB, MIB, PLACES, placeOf } from './vhdx-layout.ts';
import { loggedPayloadMutators } from './vhdx-log-payload.ts';
import { RING, SECTOR, logMutators, type Entry } from './vhdx-log.ts';
import { vhdxMutators } from './vhdx-mutators.ts';

const SIZE = 3 * MIB + 8192;
const SECTOR_SIZE = 512;

/** `tail`: where in the ring the log begins. */
export function withLog(
  { path: clean, bytes }: { path: string; bytes: Buffer },
  name: string,
  tail: number,
): Subject {
  const path = clean.replace('.vhdx', `-dirty-${tail}.vhdx`);
  const changes = changesOf(bytes, new Random(11));
  const size = bytes.length + MIB;
  const { log, entries } = logOf(changes, tail, bytes.length, size);
  copyFileSync(clean, path);
  log.install(path);
  const image = new MutableImage(readFileSync(path));
  const contents = (first: number, end: number): Buffer =>
    contentOf(applied(bytes, changes.slice(first, end).flat(), size));
  const prefixes = [1, 2, 3].map((end) => contents(0, end));
  const skipping = [0, 1, 2].map((index) =>
    contentOf(applied(bytes, changes.filter((_, n) => n !== index).flat(), size)),
  );
  const suffixes = [0, 1, 2].map((first) => contents(first, 3));
  const content = prefixes.at(-1)!;
  const model = new DiskModel(image, SIZE, SECTOR_SIZE);
  return {
    name,
    path,
    files: new Map([[path, image]]),
    image,
    content,
    windows: windowsOf(SIZE, BLOCK_SIZE),
    mutators: [
      ...vhdxMutators(model, { hasLog: true }),
      ...logMutators(image, entries, { prefixes, suffixes, skipping }).map(unboundedAmongOthers),
      ...loggedPayloadMutators(image, entries),
    ],
  };
}

/** The table gives block 1 the MiB behind the end, of which a sector is logged; payload is changed in block 0, zeroed in it, and changed in the last one. */
function changesOf(file: Buffer, random: Random): LoggedChange[][] {
  const table = Buffer.from(file.subarray(PLACES.bat, PLACES.bat + SECTOR));
  table.writeBigUInt64LE((BigInt(file.length / MIB) << 20n) | 6n, 8);
  const first = placeOf(file, 0).fileOffset;
  const last = placeOf(file, 3).fileOffset;
  return [
    [
      { offset: PLACES.bat, data: table },
      { offset: file.length + MIB / 2, data: random.bytes(SECTOR) },
      { offset: first + MIB / 2, data: random.bytes(SECTOR) },
    ],
    [{ offset: first + 256 * KIB, zeros: 512 * KIB + SECTOR }],
    [
      { offset: last, data: random.bytes(SECTOR) },
      { offset: first + MIB / 2, data: random.bytes(SECTOR) },
    ],
  ];
}

function logOf(
  changes: readonly LoggedChange[][],
  tail: number,
  flushed: number,
  last: number,
): { log: DirtyLog; entries: Entry[] } {
  const log = new DirtyLog(RING, 'd5a7c1de-3f5b-4e0e-9d3a-7f1f2a9b8c11');
  const entries: Entry[] = [];
  let at = tail;
  for (const [index, each] of changes.entries()) {
    const end = log.write(at, { sequence: BigInt(40 + index), tail, changes: each, flushed, last });
    entries.push({ at, length: (end - at + RING) % RING, changes: each });
    at = end;
  }
  return { log, entries };
}

function contentOf(file: Buffer): Buffer {
  return new DiskModel(new MutableImage(file), SIZE, SECTOR_SIZE).content;
}

/** What one change of an entry damages, the seal of another makes good. */
function unboundedAmongOthers({ make, ...mutator }: Mutator): Mutator {
  return { ...mutator, make: (random) => ({ ...make(random), amongOthers: ANYTHING }) };
}
