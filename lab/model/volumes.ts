/**
 * The host's drives as folders: `C:\VMs\a.vhdx` lies at `<folder>/volumes/C/VMs/a.vhdx`. Names are found without regard to
 * case, as on Windows; a path that leaves its drive is not a path.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LabFailure } from './failure.ts';
import { RETURN } from './return-codes.ts';

const WINDOWS_PATH = /^([A-Za-z]):\\(.*)$/;

export class Volumes {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = join(folder, 'volumes');
  }

  /** The local path as spelled; nothing needs to be there. Throws a {@link LabFailure} on what is no path of this host. */
  localPath(windowsPath: string): string {
    const match = WINDOWS_PATH.exec(windowsPath);
    const parts = match?.[2]!.split('\\').filter(Boolean) ?? [];
    if (!match || parts.some((part) => part === '..' || part === '.' || /[/:*?"<>|\0]/.test(part))) {
      throw new LabFailure(RETURN.invalidParameter, `not a path on this host: ${windowsPath}`);
    }
    return join(this.folder, match[1]!.toUpperCase(), ...parts);
  }

  /** The local path of something that exists, in the spelling it has on disk; `undefined` when there is nothing. */
  async find(windowsPath: string): Promise<string | undefined> {
    const wanted = this.localPath(windowsPath)
      .slice(this.folder.length + 1)
      .split('/');
    let at = this.folder;
    for (const part of wanted) {
      const names = await readdir(at).catch((): string[] => []);
      const name =
        names.find((other) => other === part) ??
        names.find((other) => other.toLowerCase() === part.toLowerCase());
      if (name === undefined) return undefined;
      at = join(at, name);
    }
    return at;
  }

  /** Makes the folder of a file that is about to be created; its local path. */
  async prepare(windowsPath: string): Promise<string> {
    const path = this.localPath(windowsPath);
    await mkdir(dirname(path), { recursive: true });
    return path;
  }
}

/** `C:\VMs\a.vhdx` → `.\a.vhdx`, as a parent locator says it of a file in the same folder. */
export function relativeName(windowsPath: string): string {
  return `.\\${fileName(windowsPath)}`;
}

export function fileName(windowsPath: string): string {
  return windowsPath.slice(windowsPath.lastIndexOf('\\') + 1);
}

export function samePath(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
