/**
 * One virtual disk of the emulated host: a chain of real VHDX files, its change tracking and its ground truth.
 *
 *   write ─► region table ─► truth log ─► VHDX leaf        (each before the next: a kill loses nothing that was acknowledged)
 *   seal  ─► flush leaf ─► truth mark ─► tracking seal ─► new leaf `<base>_<GUID>.avhdx`
 *   merge ─► leaf into its parent, which is the leaf from then on; the AVHDX is deleted
 *
 * The caller serialises calls: one VM at a time touches its disks (see machine.ts).
 */
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MiB } from '../../src/base/index.ts';
import { FileReader } from '../../src/disk/index.ts';
import {
  createDifferencingVhdx,
  mergeVhdx,
  openVhdxChain,
  openVhdxWritable,
  type VhdxDisk,
  type VhdxFile,
} from '../../src/vhdx/index.ts';
import { ChangeTracker, type TrackingGrid } from './change-tracker.ts';
import { replaceWithSize } from './disk-files.ts';
import type { DiskFile, DiskState } from './host-state.ts';
import { EVENT, TruthLog } from './truth-log.ts';
import { openTruth, type TruthReader } from './truth-reader.ts';
import { relativeName, samePath, type Volumes } from './volumes.ts';

/** The leaf is flushed after this many bytes, so that a restart after a kill has little to write again. */
const FLUSH_AFTER = 64 * MiB;

export class VirtualDisk {
  readonly state: DiskState;
  readonly tracker: ChangeTracker;
  readonly #volumes: Volumes;
  readonly #truth: TruthLog;
  #writer: VhdxFile | undefined;
  #reader: VhdxDisk | undefined;
  #unflushedBytes = 0;

  private constructor(state: DiskState, volumes: Volumes, truth: TruthLog, tracker: ChangeTracker) {
    this.state = state;
    this.#volumes = volumes;
    this.#truth = truth;
    this.tracker = tracker;
  }

  /** Opens a disk; what a killed process wrote down but did not bring into the leaf is brought there. */
  static async open(
    state: DiskState,
    folder: string,
    volumes: Volumes,
    grid: TrackingGrid,
  ): Promise<VirtualDisk> {
    const truth = await TruthLog.open(truthFolder(folder, state.id));
    const tracker = await ChangeTracker.open(volumes.localPath(state.files[0]!.path), grid);
    const disk = new VirtualDisk(state, volumes, truth, tracker);
    await disk.#adoptSize();
    await disk.#replay();
    return disk;
  }

  get leaf(): DiskFile {
    return this.state.files.at(-1)!;
  }

  fileAt(path: string): DiskFile | undefined {
    return this.state.files.find((file) => samePath(file.path, path));
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.tracker.record(offset, bytes.length);
    await this.#truth.write(offset, bytes);
    await (await this.#openWriter()).write(offset, bytes);
    await this.#wrote(bytes.length);
  }

  /** A guest's TRIM of what it does not use: whole blocks become unmapped, and the range reads as zeros. */
  async trim(offset: number, length: number): Promise<void> {
    await this.tracker.record(offset, length);
    await this.#truth.zero(offset, length);
    await (await this.#openWriter()).trim(offset, length);
    await this.#wrote(0);
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#writer?.flush();
    this.#reader ??= await this.openFile(this.leaf.path);
    await this.#reader.read(offset, into);
  }

  /** The content a file of the chain shows, by the chain itself. */
  openFile(path: string): Promise<VhdxDisk> {
    return openVhdxChain(this.#volumes.localPath(path), { open: (file) => FileReader.open(file) });
  }

  /** Everything written is in the files, and they are closed. */
  async settle(): Promise<void> {
    await this.#closeFiles();
    await this.#truth.flushed();
    this.#unflushedBytes = 0;
  }

  /** Marks this instant in truth and tracking; the number of the seal. */
  async seal(sealId: string): Promise<number> {
    await this.settle();
    await this.#truth.seal(sealId);
    return this.tracker.seal();
  }

  /** Marks this instant in the ground truth only. */
  markTruth(sealId: string): Promise<void> {
    return this.#truth.seal(sealId);
  }

  /** Creates the file that guest writes go to once {@link VirtualDisk.freeze} has made it the leaf. */
  async branch(path: string): Promise<void> {
    await createDifferencingVhdx(await this.#volumes.prepare(path), {
      parentPath: this.#volumes.localPath(this.leaf.path),
      relativePath: relativeName(this.leaf.path),
      absolutePath: this.leaf.path,
    });
  }

  /** From here on the leaf shows the disk at `seal`, for ever, and `newLeaf` takes the writes. */
  freeze(seal: number, newLeaf: string): void {
    this.leaf.frozenAt = seal;
    this.state.files.push({ path: newLeaf });
  }

  /** Merges the leaf into its parent; the caller saves the state and then deletes the file whose path is returned. */
  async merge(): Promise<string> {
    await this.settle();
    const [parent, child] = this.state.files.slice(-2);
    await mergeVhdx({
      child: this.#volumes.localPath(child!.path),
      parent: this.#volumes.localPath(parent!.path),
    });
    this.state.files.pop();
    delete parent!.frozenAt;
    return child!.path;
  }

  async deleteFile(path: string): Promise<void> {
    await rm(this.#volumes.localPath(path), { force: true });
  }

  async fileBytes(path: string): Promise<number> {
    return (await stat(this.#volumes.localPath(path))).size;
  }

  /** The disk's exact content at a seal, or now. */
  truth(sealId?: string): Promise<TruthReader | undefined> {
    return openTruth(this.#truth, sealId);
  }

  /**
   * The only file becomes one of another size; bytes beyond a smaller size are lost. They count as changed: a disk that
   * is made smaller and then as large as before holds zeros there.
   */
  async resize(size: number): Promise<void> {
    await this.settle();
    const smaller = Math.min(size, this.state.size);
    await this.tracker.record(smaller, Math.max(size, this.state.size) - smaller);
    await replaceWithSize(this.#volumes.localPath(this.leaf.path), size, this.state);
    await this.#adoptSize();
  }

  /** The only file is exchanged for another copy of the same disk, which holds `bytes` at `offset`. Nobody tracked that. */
  async exchange(offset: number, bytes: Uint8Array): Promise<void> {
    await this.tracker.forget();
    await this.#truth.write(offset, bytes);
    await (await this.#openWriter()).write(offset, bytes);
    await this.settle();
  }

  /**
   * The disk is again what `file` shows, and `newLeaf` takes the writes from now on; the caller saves the state and then
   * deletes the files whose paths are returned. Tracking is what it was then: ids sealed later are unknown, or answered wrongly.
   */
  async revert(
    file: { readonly path: string; readonly seal: number },
    sealId: string,
    newLeaf: string,
    tracking: { readonly keepsLater: boolean },
  ): Promise<string[]> {
    await this.settle();
    const kept = this.state.files.findIndex(({ path }) => samePath(path, file.path)) + 1;
    const left = this.state.files.splice(kept).map(({ path }) => path);
    await this.branch(newLeaf);
    this.state.files.push({ path: newLeaf });
    await this.tracker.revert(file.seal, tracking);
    await this.#truth.revert(sealId);
    return left;
  }

  /** Keeps only the tracking that `seals` begin. */
  retain(seals: ReadonlySet<number>): Promise<void> {
    return this.tracker.retain(seals);
  }

  async close(): Promise<void> {
    await this.settle();
    await this.tracker.save();
    await this.#truth.close();
  }

  /** The files are let go, and what only a clean stop writes down about changes is not written. */
  async abandon(): Promise<void> {
    await this.#closeFiles();
    await this.#truth.close();
  }

  async #openWriter(): Promise<VhdxFile> {
    if (this.#reader) await this.#closeReader();
    this.#writer ??= await openVhdxWritable(this.#volumes.localPath(this.leaf.path));
    return this.#writer;
  }

  async #closeReader(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    await reader?.close();
  }

  async #closeFiles(): Promise<void> {
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.close();
    await this.#closeReader();
  }

  async #wrote(bytes: number): Promise<void> {
    this.#unflushedBytes += bytes;
    if (this.#unflushedBytes < FLUSH_AFTER) return;
    await this.#writer!.flush();
    await this.#truth.flushed();
    this.#unflushedBytes = 0;
  }

  /** The file says how large the disk is; after a kill in the middle of a resize the rest learns it here. */
  async #adoptSize(): Promise<void> {
    const disk = await this.openFile(this.leaf.path);
    await disk.close();
    this.state.size = disk.size;
    if (this.#truth.size !== disk.size) await this.#truth.resize(disk.size);
  }

  async #replay(): Promise<void> {
    for await (const { kind, offset, length, dataOffset } of this.#truth.unflushed()) {
      const writer = await this.#openWriter();
      if (kind === EVENT.zero) {
        await writer.trim(offset, length);
        continue;
      }
      const bytes = new Uint8Array(length);
      await this.#truth.readData(dataOffset, bytes);
      await writer.write(offset, bytes);
    }
    await this.settle();
  }
}

export function truthFolder(folder: string, diskId: string): string {
  return join(folder, 'truth', diskId);
}
