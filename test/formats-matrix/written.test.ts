/** Every image that we write, as qemu checks and reads it, and as libvhdi, libvmdk and the second decoder read it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import { scratchFolder } from '../../src/chain/scratch.fixture.ts';
import type { MemoryDisk } from '../../src/disk/index.ts';
import {
  compressedFormats,
  createFixedVhdxImage,
  createImage,
  imageFormats,
  writeCompressedImage,
  type CompressedFormat,
  type CreateImageOptions,
  type ImageFormat,
  type ImageWriter,
} from '../../src/images/index.ts';
import { requires, requiresPython } from '../requires.ts';
import { disk, strokesOf } from './content.ts';
import { differenceOf, fingerprintOf, fingerprintOfRaw, type Fingerprint } from './fingerprint.ts';
import { qemuImg } from './made-by-qemu.ts';
import { PythonReader, type Question } from './python-reader.ts';

const folder = scratchFolder();
const SECTOR = 512;
/** About the units of all formats: sectors, clusters and grains of 64 KiB, blocks of 2 and 32 MiB. */
const SIZES = [SECTOR, 64 * KiB + SECTOR, 2 * MiB - SECTOR, 33 * MiB + 7 * SECTOR, 64 * MiB];

const WITH_QEMU = requires(['qemu-img'], 'that qemu reads what we write');
const WITH_LIBRARIES = requiresPython(['pyvhdi', 'pyvmdk'], 'that libvhdi and libvmdk read what we write');

type Format = ImageFormat | CompressedFormat | 'vhdx-fixed';

/** What each format is called elsewhere; `library` also names the format for the second decoder. */
function readersOf(format: Format): { qemu: string; library?: Question['format'] } {
  if (format === 'raw') return { qemu: 'raw' };
  if (format.startsWith('vhdx')) return { qemu: 'vhdx', library: 'vhdx' };
  if (format.startsWith('vhd')) return { qemu: 'vpc', library: 'vhd' };
  return format.startsWith('vmdk') ? { qemu: 'vmdk', library: 'vmdk' } : { qemu: 'qcow2' };
}

const FORMATS = [...Object.keys(imageFormats), ...Object.keys(compressedFormats), 'vhdx-fixed'] as Format[];

let decoder: PythonReader;
let library: PythonReader | undefined;

before(() => {
  decoder = new PythonReader('second-decoder.py');
  if (!WITH_LIBRARIES.skip) library = new PythonReader('library-reader.py');
});
after(async () => {
  await decoder[Symbol.asyncDispose]();
  await library?.[Symbol.asyncDispose]();
});

function create(format: Format, path: string, options: CreateImageOptions): Promise<ImageWriter> {
  return format === 'vhdx-fixed'
    ? createFixedVhdxImage(path, options)
    : createImage(format as ImageFormat, path, options);
}

async function write(format: Format, path: string, content: MemoryDisk): Promise<void> {
  if (format in compressedFormats) {
    await writeCompressedImage(format as CompressedFormat, path, content);
    return;
  }
  const writer = await create(format, path, { size: content.size });
  await using file = await open(writer.path, 'r+');
  for (const { offset, length } of content.allocated()) {
    const bytes = Buffer.alloc(length);
    await content.read(offset, bytes);
    let done = 0;
    for (const span of await writer.place(offset, length)) {
      await file.write(bytes, done, span.length, span.fileOffset);
      done += span.length;
    }
  }
  await writer.finish();
}

async function asQemuReads(format: string, path: string): Promise<Fingerprint> {
  const raw = `${path}.qemu-raw`;
  qemuImg('convert', '-f', format, '-O', 'raw', path, raw);
  const read = await fingerprintOfRaw(raw, { start: 0, size: statSync(raw).size });
  rmSync(raw);
  return read;
}

/** Both formats for which qemu has a check; exit code 63 says that there is none for the others. */
function assertQemuFindsNoError(format: string, path: string): void {
  const { status, stdout, stderr } = spawnSync('qemu-img', ['check', '-f', format, path], {
    encoding: 'utf8',
  });
  assert.equal(status, ['raw', 'vpc'].includes(format) ? 63 : 0, stdout + stderr);
}

async function assertReads(reader: PythonReader, question: Question, expected: Fingerprint): Promise<void> {
  const answer = await reader.ask(question);
  assert.ok(!('refused' in answer), JSON.stringify(answer));
  assert.equal(differenceOf(answer, expected), undefined);
}

const image = join(folder, 'disk.img');

for (const format of FORMATS) {
  const readers = readersOf(format);
  const written = async (read: (expected: Fingerprint) => Promise<void>): Promise<void> => {
    for (const size of SIZES) {
      const content = await disk(
        size,
        strokesOf({ size, blockSize: 2 * MiB, sectorSize: SECTOR }),
        'written',
      );
      await write(format, image, content);
      await read(await fingerprintOf(content));
      // Some formats have more files than one.
      for (const name of readdirSync(folder)) rmSync(join(folder, name));
    }
  };

  void test(`${format}: qemu finds no error in it and reads what was written`, { ...WITH_QEMU }, () =>
    written(async (expected) => {
      assertQemuFindsNoError(readers.qemu, image);
      assert.equal(differenceOf(await asQemuReads(readers.qemu, image), expected), undefined);
    }),
  );

  if (readers.library === undefined) continue;
  const question = { format: readers.library, files: [image] };
  const name = readers.library === 'vmdk' ? 'libvmdk' : 'libvhdi';
  void test(`${format}: ${name} reads what was written`, { ...WITH_LIBRARIES }, () =>
    written((expected) => assertReads(library!, question, expected)),
  );

  if (readers.library === 'vmdk') continue;
  void test(`${format}: the second decoder reads what was written`, () =>
    written((expected) => assertReads(decoder, question, expected)));
}
