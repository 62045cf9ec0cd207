/** Sources of every kind with known content, and targets that tell what was asked of them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { KiB, MiB } from '../base/index.ts';
import { FileReader, RawDisk, type Disk, type FileSpan, type PlacedWriter } from '../disk/index.ts';
import { endOf, type Extent } from '../extents/index.ts';
import { diskOf, rawFile, type Stroke } from '../images/judges.fixture.ts';
import { openVhdChain } from '../vhd/index.ts';
import { beside, buildVhd } from '../vhd/built-vhd.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'hvlift-copy-'));
after(() => rmSync(folder, { recursive: true }));
let names = 0;

export function newPath(name = 'file'): string {
  return join(folder, `${(names += 1)}-${name}`);
}

/** The same bytes as a disk in memory, as a raw file, and as a chain of two VHDs that share its sectors. */
export const SOURCES: Readonly<Record<string, (size: number, strokes: readonly Stroke[]) => Promise<Disk>>> =
  {
    'a disk that is in no file': diskOf,
    'a raw file': async (size, strokes) =>
      new RawDisk(await FileReader.open(await rawFile(await diskOf(size, strokes), newPath('raw')))),
    'a chain of two files': chainOf,
  };

export async function contentOf(disk: Disk): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.size, 0xee);
  await disk.read(0, bytes);
  return bytes;
}

const BLOCK = MiB;

/** Sectors alternate between child and parent in runs of many lengths, and blocks lie in their files in reverse order. */
async function chainOf(size: number, strokes: readonly Stroke[]): Promise<Disk> {
  const whole = Math.ceil(size / 512) * 512;
  const content = Buffer.alloc(Math.ceil(whole / BLOCK) * BLOCK);
  await (await diskOf(size, strokes)).read(0, content.subarray(0, size));
  const inChild = (sector: number): boolean => Math.floor(Math.sqrt(sector)) % 3 === 0;
  const indexes = Array.from({ length: Math.ceil(whole / BLOCK) }, (_, index) => index)
    .filter((index) => content.subarray(index * BLOCK, (index + 1) * BLOCK).some((byte) => byte !== 0))
    .toReversed();
  const shape = { size: whole, blockSize: BLOCK };
  const parent = newPath('parent.vhd');
  const child = newPath('child.avhd');
  const [parentId, uniqueId] = [
    '11111111-1111-4111-8111-111111111111',
    '22222222-2222-4222-8222-222222222222',
  ];
  const data = (index: number): Buffer => content.subarray(index * BLOCK, (index + 1) * BLOCK);
  buildVhd(parent, {
    ...shape,
    kind: 'dynamic',
    uniqueId: parentId,
    blocks: indexes.map((index) => ({ index, data: data(index) })),
  });
  buildVhd(child, {
    ...shape,
    kind: 'differencing',
    uniqueId,
    parentId,
    locators: beside(parent.split('/').at(-1)!),
    blocks: indexes.map((index) => ({ index, data: data(index), has: inChild })),
  });
  return await openVhdChain(child, { open: (path) => FileReader.open(path) });
}

/** Byte n of the disk at byte n of the file. */
export function flatTarget(
  size: number,
  path: string = emptyFile(size),
): PlacedWriter & { content(): Buffer } {
  return {
    path,
    size,
    isFlat: true,
    place: (fileOffset, length) => [{ fileOffset, length }],
    finish: async () => {},
    abort: async () => {},
    content: () => readFileSync(path),
  };
}

/** Puts what it is asked to place into the file back to front, cut into odd spans, and keeps the book. */
export class ScatteredTarget implements PlacedWriter {
  readonly path: string;
  readonly size: number;
  readonly placed: (Extent & { readonly spans: readonly FileSpan[] })[] = [];
  #next: number;
  #reached = 0;
  #asking = false;

  constructor(size: number, path: string = emptyFile(2 * size)) {
    this.size = size;
    this.path = path;
    this.#next = 2 * size;
  }

  async place(offset: number, length: number): Promise<FileSpan[]> {
    assert.ok(
      !this.#asking && offset >= this.#reached,
      'places are asked for one by one, in ascending order',
    );
    assert.ok(length > 0 && offset + length <= this.size);
    this.#reached = offset + length;
    this.#asking = true;
    await new Promise(setImmediate);
    this.#asking = false;
    const spans: FileSpan[] = [];
    for (let left = length; left > 0;) {
      const part = Math.min(left, 96 * KiB + 512);
      this.#next -= part;
      spans.push({ fileOffset: this.#next, length: part });
      left -= part;
    }
    this.placed.push({ offset, length, spans });
    return spans;
  }

  /** The disk, put together by the book. */
  content(): Buffer {
    const file = readFileSync(this.path);
    const disk = Buffer.alloc(this.size);
    for (const { offset, length, spans } of this.placed) {
      let at = offset;
      for (const span of spans) {
        at += file.copy(disk, at, span.fileOffset, endOf({ offset: span.fileOffset, length: span.length }));
      }
      assert.equal(at, offset + length);
    }
    return disk;
  }

  async finish(): Promise<void> {}
  async abort(): Promise<void> {}
}

function emptyFile(size: number): string {
  const path = newPath('target');
  writeFileSync(path, '');
  truncateSync(path, size);
  return path;
}
