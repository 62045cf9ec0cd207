/**
 * A rehearsal as the replica knows of it, from before anything was made until everything is gone.
 *
 *   ID/rehearsal.json     what there is to undo, by whoever comes next; beside it a lease, which says whether its run lives
 *   ID/rehearsals.json    the last ones, the newest last
 *
 * The machine of a rehearsal reads the target's disks below its clone, so nothing may be brought to them meanwhile. It can only
 * begin while its run holds the replica, so whoever holds the replica sees a rehearsal end, and never one begin.
 */
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile, syncFolder, type CallOptions } from '../disk/index.ts';
import { openDirectoryStore } from '../objectstore/index.ts';
import { holderState, Lease } from '../repository/index.ts';
import { replicaFaults } from './replicate-faults.ts';
import { rehearsalFaults } from './rehearsal-faults.ts';
import type { Replica } from './replicate-state.ts';

/** What there is to undo. */
export interface RehearsalNote {
  /** Uuid of its machine. */
  readonly machine: string;
  /** Address of the hypervisor that runs it. */
  readonly hypervisor: string;
  /** Of the clone. */
  readonly folder: string;
  readonly generation: number;
  readonly startedAt: string;
  /** It reads a generation that the target keeps, below which nothing changes. */
  readonly ofKept?: true;
  /** Its run ended and left it running, because that was asked for. */
  readonly kept?: true;
}

/** One that ended. */
export interface RehearsalRecord {
  readonly time: string;
  readonly generation: number;
  /** When the capture of that generation began. */
  readonly asOf: string;
  readonly hypervisor: string;
  readonly conversion: string;
  readonly probe: string;
  readonly result: 'healthy' | 'unhealthy' | 'failed' | 'cancelled';
  /** Why, when it is not `healthy`. */
  readonly reason?: string;
  /** What was reached of: clone made and converted, machine defined and started, sign of health seen. */
  readonly seconds: { readonly clone?: number; readonly start?: number; readonly health?: number };
}

const NOTE = 'rehearsal.json';
const RECORDS = 'rehearsals.json';
const RECORDS_KEPT = 20;

type Place = Pick<Replica, 'id' | 'folder'>;

/** Undefined when there is none. Throws `REHEARSAL_NOTE_UNREADABLE`. */
export async function readNote({ folder }: Place): Promise<RehearsalNote | undefined> {
  const path = join(folder, NOTE);
  const note = await readJson(path);
  if (note === undefined) return undefined;
  const { machine, hypervisor, folder: clone } = note as Partial<RehearsalNote>;
  if ([machine, hypervisor, clone].every((each) => typeof each === 'string')) return note as RehearsalNote;
  throw rehearsalFaults.noteUnreadable({ path, reason: 'something is missing in it' });
}

/** Durable once it resolves. */
export async function writeNote({ folder }: Place, note: RehearsalNote): Promise<void> {
  await replaceFile(join(folder, NOTE), `${JSON.stringify(note, null, 2)}\n`);
}

export async function removeNote({ folder }: Place): Promise<void> {
  await rm(join(folder, NOTE), { force: true });
  await syncFolder(folder);
}

/** The newest last; none when they cannot be read, since nothing but a forecast depends on them. */
export async function readRehearsals(folder: string): Promise<readonly RehearsalRecord[]> {
  const records = await readJson(join(folder, RECORDS)).catch(() => []);
  return Array.isArray(records) ? (records as RehearsalRecord[]) : [];
}

/** By the run that holds the rehearsal. */
export async function addRehearsal({ folder }: Place, record: RehearsalRecord): Promise<void> {
  const records = [...(await readRehearsals(folder)), record].slice(-RECORDS_KEPT);
  await replaceFile(join(folder, RECORDS), `${JSON.stringify(records, null, 2)}\n`);
}

/** Throws `REPO_VM_BUSY` when a run of it lives. */
export async function rehearsalLease({ id, folder }: Place, options: CallOptions): Promise<Lease> {
  return Lease.acquire(await locksOf(folder), leaseName(id), options);
}

/** Of one that has a note: does its run live, was its machine kept, or is it a remainder? */
export async function rehearsalState(
  { id, folder }: Place,
  note: RehearsalNote,
  options: CallOptions = {},
): Promise<'runs' | 'kept' | 'left'> {
  const holder = await holderState(await locksOf(folder), leaseName(id), options);
  // One of another machine cannot be asked, and may live.
  if (holder === 'alive' || holder === 'unknown') return 'runs';
  return note.kept ? 'kept' : 'left';
}

/**
 * By who holds the replica, before the target's disks change. What a dead run left is not waited for: its machine reads a mixture
 * from then on, and nobody looks at it. Throws `REPLICA_REHEARSED`.
 */
export async function refuseDuringRehearsal(replica: Replica, options: CallOptions): Promise<void> {
  const note = await readNote(replica);
  if (!note || note.ofKept || (await rehearsalState(replica, note, options)) === 'left') return;
  const next = replica.state.generation?.number;
  throw replicaFaults.rehearsed({ generation: note.generation, next, replica: replica.id });
}

function locksOf(folder: string): ReturnType<typeof openDirectoryStore> {
  return openDirectoryStore(join(dirname(folder), 'locks'), { create: true });
}

function leaseName(id: string): string {
  return `rehearsals/${id}`;
}

async function readJson(path: string): Promise<object | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value === 'object' && value !== null) return value;
    throw new Error('it is no document');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw rehearsalFaults.noteUnreadable({ path, reason: (error as Error).message }, { cause: error });
  }
}
