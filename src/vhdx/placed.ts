/**
 * A new VHDX that is filled by others: `place` says where in the file the bytes of the disk go, the caller's workers write
 * them there by path, and `finish` makes the file a VHDX. Without it there is no signature, so an interrupted run cannot be
 * mistaken for an image.
 */
import { Mutex } from '../base/index.ts';
import { LocalFile, checkRange, type FileSpan, type PlacedWriter } from '../disk/index.ts';
import { partsOf } from './block-edits.ts';
import { ChildRooms, DynamicRooms, FixedRooms, type BlockRooms } from './block-rooms.ts';
import {
  childMetadata,
  metadataOf,
  type CreateDifferencingOptions,
  type VhdxShapeOptions,
} from './create.ts';
import { vhdxFaults } from './faults.ts';
import { addSpan } from './file-span.ts';
import { layoutOf, writeTables, type Layout } from './layout.ts';
import type { Metadata } from './metadata.ts';

export interface PlacedVhdxOptions extends VhdxShapeOptions {
  /** Default: dynamic. The blocks of a fixed disk lie in order; what is not written takes no room on a sparse file system. */
  readonly kind?: 'dynamic' | 'fixed';
}

export interface PlacedVhdxChild extends PlacedWriter {
  /** Makes whole sectors read as zeros where the parent has data; in ascending order with `place`. */
  zero(offset: number, length: number): Promise<void>;
}

/** Creates the file. Faults: `VHDX_BAD_SHAPE`, `VHDX_FILE_EXISTS`, `DISK_NO_SPACE`. */
export async function createPlacedVhdx(path: string, options: PlacedVhdxOptions): Promise<PlacedWriter> {
  const { kind = 'dynamic' } = options;
  const Rooms = kind === 'fixed' ? FixedRooms : DynamicRooms;
  return await create(
    path,
    metadataOf(options, kind),
    (file, layout) => new PlacedVhdx(file, layout, new Rooms(file, layout)),
  );
}

/**
 * Creates a child of a VHDX, as `createDifferencingVhdx` does. What is not placed shows the parent, so places are whole
 * sectors (`VHDX_UNALIGNED_WRITE`), and what is placed hides it also where nobody writes: there it reads as zeros.
 */
export async function createPlacedDifferencingVhdx(
  path: string,
  options: CreateDifferencingOptions,
): Promise<PlacedVhdxChild> {
  const metadata = await childMetadata(path, options);
  return await create(path, metadata, (file, layout) => new PlacedChild(file, layout));
}

async function create<W>(
  path: string,
  metadata: Metadata,
  writerOf: (file: LocalFile, layout: Layout) => W,
): Promise<W> {
  const layout = layoutOf(metadata);
  const file = await LocalFile.create(path, vhdxFaults.fileExists);
  try {
    await file.extend(layout.payloadOffset);
  } catch (error) {
    await file.discard();
    throw error;
  }
  return writerOf(file, layout);
}

class PlacedVhdx implements PlacedWriter {
  readonly path: string;
  readonly size: number;
  readonly #file: LocalFile;
  readonly #layout: Layout;
  readonly #rooms: BlockRooms;
  readonly #order = new Mutex();
  #reached = 0;

  constructor(file: LocalFile, layout: Layout, rooms: BlockRooms) {
    this.path = file.path;
    this.size = layout.metadata.size;
    this.#file = file;
    this.#layout = layout;
    this.#rooms = rooms;
  }

  /** Calls may be made without waiting for each other; they are served in order. */
  place(offset: number, length: number): Promise<FileSpan[]> {
    return this.inOrder(offset, length, async () => {
      const spans: FileSpan[] = [];
      for (const part of partsOf(this.#layout.geometry, offset, offset + length)) {
        addSpan(spans, (await this.#rooms.place(part)) + part.from, part.to - part.from);
      }
      return spans;
    });
  }

  /** `work` is done for a range behind all that were before it. */
  protected inOrder<T>(offset: number, length: number, work: () => Promise<T>): Promise<T> {
    return this.#order.run(async () => {
      checkRange(offset, length, this.size);
      if (offset < this.#reached) throw vhdxFaults.placeOutOfOrder({ offset, reached: this.#reached });
      const done = await work();
      this.#reached = offset + length;
      return done;
    });
  }

  finish(): Promise<void> {
    return this.#order.run(async () => {
      await this.#file.extend(await this.#rooms.finish());
      await writeTables(this.#file, this.#layout);
      await this.#file.close();
    });
  }

  abort(): Promise<void> {
    return this.#order.run(() => this.#file.discard());
  }
}

class PlacedChild extends PlacedVhdx implements PlacedVhdxChild {
  readonly #layout: Layout;
  readonly #rooms: ChildRooms;

  constructor(file: LocalFile, layout: Layout) {
    const rooms = new ChildRooms(file, layout);
    super(file, layout, rooms);
    this.#layout = layout;
    this.#rooms = rooms;
  }

  zero(offset: number, length: number): Promise<void> {
    return this.inOrder(offset, length, async () => {
      for (const part of partsOf(this.#layout.geometry, offset, offset + length)) {
        await this.#rooms.zero(part);
      }
    });
  }

  protected override inOrder<T>(offset: number, length: number, work: () => Promise<T>): Promise<T> {
    return super.inOrder(offset, length, () => {
      const { sectorSize } = this.#layout.geometry;
      if (offset % sectorSize === 0 && length % sectorSize === 0) return work();
      throw vhdxFaults.unalignedWrite({ path: this.path, offset, length, sectorSize });
    });
  }
}
