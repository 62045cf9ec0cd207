/** What became of a cutover, for people and programs. */
import type { CutoverRun } from './cutover-run.ts';
import type { CutoverState, CutoverStep, FinalDelta } from './cutover-state.ts';

export interface CutoverRecord {
  readonly type: 'cutover';
  readonly runId: string;
  readonly replica: string;
  readonly vm: { readonly id: string; readonly name: string };
  readonly hypervisor: string;
  /** `healthy`, `committed` or `rolled-back`. */
  readonly step: CutoverStep;
  readonly startedAt: string;
  readonly endedAt?: string;
  /** Of the machine on the other side. */
  readonly machine?: string;
  /** From asking the guest to shut down to the order to start the machine: the guest's own start comes on top. */
  readonly downtimeSeconds?: number;
  /** Of it, from when the VM was seen off: what hvlift takes. */
  readonly offSeconds?: number;
  readonly healthySeconds?: number;
  /** Its cable was pulled: its disks are as after a crash. */
  readonly turnedOff?: true;
  readonly final?: Omit<FinalDelta, 'changed'>;
  readonly verified?: NonNullable<CutoverState['verified']>;
}

export function recordOf({ state, replica, deps }: CutoverRun): CutoverRecord {
  const { runId, step, startedAt, endedAt, machine, turnedOff, verified } = state;
  const { vm } = replica.state;
  const hypervisor = deps.hypervisor.describe();
  return {
    type: 'cutover',
    runId,
    replica: replica.id,
    vm,
    hypervisor,
    step,
    startedAt,
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(machine === undefined ? {} : { machine }),
    ...secondsOf(state),
    ...(turnedOff ? { turnedOff } : {}),
    ...(state.final ? { final: withoutRanges(state.final) } : {}),
    ...(verified ? { verified } : {}),
  };
}

function secondsOf({ askedAt, off, startedThereAt, healthyAt }: CutoverState) {
  return {
    ...between('downtimeSeconds', askedAt ?? off?.seenAt, startedThereAt),
    ...between('offSeconds', off?.seenAt, startedThereAt),
    ...between('healthySeconds', startedThereAt, healthyAt),
  };
}

function between<K extends string>(
  name: K,
  from: string | undefined,
  to: string | undefined,
): { [P in K]?: number } {
  if (from === undefined || to === undefined) return {};
  return { [name]: (Date.parse(to) - Date.parse(from)) / 1000 } as { [P in K]: number };
}

function withoutRanges({ changed: _changed, ...facts }: FinalDelta): Omit<FinalDelta, 'changed'> {
  return facts;
}
