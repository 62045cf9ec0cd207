/**
 * What a cutover is going to do, told before it does anything; and how long the VM will be away, by how long cycles of this
 * replica took.
 */
import type { Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { CutoverChoices } from './cutover-choices.ts';
import type { CutoverDeps } from './cutover-run.ts';
import { readRehearsals, type RehearsalRecord } from './rehearsal-note.ts';
import type { CycleNote, Replica } from './replicate-state.ts';

export interface CutoverPlan {
  readonly replica: string;
  readonly vm: { readonly id: string; readonly name: string };
  readonly target: string;
  /** That the replica has now. */
  readonly generation: number;
  readonly hypervisor: string;
  readonly machine: { readonly name: string; readonly uuid: string };
  readonly choices: CutoverChoices;
  /** Absent when there was no cycle to tell by. */
  readonly forecast?: Forecast;
  /** The last one that was healthy. */
  readonly rehearsal?: RehearsalRecord;
  /** What the machine on the other side has not of the VM, or otherwise. */
  readonly warnings: readonly Warning[];
}

/** Lowest, the one in the middle, highest. */
export type Spread = readonly [number, number, number];

export interface Forecast {
  /** So many cycles tell. */
  readonly cycles: number;
  readonly changedBytes: Spread;
  /** Of the last delta: from the checkpoint to all of it on the target. The guest's shutdown and start come on top. */
  readonly seconds: Spread;
  /** The same until the machine is well: with the clone, the start and the sign of health of rehearsals that were. */
  readonly wellSeconds?: Spread;
}

/** Changes nothing. What would fail later is thrown now: any `HYPERVISOR_` or `MACHINE_` fault. */
export async function planCutover(
  deps: Pick<CutoverDeps, 'clone' | 'hypervisor'>,
  replica: Replica,
  choices: CutoverChoices,
  options: CallOptions,
): Promise<CutoverPlan> {
  const { vm, target, generation, cycles = [] } = replica.state;
  const machine = await deps.clone.plan(replica, options);
  const { notes } = deps.clone.describe(replica);
  const warnings = [...notes, ...(await deps.hypervisor.prepare(machine, options))];
  const rehearsals = (await readRehearsals(replica.folder)).filter(({ result }) => result === 'healthy');
  const rehearsal = rehearsals.at(-1);
  const alike = rehearsals.filter(({ conversion }) => conversion === choices.conversion);
  const forecast = forecastOf(cycles, choices.deltaTargetBytes, alike);
  return {
    replica: replica.id,
    vm,
    target,
    generation: generation!.number,
    hypervisor: deps.hypervisor.describe(),
    machine: { name: machine.name, uuid: machine.uuid },
    choices,
    ...(forecast ? { forecast } : {}),
    ...(rehearsal ? { rehearsal } : {}),
    warnings,
  };
}

/** By the cycles that were as small as the last one is going to be; by all deltas when none was. */
export function forecastOf(
  cycles: readonly CycleNote[],
  deltaTargetBytes: number,
  rehearsals: readonly Pick<RehearsalRecord, 'seconds'>[] = [],
): Forecast | undefined {
  const deltas = cycles.filter(({ kind }) => kind === 'delta');
  const small = deltas.filter(({ changedBytes }) => changedBytes <= deltaTargetBytes);
  const telling = small.length > 0 ? small : deltas;
  if (telling.length === 0) return undefined;
  const seconds = spreadOf(telling.map((cycle) => cycle.seconds));
  return {
    cycles: telling.length,
    changedBytes: spreadOf(telling.map(({ changedBytes }) => changedBytes)),
    seconds,
    ...(rehearsals.length === 0 ? {} : { wellSeconds: sumOf(seconds, startsOf(rehearsals)) }),
  };
}

function startsOf(rehearsals: readonly Pick<RehearsalRecord, 'seconds'>[]): Spread {
  return spreadOf(
    rehearsals.map(({ seconds: { clone = 0, start = 0, health = 0 } }) => clone + start + health),
  );
}

function sumOf(one: Spread, other: Spread): Spread {
  return [one[0] + other[0], one[1] + other[1], one[2] + other[2]];
}

function spreadOf(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b);
  return [sorted[0]!, sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!];
}
