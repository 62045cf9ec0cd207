/** The file a recovery key is saved in: new, its owner's alone, and gone again when no key came to be. */
import { open, rm, type FileHandle } from 'node:fs/promises';
import { absolutePath } from '../config-path.ts';
import { cliFaults } from '../faults.ts';
import type { Session } from '../session.ts';

/** Made before the key is: a key with nowhere to go would be lost. */
export class RecoveryKeyFile {
  readonly path: string;
  readonly #handle: FileHandle;
  #written = false;

  private constructor(file: string, handle: FileHandle) {
    this.path = file;
    this.#handle = handle;
  }

  static async reserve(option: string | undefined, { io }: Session): Promise<RecoveryKeyFile | undefined> {
    if (option === undefined) return undefined;
    const file = absolutePath(option, io.workingFolder, io.homeFolder);
    try {
      return new RecoveryKeyFile(file, await open(file, 'wx', 0o600));
    } catch (error) {
      throw cliFaults.recoveryKeyNotSaved({ path: file, reason: (error as Error).message }, { cause: error });
    }
  }

  async write(key: string): Promise<void> {
    await this.#handle.writeFile(`${key}\n`);
    await this.#handle.sync();
    this.#written = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
    if (!this.#written) await rm(this.path, { force: true });
  }
}
