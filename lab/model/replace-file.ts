/** Replaces a small file in one step: a reader, or a process started after a kill, sees the old text or the new one. */
import { rename, writeFile } from 'node:fs/promises';

export async function replaceFile(path: string, text: string, mode = 0o644): Promise<void> {
  // No fsync: the lab promises to survive the death of its process, not of the machine, and seals often.
  await writeFile(`${path}.new`, text, { mode });
  await rename(`${path}.new`, path);
}
