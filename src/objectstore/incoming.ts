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
import { mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from './faults.ts';
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
export async function makeIncoming(root: string): Promise<void> {
  await mkdir(join(root, INCOMING)).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error;
  });
}

/** Removes what dead writers left. A store that cannot be written (read-only, no rights) is left as it is. */
export async function removeLeftovers(root: string): Promise<void> {
  for (const entry of await readdir(join(root, INCOMING)).catch(() => [])) {
    const path = join(root, INCOMING, entry);
    if (await isLeftover(path, entry).catch(() => false)) await rm(path, { force: true }).catch(() => {});
  }
}

async function isLeftover(path: string, entry: string): Promise<boolean> {
  const state = processState(await markOf(path, entry));
  return state === 'dead' || (state === 'unknown' && (await ageMs(path)) > ABANDONED_AFTER_MS);
}

async function markOf(path: string, entry: string): Promise<string> {
  return entry.endsWith('.claim') ? await readFile(path, 'utf8') : entry.split('-')[0]!;
}

/** By the clock of the file system, which a network share does not have in common with this machine. */
async function ageMs(path: string): Promise<number> {
  const probe = newPartPath(join(path, '..', '..'));
  await (await open(probe, 'wx')).close();
  try {
    return (await stat(probe)).mtimeMs - (await stat(path)).mtimeMs;
  } finally {
    await rm(probe, { force: true });
  }
}
