/**
 * A cutover's state on disk: a document beside the replica's own, replaced as a whole; docs/formats/replica.md.
 *
 *   planned ─► pre-copying ─► shutting-down ─► final-delta ─► verifying ─► cloning ─► defining ─► starting ─► probing
 *                                                   ▲                                                │          │
 *                                                   └───────── the source was on meanwhile ──────────┘          ▼
 *                                                              committed ◄─ committing ◄────────────────── healthy
 *   any of them before committing ─► rolling-back ─► rolled-back
 *
 * A step is what is being done, or was when its run died. It is begun again then, and looks first at what is true.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StartAction } from '../hyperv/index.ts';
import type { CutoverChoices } from './cutover-choices.ts';
import { cutoverFaults } from './cutover-faults.ts';
import type { Replica } from './replicate-state.ts';

export const CUTOVER_STEPS = [
  'planned',
  'pre-copying',
  'shutting-down',
  'final-delta',
  'verifying',
  'cloning',
  'defining',
  'starting',
  'probing',
  'healthy',
  'committing',
  'committed',
  'rolling-back',
  'rolled-back',
] as const;
export type CutoverStep = (typeof CUTOVER_STEPS)[number];

/** What the last delta brought, when the source was off. */
export interface FinalDelta {
  readonly generation: number;
  readonly readBytes: number;
  readonly changedBytes: number;
  readonly seconds: number;
  /** From 1: again when the source was on meanwhile. */
  readonly rounds: number;
  /** Of each disk: offset and length, at most {@link CHANGED_KEPT_MAX} pairs. */
  readonly changed: readonly { readonly diskId: string; readonly extents: readonly [number, number][] }[];
}

export interface CutoverState {
  readonly runId: string;
  readonly step: CutoverStep;
  readonly startedAt: string;
  readonly choices: CutoverChoices;
  /** As it was before anything was done to it. */
  readonly source?: { readonly wasRunning: boolean; readonly startAction?: StartAction };
  /** When its guest was first asked to shut down. */
  readonly askedAt?: string;
  /** Its guest did not go, and its cable was pulled. */
  readonly turnedOff?: true;
  /** When it was first seen off by us, and since when it was, in the host's own time. */
  readonly off?: { readonly seenAt: string; readonly changedAt?: string };
  readonly final?: FinalDelta;
  readonly verified?: { readonly comparedBytes: number; readonly seconds: number };
  /** Of the machine that takes its place, from before it was defined. */
  readonly machine?: string;
  /** When the hypervisor was asked to start it, the last time. */
  readonly startedThereAt?: string;
  readonly healthyAt?: string;
  readonly endedAt?: string;
}

/**
 * What is too much for it is joined over gaps, which are then compared too, with the VM off: 64 MiB that changed in a thousand places
 * all over a disk, kept in 512 pairs, would be half of that disk.
 */
export const CHANGED_KEPT_MAX = 8192;
const FORMAT = 'hvlift-cutover';
const VERSION = 1;
const STATE_FILE = 'cutover.json';
/** Nothing was done to the source or the replica that a cycle does not do, or it was undone. */
const HARMLESS: ReadonlySet<CutoverStep> = new Set(['planned', 'pre-copying', 'rolled-back']);

/** Undefined when there never was one. Throws `CUTOVER_STATE_UNREADABLE`. */
export async function readCutover(folder: string): Promise<CutoverState | undefined> {
  const path = join(folder, STATE_FILE);
  try {
    const { format, version, ...state } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    if (format !== FORMAT || version !== VERSION) throw new Error(`it is of version ${String(version)}`);
    if (!hasShape(state)) throw new Error('something is missing in it');
    return state;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cutoverFaults.stateUnreadable({ path, reason: (error as Error).message }, { cause: error });
  }
}

/** Durable once it resolves. Throws `REPO_LEASE_LOST`. */
export async function saveCutover(replica: Replica, state: CutoverState): Promise<void> {
  await replica.saveBeside(
    STATE_FILE,
    `${JSON.stringify({ format: FORMAT, version: VERSION, ...state }, null, 2)}\n`,
  );
}

/**
 * The replica is what the machine on the other side started from: a cycle would change it below that machine. Throws
 * `CUTOVER_OPEN`, `CUTOVER_COMMITTED`.
 */
export async function refuseDuringCutover(replica: Replica): Promise<void> {
  await refuseOpenCutover(replica);
  if ((await readCutover(replica.folder))?.step === 'committed')
    throw cutoverFaults.committed({ vm: replica.state.vm.name, replica: replica.id });
}

/** One that is final has nothing left to remember. Throws `CUTOVER_OPEN`. */
export async function refuseOpenCutover(replica: Replica): Promise<void> {
  const step = (await readCutover(replica.folder))?.step;
  if (step === undefined || step === 'committed' || HARMLESS.has(step)) return;
  throw cutoverFaults.open({ vm: replica.state.vm.name, replica: replica.id, step });
}

function hasShape(state: object): state is CutoverState {
  const { runId, step, startedAt, choices } = state as Partial<CutoverState>;
  const texts = [runId, startedAt].every((each) => typeof each === 'string');
  return texts && CUTOVER_STEPS.includes(step!) && typeof choices?.hypervisor === 'string';
}
