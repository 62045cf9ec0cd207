/**
 * The two names of an image: `<name>.partial` while it is written, `<name>` from the moment it is complete and durable.
 * A restore that was cut off therefore never looks like a disk somebody could start a VM from.
 */
import { constants } from 'node:fs';
import { access, link, lstat, open, rename, rm, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { imageFault, imageFaults } from './faults.ts';

export interface ImageNameOptions {
  /** Replaces a file of that name, and what a run that was cut off left of it. Default: refused. */
  readonly overwrite?: boolean;
  /**
   * Looks at the complete and durable file before it gets its name, at the path it has until then. When it throws, there is
   * no new image, and an earlier one stays.
   */
  readonly check?: ((partialPath: string) => Promise<void>) | undefined;
}

export class ImageName {
  readonly finalPath: string;
  readonly partialPath: string;
  /** There is a file of the final name, which may go: it is empty, or overwriting was asked for. */
  readonly #replaces: boolean;
  readonly #check: ImageNameOptions['check'];

  private constructor(finalPath: string, replaces: boolean, check: ImageNameOptions['check']) {
    this.finalPath = finalPath;
    this.partialPath = `${finalPath}.partial`;
    this.#replaces = replaces;
    this.#check = check;
  }

  /** Throws `IMAGE_EXISTS`, `IMAGE_UNFINISHED`, `IMAGE_NOT_A_FILE`. An empty file may be replaced: it holds nothing. */
  static async choose(path: string, { overwrite = false, check }: ImageNameOptions = {}): Promise<ImageName> {
    const finalPath = resolve(path);
    try {
      await access(dirname(finalPath), constants.W_OK);
      const existing = await sizeOf(finalPath);
      if (existing !== undefined && existing > 0 && !overwrite) throw imageFaults.exists({ path: finalPath });
      const name = new ImageName(finalPath, existing !== undefined, check);
      if (overwrite) await rm(name.partialPath, { force: true });
      else if ((await sizeOf(name.partialPath)) !== undefined) {
        throw imageFaults.unfinished({ path: name.partialPath });
      }
      return name;
    } catch (error) {
      throw imageFault(error, finalPath);
    }
  }

  /** Gives the finished, synced file that passes its check the final name. A file that appeared under it meanwhile is kept: `IMAGE_EXISTS`. */
  async complete(): Promise<void> {
    await this.#check?.(this.partialPath);
    try {
      if (this.#replaces) await rename(this.partialPath, this.finalPath);
      else await this.#giveNewName();
      await syncFolder(dirname(this.finalPath));
    } catch (error) {
      throw imageFault(error, this.finalPath);
    }
  }

  async discard(): Promise<void> {
    await rm(this.partialPath, { force: true });
  }

  /** By a hard link, which never replaces; where there are no links (FAT, ReFS), by a look and a rename. */
  async #giveNewName(): Promise<void> {
    try {
      await link(this.partialPath, this.finalPath);
    } catch {
      if ((await sizeOf(this.finalPath)) !== undefined) throw imageFaults.exists({ path: this.finalPath });
      await rename(this.partialPath, this.finalPath);
      return;
    }
    await unlink(this.partialPath);
  }
}

/** Bytes of a regular file; undefined when there is nothing of that name. */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const found = await lstat(path);
    if (!found.isFile()) throw imageFaults.notAFile({ path });
    return found.size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Windows has no such call, and NTFS journals names by itself. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using handle = await open(folder, 'r');
  await handle.sync();
}
