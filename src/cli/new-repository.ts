/** The place of a new repository: empty but for what harms nobody, and one where names are given once. */
import { readdir } from 'node:fs/promises';
import { demandAtomicNames, type ObjectStore } from '../objectstore/index.ts';
import type { StoreAccess, Task } from './engine.ts';
import { cliFaults } from './faults.ts';
import { parseLocation } from './repository-location.ts';
import { openStore } from './repository-store.ts';

/** What a new file system holds, and what an `init` that was cut off leaves behind. */
const HARMLESS = new Set(['lost+found', '.incoming', 'about', 'keys', 'probe']);

/** Throws `CLI_FOLDER_NOT_EMPTY`, `STORE_NAMES_NOT_ATOMIC`, and what opening the store throws. */
export async function openNewStore(
  access: StoreAccess,
  { signal }: Pick<Task, 'signal'>,
): Promise<ObjectStore> {
  const location = parseLocation(access.path);
  if (location.kind === 'folder') {
    const names = await readdir(location.path).catch((): string[] => []);
    refuseForeign(access.path, names);
    return openStore(access, { create: true, signal });
  }
  const store = await openStore(access, { create: true, signal });
  refuseForeign(access.path, await firstNames(store, signal));
  await demandAtomicNames(store, { signal });
  return store;
}

/** A repository among other files would be damaged by whoever tidies them up. One that exists is told of by its own fault. */
function refuseForeign(path: string, names: readonly string[]): void {
  if (names.includes('hvlift.json')) return;
  const found = names.find((name) => !HARMLESS.has(name));
  if (found !== undefined) throw cliFaults.folderNotEmpty({ path, found });
}

/** Of the first objects, the part of the name before the first `/`: a bucket of others may hold a billion. */
async function firstNames(store: ObjectStore, signal: AbortSignal): Promise<string[]> {
  const names = new Set<string>();
  let seen = 0;
  for await (const { name } of store.list('', { signal })) {
    names.add(name.split('/')[0]!);
    if (++seen === 1000) break;
  }
  return [...names];
}
