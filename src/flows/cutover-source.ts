/**
 * The source of a cutover: brought off, seen off, and kept off.
 *
 * What counts is what the host shows when it is asked, by the id of the VM and never by an answer to an order. `off` is
 * remembered with the host's own time of it: one that is other later means that somebody had started the VM in between.
 */
import { hasCode } from '../base/index.ts';
import type { VmPower } from '../hyperv/index.ts';
import { cutoverFaults } from './cutover-faults.ts';
import type { Changes, CutoverRun } from './cutover-run.ts';

/** From here on the host does not start it by itself, and its guest is asked to go. */
export async function shutDownSource(run: CutoverRun): Promise<Changes> {
  const { deps, vmId, options } = run;
  await noteSource(run);
  await keepDown(run);
  const { state } = await deps.host.power(vmId, options);
  if (state !== 'off') await bringOff(run);
  const { changedAt } = await mustBeOff(run);
  const off = { seenAt: now(), ...(changedAt === undefined ? {} : { changedAt }) };
  return { step: 'final-delta', off };
}

/** How it was before we came; noted before anything is changed, and never again. */
async function noteSource(run: CutoverRun): Promise<void> {
  const { deps, vmId, options, about } = run;
  if (run.state.source) return;
  const { state } = await deps.host.power(vmId, options);
  if (state === 'saved' || state === 'paused') throw cutoverFaults.wrongState({ ...about, state });
  const startAction = await deps.host.startAction(vmId, options);
  await run.save({
    source: { wasRunning: state !== 'off', ...(startAction === undefined ? {} : { startAction }) },
  });
}

/** A host that restarts must not start it again beside the other one. */
export async function keepDown({ deps, vmId, options }: CutoverRun): Promise<void> {
  await deps.host.setStartAction(vmId, 'none', options);
}

/**
 * That its cable is pulled is written down before it is: whoever dies in between goes on from disks that are as after a crash,
 * and must not call them anything better. Only a guest that went by itself takes that back.
 */
async function bringOff(run: CutoverRun): Promise<void> {
  const { deps, vmId, options, state, about } = run;
  if (!state.askedAt) await run.save({ askedAt: now() });
  const { shutdownSeconds: seconds } = state.choices;
  const { force, signal } = options;
  const refused = await deps.host
    .shutDown(vmId, { force, timeoutMs: seconds * 1000, signal })
    .then((end) => (end === 'off' ? undefined : cutoverFaults.stillOn({ ...about, seconds })))
    .catch((error: unknown) => {
      if (hasCode(error, 'HYPERV_SHUTDOWN_UNAVAILABLE', 'HYPERV_GUEST_LOCKED')) return error;
      throw error;
    });
  if (!refused) return state.turnedOff ? run.save({ turnedOff: undefined }) : undefined;
  if (!(await options.mayTurnOff())) throw refused;
  await run.save({ turnedOff: true });
  await deps.host.turnOff(vmId, options);
}

/** Asked now. Throws `CUTOVER_SOURCE_RUNS`; then going on begins with shutting it down again. */
export async function mustBeOff(run: CutoverRun): Promise<VmPower> {
  const { deps, vmId, options, about } = run;
  const power = await deps.host.power(vmId, options);
  if (power.state === 'off') return power;
  await run.save({ step: 'shutting-down', off: undefined });
  throw cutoverFaults.sourceRuns({ ...about, state: power.state });
}

/** As it was before we came: afterwards the host has it to itself again. */
export async function giveBackSource({ deps, vmId, options, state }: CutoverRun): Promise<void> {
  if (!state.source) return;
  const { wasRunning, startAction } = state.source;
  if (startAction !== undefined) await deps.host.setStartAction(vmId, startAction, options);
  if (wasRunning) await deps.host.startVm(vmId, options);
}

export function now(): string {
  return new Date().toISOString();
}
