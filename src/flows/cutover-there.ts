/**
 * The other side of a cutover: the machine that takes the place of the VM.
 *
 *   clone ─► define ─► source seen off, asked now ─► start ─► source seen off again ─► probe
 *
 * It is started only from a clone, so the replica stays what it is, and the source can be gone on with.
 */
import { hasCode } from '../base/index.ts';
import { waitUntilHealthy } from '../hypervisors/index.ts';
import { cutoverFaults } from './cutover-faults.ts';
import type { Changes, CutoverRun } from './cutover-run.ts';
import { keepDown, mustBeOff, now } from './cutover-source.ts';
import { marksOf } from './replicate-state.ts';

export async function cloneThere(run: CutoverRun): Promise<Changes> {
  const { deps, replica, options, state } = run;
  // Of an earlier round: its disks are about to go.
  if (state.machine !== undefined) await deps.hypervisor.powerOff(state.machine, options);
  await deps.clone.make(replica, options);
  return { step: 'defining' };
}

export async function defineThere(run: CutoverRun): Promise<Changes> {
  const { deps, replica, options } = run;
  const { machine } = deps.clone.describe(replica);
  await run.save({ machine: machine.uuid });
  await deps.hypervisor.define(machine, options);
  return { step: 'starting' };
}

/** Never while the source is not seen off, in this very moment. */
export async function startThere(run: CutoverRun): Promise<Changes> {
  const { deps, options } = run;
  const machine = run.state.machine!;
  await keepDown(run);
  if (isOn(await deps.hypervisor.state(machine, options))) {
    await mustHaveStayedOff(run);
    return { step: 'probing' };
  }
  await run.save({ startedThereAt: now() });
  const { changedAt } = await mustBeOff(run);
  if (changedAt !== run.state.off?.changedAt) return { step: 'final-delta' };
  await deps.hypervisor.start(machine, options);
  await mustHaveStayedOff(run);
  return { step: 'probing' };
}

export async function probeThere(run: CutoverRun): Promise<Changes> {
  const { deps, replica, options, state, about } = run;
  await mustHaveStayedOff(run);
  const { machine } = deps.clone.describe(replica);
  const { probe, probeSeconds } = state.choices;
  const { signal } = options;
  const health = await waitUntilHealthy(deps.hypervisor, machine, {
    probe,
    limitMs: probeSeconds * 1000,
    signal,
  });
  if (!health.healthy) throw cutoverFaults.unhealthy({ ...about, reason: health.reason });
  return { step: 'healthy', healthyAt: now() };
}

/** From here on there is no way back but another replica. */
export async function commit(run: CutoverRun): Promise<Changes> {
  const { deps, replica, vmId, options } = run;
  await mustHaveStayedOff(run);
  await keepDown(run);
  for (const { referencePointId: instanceId } of marksOf(replica.state))
    await deps.host.destroyReferencePoint({ instanceId, vmId }, options);
  await replica.save({ baselines: [], outdated: [] });
  return { step: 'committed', endedAt: now() };
}

/**
 * The machine runs: when the source was on since, one of the two has to go, and it is the one that is a copy. Throws
 * `CUTOVER_BOTH_RAN`; going on then takes what the source wrote.
 */
async function mustHaveStayedOff(run: CutoverRun): Promise<void> {
  const { deps, vmId, options, state, about } = run;
  const power = await deps.host.power(vmId, options);
  if (power.state === 'off' && power.changedAt === state.off?.changedAt) return;
  await deps.hypervisor.powerOff(state.machine!, options);
  await run.save({ step: 'shutting-down', off: undefined });
  throw cutoverFaults.bothRan(about);
}

/** It is gone, and its name is free. Throws `CUTOVER_TARGET_RUNS`, and any `HYPERVISOR_` fault: then it may run. */
export async function removeThere({ deps, options, state: { machine, startedThereAt }, about }: CutoverRun) {
  if (machine === undefined) return;
  try {
    await deps.hypervisor.undefine(machine, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    // One of somebody else was there before, and kept ours from being defined.
    if (hasCode(error, 'HYPERVISOR_FOREIGN_MACHINE')) return;
    // What was never started does not run, whether or not that can be seen: the source need not stay off for it.
    if (startedThereAt === undefined) return;
    throw error;
  }
  const state = await deps.hypervisor.state(machine, options);
  if (state !== 'absent' && state !== 'off') throw cutoverFaults.targetRuns({ ...about, state });
}

function isOn(state: string): boolean {
  return state !== 'absent' && state !== 'off' && state !== 'crashed';
}
