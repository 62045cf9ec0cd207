/** One changed file, opened and read as the product does, and judged by what the change may do. */
import { isFault, isZero, type Fault } from '../../src/base/index.ts';
import type { Disk } from '../../src/disk/index.ts';
import { clip, endOf, intersect, type Extent } from '../../src/extents/index.ts';
import { openVirtualDisk } from '../../src/virtualdisk/index.ts';
import type { AllocationMeter } from './allocation-meter.ts';
import { wrongByte, type Expectation } from './expectation.ts';
import type { ReadCount } from './mutable-image.ts';
import { applyTo, expectationOf, type Mutant, type Subject } from './subject.ts';

/** `'as said'`, or the code of the fault that refused the file. */
export type Outcome = string;

/** The change did something that it must not be able to do. */
export class Violation extends Error {}

/** Of a file of S bytes: reads, bytes read and bytes of memory asked for, to open it and to look at all windows. */
const READS_MAX = 2048;
const bytesMax = (fileBytes: number): number => 2 * fileBytes + 4 * 2 ** 20;
/** Ranges of `allocated` that are looked at; a hostile bitmap has one in every other sector. */
const WITHIN = 64 * 2 ** 20;

export async function tried(
  subject: Subject,
  mutants: readonly Mutant[],
  options: { readonly meter?: AllocationMeter; readonly everything: boolean },
): Promise<Outcome> {
  const { image } = subject;
  const count = { reads: 0, readBytes: 0 };
  try {
    applyTo(image, mutants);
    options.meter?.on();
    const outcome = await judged(subject, expectationOf(mutants), count, options.everything);
    checkCost(subject, count, options.meter?.bytes ?? 0, options.everything);
    return outcome;
  } finally {
    options.meter?.off();
    image.revert();
  }
}

async function judged(
  subject: Subject,
  expectation: Expectation,
  count: ReadCount,
  everything: boolean,
): Promise<Outcome> {
  const disk = await opened(subject, count);
  if (isFault(disk)) {
    if (expectation.opens === 'yes') throw new Violation(`refused with ${disk.code}: ${disk.message}`);
    return disk.code;
  }
  if (expectation.opens === 'no') throw new Violation('opened, though it must be refused');
  await checkContent(subject, disk, expectation, everything);
  await disk.close();
  return 'as said';
}

async function opened({ path, files }: Subject, count: ReadCount): Promise<Disk | Fault> {
  try {
    const { disk } = await openVirtualDisk(path, {
      open: (name) => {
        const file = files.get(name);
        return file ? Promise.resolve(file.reader(count)) : Promise.reject(new Error(`no file ${name}`));
      },
    });
    return disk;
  } catch (error) {
    const isOurs = isFault(error) && /^(VHDX|VHD|VIRTUALDISK)_/.test(error.code);
    if (!isOurs || (error.kind !== 'corrupt' && error.kind !== 'refused')) throw error;
    return error;
  }
}

async function checkContent(
  subject: Subject,
  disk: Disk,
  expectation: Expectation,
  everything: boolean,
): Promise<void> {
  const { content } = subject;
  const size = expectation.size ?? content.length;
  if (expectation.touched !== 'any' && disk.size !== size)
    throw new Violation(`${disk.size} bytes instead of ${size}`);
  const windows = everything ? wholeOf(disk.size) : windowsFor(subject, expectation, disk.size);
  const variants = expectation.variants ?? [content];
  const wrong = variants.map((): string | undefined => undefined);
  const allocated = await allocatedOf(disk);
  for (const window of windows) {
    const got = await bytesOf(disk, window);
    checkAllocated(allocated, window, got);
    for (const [i, variant] of variants.entries())
      wrong[i] ??= differenceIn(got, variant, window, expectation);
  }
  if (wrong.every((each) => each !== undefined)) throw new Violation(wrong.at(-1));
}

const PIECE = 2 ** 20;

function wholeOf(size: number): Extent[] {
  const end = Math.min(size, 8 * PIECE);
  return Array.from({ length: Math.ceil(end / PIECE) }, (_, n) => {
    return { offset: n * PIECE, length: Math.min(PIECE, end - n * PIECE) };
  });
}

/** The subject's own, the end of the disk when it is another, and around what is touched. */
function windowsFor({ windows }: Subject, { touched = [] }: Expectation, size: number): Extent[] {
  const around =
    touched === 'any' ? [] : touched.flatMap(({ offset, length }) => [offset, offset + length - 1]);
  const more = [...around, size - 1].map((at) => ({
    offset: Math.max(0, Math.floor(at / 4096) * 4096),
    length: 4096,
  }));
  return [...windows, ...more].flatMap((window) => clip([window], size));
}

async function bytesOf(disk: Disk, { offset, length }: Extent): Promise<Buffer> {
  const bytes = Buffer.alloc(length, 0xee);
  await disk.read(offset, bytes);
  return bytes;
}

function differenceIn(
  got: Buffer,
  variant: Buffer,
  window: Extent,
  expectation: Expectation,
): string | undefined {
  const before = Buffer.alloc(window.length);
  before.set(variant.subarray(window.offset, endOf(window)));
  const at = wrongByte(got, before, window, expectation);
  if (at === undefined) return undefined;
  const index = at - window.offset;
  return `byte ${at} is ${got[index]} instead of ${before[index]}`;
}

/** Sorted, inside of the disk, and of the part of it that is looked at. */
async function allocatedOf(disk: Disk): Promise<Extent[]> {
  const found: Extent[] = [];
  for await (const extent of disk.allocated({ offset: 0, length: Math.min(disk.size, WITHIN) })) {
    const { offset, length } = extent;
    if (
      offset < endOf(found.at(-1) ?? { offset: 0, length: 0 }) ||
      length <= 0 ||
      endOf(extent) > disk.size
    ) {
      throw new Violation(`allocated says ${offset} and ${length}`);
    }
    found.push({ offset, length });
  }
  return found;
}

function checkAllocated(allocated: readonly Extent[], window: Extent, got: Buffer): void {
  if (endOf(window) > WITHIN || isZero(got)) return;
  const rest = Buffer.from(got);
  for (const { offset, length } of intersect(allocated, [window])) {
    rest.fill(0, offset - window.offset, offset - window.offset + length);
  }
  if (!isZero(rest)) throw new Violation(`bytes at ${window.offset} are not zero and not allocated`);
}

function checkCost(
  { files, content }: Subject,
  { reads, readBytes }: ReadCount,
  memory: number,
  everything: boolean,
): void {
  const fileBytes = [...files.values()].reduce((sum, { size }) => sum + size, 0);
  const most = bytesMax(fileBytes) + (everything ? 4 * content.length : 0);
  if (reads > READS_MAX) throw new Violation(`${reads} reads`);
  if (readBytes > most) throw new Violation(`${readBytes} bytes read of files of ${fileBytes}`);
  if (memory > 2 * most) throw new Violation(`${memory} bytes of memory for files of ${fileBytes}`);
}
