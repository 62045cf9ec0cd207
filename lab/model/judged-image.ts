/** An image somebody made of a disk, opened to be compared with the truth. */
import { isZero } from '../../src/base/index.ts';
import { FileReader, type Disk, type RangeReader } from '../../src/disk/index.ts';
import { openVhdxChain } from '../../src/vhdx/index.ts';
import { LabFailure } from './failure.ts';
import { Qcow2Disk } from './qcow2-disk.ts';
import { RawImage } from './raw-image.ts';
import { RETURN } from './return-codes.ts';

export interface JudgedImage extends RangeReader {
  /** True when the range reads as zeros; faster than reading where the image is sparse. One call at a time. */
  isZero(offset: number, length: number): Promise<boolean>;
}

const OPENERS = {
  raw: (path: string) => RawImage.open(path),
  vhdx: async (path: string) => judged(await openVhdxChain(path, { open: (file) => FileReader.open(file) })),
  qcow2: async (path: string) => judged(await Qcow2Disk.open(path)),
} satisfies Record<string, (path: string) => Promise<JudgedImage>>;

export type JudgedFormat = keyof typeof OPENERS;

/** The format is named, never guessed: the first bytes of a raw image are the guest's to write. */
export async function openJudgedImage(path: string, format: JudgedFormat): Promise<JudgedImage> {
  if (!Object.hasOwn(OPENERS, format))
    throw new LabFailure(RETURN.invalidParameter, `no format of images: ${format as string}`);
  return OPENERS[format](path);
}

function judged(disk: Disk): JudgedImage {
  return {
    size: disk.size,
    read: (offset, into, options) => disk.read(offset, into, options),
    isZero: (offset, length) => isZeroOn(disk, offset, length),
    close: () => disk.close(),
  };
}

async function isZeroOn(disk: Disk, offset: number, length: number): Promise<boolean> {
  for await (const extent of disk.allocated({ offset, length })) {
    const bytes = new Uint8Array(extent.length);
    await disk.read(extent.offset, bytes);
    if (!isZero(bytes)) return false;
  }
  return true;
}
