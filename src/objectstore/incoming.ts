/**
 * `.incoming`: the folder of a directory store where objects are written before they get their names.
 *
 *   <process mark>-<random>.part    bytes of an object under way
 *   <hash of a name>.claim          the right to give that name, on volumes without hard links; holds a process mark
 *
 * What a dead process left is removed when the store is opened. What cannot be told dead (another machine) is removed when
 * it was not written for a week. A wrong guess costs a live writer that one object, as a `retry` fault; no name ever gets
 * wrong bytes, because a name is only given to a file that is still there.
 */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { errorCode } from './faults.ts';
import { removeFile, type FileCalls } from './file-calls.ts';
import { processMark, processState } from './process-mark.ts';

/** No object name starts with a dot, so no object can lie here. */
export const INCOMING = '.incoming';
export const ABANDONED_AFTER_MS = 7 * 24 * 3600 * 1000;

export function newPartPath(root: string): string {
  return join(root, INCOMING, `${processMark()}-${randomBytes(8).toString('hex')}.part`);
}

export function claimPath(root: string, name: string): string {
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
  return join(root, INCOMING, `${hash}.claim`);
}

/**
 * Creates the folder, but never its parent: when the volume of a mounted store goes away during a run, the next write must
 * fail rather than fill the disk underneath the mount point.
 */
export async function makeIncoming(files: FileCalls, root: string): Promise<void> {
  await files.mkdir(join(root, INCOMING)).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error;
  });
}

/** Removes what dead writers left. A store that cannot be written (read-only, no rights) is left as it is. */
export async function removeLeftovers(files: FileCalls, root: string): Promise<void> {
  const entries = await files.readdir(join(root, INCOMING), { withFileTypes: true }).catch(() => []);
  for (const { name } of entries) {
    const path = join(root, INCOMING, name);
    if (await isLeftover(files, path, name).catch(() => false)) await removeFile(files, path).catch(() => {});
  }
}

async function isLeftover(files: FileCalls, path: string, entry: string): Promise<boolean> {
  const state = processState(await markOf(files, path, entry));
  return state === 'dead' || (state === 'unknown' && (await ageMs(files, path)) > ABANDONED_AFTER_MS);
}

async function markOf(files: FileCalls, path: string, entry: string): Promise<string> {
  return entry.endsWith('.claim') ? await files.readFile(path, 'utf8') : entry.split('-')[0]!;
}

/** By the clock of the file system, which a network share does not have in common with this machine. */
async function ageMs(files: FileCalls, path: string): Promise<number> {
  const probe = newPartPath(join(path, '..', '..'));
  await (await files.open(probe, 'wx')).close();
  try {
    return (await files.stat(probe)).mtimeMs - (await files.stat(path)).mtimeMs;
  } finally {
    await removeFile(files, probe);
  }
}
