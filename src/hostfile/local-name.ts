/**
 * Finds names below a local folder the way the host would: case does not matter, and nothing outside the folder is reached.
 *
 * A share mounted on Linux is usually served case-insensitively, but not always (ksmbd, NFS, a copied folder), and the
 * case Hyper-V reports need not be the case on disk.
 */
import { lstat, opendir, realpath } from 'node:fs/promises';
import { join, relative, isAbsolute, sep } from 'node:path';
import { hostFileFaults } from './faults.ts';
import { foldName } from './windows-path.ts';

/**
 * The local path of `names` below `folder`. `path` is what faults name.
 * Throws `HOSTFILE_NOT_FOUND`, `HOSTFILE_AMBIGUOUS`, `HOSTFILE_ESCAPED`, and whatever the file system throws otherwise.
 */
export async function findLocal(folder: string, names: readonly string[], path: string): Promise<string> {
  const exact = join(folder, ...names);
  const found = (await exists(exact)) ? exact : await findByName(folder, names, path);
  await assertInside(folder, found, path);
  return found;
}

async function findByName(folder: string, names: readonly string[], path: string): Promise<string> {
  let at = folder;
  for (const name of names) at = join(at, await entryNamed(at, name, path));
  return at;
}

/** The exact name wins; else the only one that differs in case alone. */
async function entryNamed(folder: string, name: string, path: string): Promise<string> {
  if (await exists(join(folder, name))) return name;
  const wanted = foldName(name);
  const matches: string[] = [];
  for await (const entry of await opendir(folder)) {
    if (foldName(entry.name) === wanted) matches.push(entry.name);
    if (matches.length > 1) {
      throw hostFileFaults.ambiguous({
        path,
        first: join(folder, matches[0]!),
        second: join(folder, entry.name),
      });
    }
  }
  if (matches.length === 0) throw hostFileFaults.notFound({ path, localPath: join(folder, name) });
  return matches[0]!;
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return false;
    throw error;
  }
}

/** A link on the share may point anywhere: `/etc/shadow` must not become a virtual disk of somebody's VM. */
async function assertInside(folder: string, found: string, path: string): Promise<void> {
  const [root, target] = await Promise.all([realpath(folder), realpath(found)]);
  const way = relative(root, target);
  if (way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)) {
    throw hostFileFaults.escaped({ path, localPath: target });
  }
}
