/** Small local files that must be there after a crash, whole or as they were before. */
import { open, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { localFileFault } from './local-file.ts';

/** Puts `text` in the place of what `path` holds: a reader, and a crash, see one or the other. Throws `DISK_NO_SPACE`, `DISK_IO_FAILED`. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const next = `${path}.next`;
  try {
    {
      await using handle = await open(next, 'w', 0o600);
      await handle.writeFile(text);
      await handle.sync();
    }
    await rename(next, path);
    await syncFolder(dirname(path));
  } catch (error) {
    throw localFileFault(path, error);
  }
}

/** The names in `folder` survive a crash. Windows has no such call, and NTFS journals names by itself. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using handle = await open(folder, 'r');
  await handle.sync();
}

/** Everything under `folder` survives a crash: what is in its files, and their names. */
export async function syncTree(folder: string): Promise<void> {
  try {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await syncTree(path);
      else await syncFile(path);
    }
    await syncFolder(folder);
  } catch (error) {
    throw localFileFault(folder, error);
  }
}

async function syncFile(path: string): Promise<void> {
  await using handle = await open(path, 'r+');
  await handle.datasync();
}
