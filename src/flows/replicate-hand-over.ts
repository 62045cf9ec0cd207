/**
 * From the checkpoint of a committed generation to the replica's next baseline, as a backup does it: the new reference point
 * is durable before the old one dies. The generation stands, so what fails here is a warning about the next cycle.
 *
 * A baseline may be older than the generation: what changed since is then read once more, and found as it is.
 */
import { warningOf, type FaultFactory, type Warning } from '../base/index.ts';
import type { Capture, SealedReference } from '../capture/index.ts';
import { replicaFaults } from './replicate-faults.ts';
import { marksOf, type Replica } from './replicate-state.ts';

const MERGE_TIMEOUT_MS = 2 * 60_000;
const CLEAN_UP_TIMEOUT_MS = 5 * 60_000;

export async function handOver(replica: Replica, capture: Capture, generation: number): Promise<Warning[]> {
  // Not by the run's own signal: a conversion cut short leaves a reference point that nobody knows to be ours.
  const options = { signal: AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS) };
  let sealed: SealedReference | undefined;
  try {
    sealed = await capture.seal(options);
  } catch (error) {
    await abortQuietly(capture);
    return [warningOf(replicaFaults.baselineNotSealed({ generation, reason: messageOf(error) }))];
  }
  if (!sealed) return [warningOf(replicaFaults.notTrackable({ vm: capture.vm.name }))];
  return asWarning(replicaFaults.baselineNotAdopted, generation, () =>
    adopt(replica, capture, sealed, options),
  );
}

async function adopt(
  replica: Replica,
  capture: Capture,
  sealed: SealedReference,
  options: { signal: AbortSignal },
): Promise<Warning[]> {
  const { baselines } = replica.state;
  const older = marksOf(replica.state);
  await replica.save({ baselines: [sealed, ...baselines] });
  await capture.settled();
  await capture.retire(
    older.map(({ referencePointId }) => referencePointId),
    options,
  );
  await replica.save({ baselines: [sealed], outdated: [] });
  return [];
}

/** Whether the checkpoint is gone from the host. */
export function confirmGone(
  capture: Capture,
  generation: number,
  {
    signal,
    mergeTimeoutMs = MERGE_TIMEOUT_MS,
  }: { signal?: AbortSignal | undefined; mergeTimeoutMs?: number | undefined },
): Promise<Warning[]> {
  return asWarning(replicaFaults.checkpointNotConfirmed, generation, async () => {
    const state = await capture.confirm({ timeoutMs: mergeTimeoutMs, signal });
    if (state === 'merged') return [];
    const seconds = Math.round(mergeTimeoutMs / 1000);
    return [warningOf(replicaFaults.mergeRunning({ vm: capture.vm.name, seconds }))];
  });
}

/** Cleaning up must work although the run was cancelled, and its own failure must not hide the first error. */
export async function abortQuietly(capture: Capture): Promise<void> {
  try {
    await capture.abort({ signal: AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS) });
  } catch {
    // The checkpoint carries our name: the next cycle of this replica finds and removes it.
  }
}

async function asWarning(
  fault: FaultFactory,
  generation: number,
  step: () => Promise<Warning[]>,
): Promise<Warning[]> {
  try {
    return await step();
  } catch (error) {
    return [warningOf(fault({ generation, reason: messageOf(error) }))];
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
