/**
 * Earlier generations of a replica in a folder: copies of its images that share their blocks with them, as XFS and Btrfs can
 * (reflinks). Each takes the room of what changed since.
 *
 *   FOLDER/.generations/<owner>/<number>/generation.json, and the images by their names
 *
 * A generation is there from the moment its folder has its number for a name; until then it is `<number>.unfinished`.
 */
import { constants } from 'node:fs';
import { copyFile, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder, syncTree } from '../disk/index.ts';
import type { DiskSource } from '../machines/index.ts';
import { targetFaults } from './faults.ts';
import type { KeptGeneration, TargetDiskSpec, TargetHistory } from './port.ts';

const ABOUT = 'generation.json';
const UNFINISHED = '.unfinished';

export class FolderHistory implements TargetHistory {
  readonly #folder: string;
  readonly #sourceOf: (spec: TargetDiskSpec) => Extract<DiskSource, { kind: 'file' }>;

  constructor(
    folder: string,
    owner: string,
    sourceOf: (spec: TargetDiskSpec) => Extract<DiskSource, { kind: 'file' }>,
  ) {
    this.#folder = join(folder, '.generations', owner);
    this.#sourceOf = sourceOf;
  }

  async check(): Promise<void> {
    const [from, to] = ['probe', 'probe.copy'].map((name) => join(this.#folder, name)) as [string, string];
    try {
      await mkdir(this.#folder, { recursive: true });
      // More than fits into an inode, so that there are blocks to share.
      await writeFile(from, Buffer.alloc(64 * 1024, 1));
      await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE);
    } catch (error) {
      throw targetFaults.noReflinks(
        { path: this.#folder, reason: (error as Error).message },
        { cause: error },
      );
    } finally {
      for (const path of [from, to]) await rm(path, { force: true });
    }
  }

  async keep(number: number, disks: readonly TargetDiskSpec[], about: object): Promise<void> {
    const place = this.#placeOf(number);
    const unfinished = `${place}${UNFINISHED}`;
    await this.#removeUnfinished();
    await mkdir(unfinished, { recursive: true });
    for (const disk of disks) {
      const { path } = this.#sourceOf(disk);
      await copyFile(path, join(unfinished, basename(path)), constants.COPYFILE_FICLONE_FORCE);
    }
    await writeFile(join(unfinished, ABOUT), `${JSON.stringify(about, null, 2)}\n`);
    await syncTree(unfinished);
    await rename(unfinished, place);
    await syncFolder(this.#folder);
  }

  async list(): Promise<KeptGeneration[]> {
    const names = await readdir(this.#folder).catch(() => [] as string[]);
    const numbers = names.filter((name) => /^\d{1,9}$/.test(name)).map(Number);
    return Promise.all(
      numbers.toSorted((a, b) => a - b).map(async (number) => ({ number, about: await this.#read(number) })),
    );
  }

  sourceOf(number: number, spec: TargetDiskSpec): DiskSource {
    const source = this.#sourceOf(spec);
    return { ...source, path: join(this.#placeOf(number), basename(source.path)) };
  }

  /** Beside its place first, so that the place never has half an image. */
  async bringBack(number: number, spec: TargetDiskSpec): Promise<void> {
    const { path } = this.#sourceOf(spec);
    const unfinished = `${path}${UNFINISHED}`;
    await copyFile(join(this.#placeOf(number), basename(path)), unfinished, constants.COPYFILE_FICLONE_FORCE);
    {
      await using handle = await open(unfinished, 'r+');
      await handle.sync();
    }
    await rename(unfinished, path);
    await syncFolder(dirname(path));
  }

  /** Loses its number first: half of it is no generation. */
  async drop(number: number): Promise<void> {
    await this.#removeUnfinished();
    await rename(this.#placeOf(number), `${this.#placeOf(number)}${UNFINISHED}`);
    await this.#removeUnfinished();
  }

  /** What a crash left, too. */
  async #removeUnfinished(): Promise<void> {
    const names = await readdir(this.#folder).catch(() => [] as string[]);
    for (const name of names.filter((each) => each.endsWith(UNFINISHED)))
      await rm(join(this.#folder, name), { recursive: true, force: true });
  }

  #placeOf(number: number): string {
    return join(this.#folder, String(number));
  }

  async #read(number: number): Promise<unknown> {
    const path = join(this.#placeOf(number), ABOUT);
    try {
      return JSON.parse(await readFile(path, 'utf8'));
    } catch (error) {
      throw targetFaults.historyUnreadable({ path, reason: (error as Error).message }, { cause: error });
    }
  }
}
