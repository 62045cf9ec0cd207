/** Finds names below a folder of an SFTP server the way the host would: case does not matter. */
import type { SftpClient } from '../sftp/index.ts';
import { hostFileFaults } from './faults.ts';
import { foldName } from './windows-path.ts';

/**
 * The path of `names` below `root`, with the case they have there. `path` is what faults name. Throws `HOSTFILE_NOT_FOUND`,
 * `HOSTFILE_AMBIGUOUS`, and what the client throws.
 */
export async function findRemote(
  client: SftpClient,
  root: string,
  names: readonly string[],
  path: string,
): Promise<string> {
  let at = root;
  for (const name of names) {
    const exact = joinRemote(at, [name]);
    const found = (await client.kindOf(exact)) !== undefined;
    at = found ? exact : joinRemote(at, [await entryNamed(client, at, name, path)]);
  }
  return at;
}

/** The only entry that differs from `name` in case alone. */
async function entryNamed(client: SftpClient, folder: string, name: string, path: string): Promise<string> {
  const localPath = joinRemote(folder, [name]);
  if ((await client.kindOf(folder)) !== 'folder') throw hostFileFaults.notFound({ path, localPath });
  const wanted = foldName(name);
  const [first, second] = (await client.list(folder)).filter((entry) => foldName(entry) === wanted);
  if (first === undefined) throw hostFileFaults.notFound({ path, localPath });
  if (second === undefined) return first;
  throw hostFileFaults.ambiguous({
    path,
    first: joinRemote(folder, [first]),
    second: joinRemote(folder, [second]),
  });
}

export function joinRemote(folder: string, names: readonly string[]): string {
  return [folder === '/' ? '' : folder, ...names].join('/') || '/';
}
