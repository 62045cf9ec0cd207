/**
 * Replicas that were removed while something of them stayed on their host: a reference point whose host was not asked, a checkpoint
 * of a run that was killed. Nothing on a host tells whose a reference point is, so it is written down here for the janitor.
 *
 *   ROOT/removed/<id>-<run>.json     until the janitor met the VM
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Baseline, JournalEntry } from '../capture/index.ts';
import { replaceFile } from '../disk/index.ts';
import { marksOf, type Replica } from './replicate-state.ts';

export interface RemovedReplica {
  /** Of the replica: a later one of the same VM on the same target has it again. */
  readonly id: string;
  readonly vm: { readonly id: string; readonly name: string };
  readonly target: string;
  readonly baselines: readonly Baseline[];
  readonly journal: readonly JournalEntry[];
  /** Where that is written down. */
  readonly file: string;
}

const FORMAT = 'hvlift-removed-replica';
const FOLDER = 'removed';

/** Nothing, when nothing stayed. Before the replica is removed: afterwards nobody knows. */
export async function noteRemoved(root: string, { id, state }: Replica): Promise<void> {
  const { vm, target, journal } = state;
  const baselines = marksOf(state);
  if (baselines.length === 0 && journal.length === 0) return;
  const folder = join(root, FOLDER);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const note = { format: FORMAT, version: 1, id, vm, target, baselines, journal };
  await replaceFile(join(folder, `${id}-${randomUUID()}.json`), `${JSON.stringify(note, null, 2)}\n`);
}

/** Those that can be read; what cannot says nothing of any reference point. */
export async function removedReplicas(root: string): Promise<RemovedReplica[]> {
  const folder = join(root, FOLDER);
  const names = await readdir(folder).catch(() => [] as string[]);
  const found: RemovedReplica[] = [];
  for (const name of names.filter((each) => each.endsWith('.json')).toSorted()) {
    const file = join(folder, name);
    const note = await readNote(file);
    if (note) found.push({ ...note, file });
  }
  return found;
}

/** Nothing of it is on the host any more. */
export async function forgetRemoved({ file }: RemovedReplica): Promise<void> {
  await rm(file, { force: true });
}

async function readNote(file: string): Promise<Omit<RemovedReplica, 'file'> | undefined> {
  try {
    const { format, version, ...note } = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    return format === FORMAT && version === 1 && hasShape(note) ? note : undefined;
  } catch {
    return undefined;
  }
}

/** The file is written by nobody else. */
function hasShape(note: unknown): note is Omit<RemovedReplica, 'file'> {
  const { id, vm, target, baselines, journal } = note as Partial<RemovedReplica>;
  return (
    typeof id === 'string' &&
    typeof vm?.id === 'string' &&
    typeof target === 'string' &&
    Array.isArray(baselines) &&
    Array.isArray(journal)
  );
}
