/** Temporary folders for tests. */
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GiB } from '../../src/base/index.ts';

export interface Scratch {
  readonly folder: string;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function scratch(): Promise<Scratch> {
  const folder = await mkdtemp(join(await roomyFolder(), 'hvlift-lab-'));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** In memory where there is room: these tests sync VHDX files some thousand times, which a busy disk makes minutes of. */
async function roomyFolder(): Promise<string> {
  const memory = '/dev/shm';
  const free = await statfs(memory).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => 0,
  );
  return free >= GiB ? memory : tmpdir();
}
