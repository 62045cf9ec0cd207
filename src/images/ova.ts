/**
 * An OVA: one VM in one file, for VMware and whoever else imports OVF packages.
 *
 *   tar { name.ovf │ name.mf │ name-disk1.vmdk │ name-disk2.vmdk │ … }
 *
 * The envelope and the manifest stand first and hold the sizes and digests of the disks; a tar header holds the size of
 * what follows it. All of that is known only when a disk is compressed. In a file, the front is left open and written at
 * the end: one pass, no room beside the file itself. Down a pipe there is no going back, and a spool would need the room of
 * the whole package: the disks are compressed twice instead, first for their sizes and digests, then to be sent. Both give
 * the same bytes.
 */
import { createHash } from 'node:crypto';
import type { Disk } from '../disk/index.ts';
import type { CompressOptions } from './compressed-pieces.ts';
import { free } from '../base/index.ts';
import { compressedFormats } from './compressed-formats.ts';
import { imageFaults } from './faults.ts';
import { checkFits } from './format-info.ts';
import { ImageFile } from './image-file.ts';
import type { ImageNameOptions } from './image-name.ts';
import { OvaFront, type DiskFile } from './ova-front.ts';
import { OVF_LIMITS, type OvfMachine } from './ovf.ts';
import { memberBytes, paddingOf, TAR_BLOCK, TAR_END_BYTES } from './tar.ts';
import { newContentId } from './vmdk-descriptor.ts';
import { vmdkStream } from './vmdk-stream.ts';

export interface OvaDisk {
  readonly disk: Disk;
  readonly bus: 'ide' | 'scsi';
}

export interface OvaContents {
  readonly machine: OvfMachine;
  /** In the order of the VM's controllers: the first is the one it starts from. */
  readonly disks: readonly OvaDisk[];
}

export interface OvaOptions extends CompressOptions {
  /** Of deflate, 1 to 9. */
  readonly level?: number;
  /** The date of the members. Default: now. */
  readonly modified?: Date;
}

export interface OvaStats {
  /** In the order of the contents: bytes of the compressed disk, and the time it took. */
  readonly disks: readonly { readonly writtenBytes: number; readonly seconds: number }[];
}

/**
 * Writes `<path>.partial` and gives it its name. Nothing is left when it fails. `progress` is advanced by the sizes of the
 * disks. Throws `IMAGE_TOO_MANY_DISKS`, `IMAGE_FULL`.
 */
export async function writeOva(
  path: string,
  contents: OvaContents,
  options: OvaOptions & ImageNameOptions = {},
): Promise<OvaStats> {
  const ova = new Ova(contents, options);
  const file = await ImageFile.create(path, options);
  try {
    const disks = await ova.writeTo(file);
    await file.finish();
    return { disks };
  } catch (error) {
    await file.abort();
    throw error;
  }
}

/**
 * The bytes of the same package. Reads and compresses every disk twice, so `progress` is advanced by twice their sizes.
 * Throws as {@link writeOva} does, and `IMAGE_SOURCE_CHANGED` when a disk was not the same the second time.
 */
export async function* ovaStream(
  contents: OvaContents,
  options: OvaOptions = {},
): AsyncGenerator<Uint8Array> {
  yield* new Ova(contents, options).bytes();
}

class Ova {
  readonly #contents: OvaContents;
  readonly #options: OvaOptions;
  readonly #front: OvaFront;
  /** The same for both passes: they are in the bytes. */
  readonly #contentIds: readonly number[];

  constructor(contents: OvaContents, options: OvaOptions) {
    checkLimits(contents.disks);
    this.#contents = contents;
    this.#options = options;
    this.#contentIds = contents.disks.map(newContentId);
    this.#front = new OvaFront(
      contents.machine,
      contents.disks.map(({ disk, bus }) => ({ capacity: disk.size, bus })),
      options.modified ?? new Date(),
    );
  }

  async writeTo(file: ImageFile): Promise<OvaStats['disks']> {
    const files: (DiskFile & { seconds: number })[] = [];
    let position = this.#front.length;
    for (const index of this.#contents.disks.keys()) {
      const started = performance.now();
      const measured = new Measured();
      for await (const piece of this.#diskBytes(index)) {
        await file.write(position + TAR_BLOCK + measured.size, piece);
        measured.add(piece);
        free(piece);
      }
      files.push({ ...measured.file(), seconds: (performance.now() - started) / 1000 });
      await file.write(position, this.#front.diskHeader(index, measured.size));
      position += memberBytes(measured.size);
    }
    await file.write(0, this.#front.bytes(files));
    await file.setSize(position + TAR_END_BYTES);
    return files.map(({ size, seconds }) => ({ writtenBytes: size, seconds }));
  }

  async *bytes(): AsyncGenerator<Uint8Array> {
    const files: DiskFile[] = [];
    for (const index of this.#contents.disks.keys()) files.push(await this.#measure(index));
    yield this.#front.bytes(files);
    for (const [index, { size, sha256 }] of files.entries()) {
      yield this.#front.diskHeader(index, size);
      const sent = new Measured();
      for await (const piece of this.#diskBytes(index)) {
        sent.add(piece);
        yield piece;
      }
      if (sent.size !== size || sent.file().sha256 !== sha256) throw imageFaults.sourceChanged();
      yield new Uint8Array(paddingOf(size));
    }
    yield new Uint8Array(TAR_END_BYTES);
  }

  async #measure(index: number): Promise<DiskFile> {
    const measured = new Measured();
    for await (const piece of this.#diskBytes(index)) {
      measured.add(piece);
      free(piece);
    }
    return measured.file();
  }

  #diskBytes(index: number): AsyncGenerator<Uint8Array> {
    const { disk, bus } = this.#contents.disks[index]!;
    const { adapter = 'lsilogicsas' } = this.#contents.machine;
    return vmdkStream(disk, {
      ...this.#options,
      fileName: this.#front.diskName(index),
      contentId: this.#contentIds[index]!,
      adapter: bus === 'ide' ? 'ide' : adapter,
    });
  }
}

/** Size and digest of bytes that go by. */
class Measured {
  size = 0;
  readonly #hash = createHash('sha256');

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.size += bytes.length;
  }

  file(): DiskFile {
    return { size: this.size, sha256: this.#hash.digest('hex') };
  }
}

/** Everything that would stop the last disk is found before the first is read. */
function checkLimits(disks: readonly OvaDisk[]): void {
  for (const { disk } of disks) checkFits('ova', compressedFormats['vmdk-stream'], disk);
  for (const bus of ['ide', 'scsi'] as const) {
    const count = disks.filter((disk) => disk.bus === bus).length;
    if (count > OVF_LIMITS[bus]) throw imageFaults.tooManyDisks({ bus, count, limit: OVF_LIMITS[bus] });
  }
}
