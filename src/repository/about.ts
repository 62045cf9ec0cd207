/**
 * What every repository says of itself: the specification of its format and a reader that needs nothing of ours, so that who
 * finds it in twenty years can restore from it.
 *
 *   about/repository.md   about/read_repository.py
 *
 * They are not sealed, and nothing depends on them; a repair brings them up to date.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';

/** By their names in the store, as files of this package. */
const FILES = {
  'about/read_repository.py': 'tools/read_repository.py',
  'about/repository.md': 'docs/formats/repository.md',
} as const;

/** Writes what is missing: repositories of older versions have none. */
export async function writeAbout(store: ObjectStore, options: CallOptions = {}): Promise<void> {
  for (const [name, file] of Object.entries(FILES)) {
    if (await store.stat(name, options)) continue;
    try {
      await store.putNew(name, await readFile(join(packageFolder(), file)), options);
    } catch (error) {
      if (!hasCode(error, 'STORE_NAME_TAKEN')) throw error; // another process was faster
    }
  }
}

/** Names of those that are not what this version writes. */
export async function outdatedAbout(store: ObjectStore, options: CallOptions = {}): Promise<string[]> {
  const outdated: string[] = [];
  for (const [name, file] of Object.entries(FILES)) {
    const content = await readFile(join(packageFolder(), file));
    const found = await store.stat(name, options);
    const isSame =
      found?.size === content.length &&
      content.equals(await store.getRange(name, 0, content.length, options));
    if (!isSame) outdated.push(name);
  }
  return outdated;
}

/** Upwards from here: `src/repository` and `dist/src/repository` differ in depth. */
function packageFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
