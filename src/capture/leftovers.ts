/**
 * What a killed run left on the host, found and removed at the start of the next one.
 *
 * A checkpoint carries our name, unless the run died between its creation and its naming: then the journal says which
 * checkpoints existed before, and the one recovery checkpoint that came since, and still has the name Hyper-V gives by itself,
 * is ours. Hyper-V allows one at a time, so there is never a second candidate; when there is more than one, nothing is touched.
 *
 * A reference point carries no name. A run that died between conversion and recording it left a journal entry with the
 * reference points that existed before; the only one that came since, while our checkpoint vanished, is ours. Two or
 * more: another tool worked in between, nothing is touched and the user is told. Such an orphan is destroyed, never
 * adopted as a baseline: a wrong guess then costs another tool a full backup, and never anyone's data.
 *
 * What was found by exclusion is written down before it is removed. A run that dies between the two, or before the journal is
 * cleared, would otherwise make the next one look again, and find what another tool has made since.
 */
import { warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { isNamedByHost, type Checkpoint, type HyperV, type ReferencePoint } from '../hyperv/index.ts';
import { runOf } from './checkpoint-name.ts';
import { captureFaults } from './faults.ts';
import type { Baseline, CaptureJournal, JournalEntry } from './source.ts';

/** Generous: creation may wait minutes for the guest's VSS writers. */
const NAMING_WINDOW_MS = 30 * 60_000;

export interface LeftoverReport {
  readonly removedCheckpoints: readonly string[];
  readonly removedReferencePoints: readonly string[];
  readonly warnings: readonly Warning[];
  /** Checkpoints of the VM that are not ours, of users and of other tools. */
  readonly others: readonly Checkpoint[];
}

export interface LeftoverOptions extends CallOptions {
  /** Reference points of which the caller knows that they are others'. */
  readonly spared?: ReadonlySet<string>;
}

export async function removeLeftovers(
  hyperv: HyperV,
  vm: { id: string; name: string },
  journal: CaptureJournal,
  baselines: readonly Baseline[],
  options: LeftoverOptions,
): Promise<LeftoverReport> {
  const entries = await journal.entries(vm.id);
  const { ours, others } = await sortedCheckpoints(hyperv, vm, journal.consumer, entries, options);
  for (const checkpoint of ours) {
    const entry = entries.find((each) => asksFor(each, checkpoint, entries));
    if (entry && runOf(checkpoint.name, journal.consumer) === undefined)
      await noteRemoval(journal, entries, entry, checkpoint);
    await hyperv.destroyCheckpoint(checkpoint, options);
  }
  const converted = convertedEntries(entries, ours);
  const orphans = await orphanedPoints(hyperv, vm, converted, baselines, options);
  for (const { entry, point } of orphans.found) {
    await noteRemoval(journal, entries, entry, point);
    await hyperv.destroyReferencePoint(point, options);
  }
  for (const runId of new Set(entries.map((entry) => entry.runId))) await journal.clear(vm.id, runId);
  return {
    removedCheckpoints: ours.map((each) => each.name),
    removedReferencePoints: orphans.found.map(({ point }) => point.instanceId),
    warnings: orphans.warnings,
    others,
  };
}

async function noteRemoval(
  journal: CaptureJournal,
  entries: readonly JournalEntry[],
  { vmId, runId }: JournalEntry,
  { instanceId }: { readonly instanceId: string },
): Promise<void> {
  if (removalOf(entries, runId) !== undefined) return;
  await journal.record({ step: 'removing', vmId, runId, at: new Date().toISOString(), instanceId });
}

/** What a run was found to have left. */
function removalOf(entries: readonly JournalEntry[], runId: string): string | undefined {
  const removing = entries.find((each) => each.step === 'removing' && each.runId === runId);
  return removing?.step === 'removing' ? removing.instanceId : undefined;
}

/** Those that runs of this owner left, when none lives, and all others. */
export async function sortedCheckpoints(
  hyperv: HyperV,
  vm: { id: string; name: string },
  consumer: string,
  entries: readonly JournalEntry[],
  options: CallOptions,
): Promise<{ ours: Checkpoint[]; others: Checkpoint[] }> {
  const all = await hyperv.checkpoints(vm.id, options);
  const recovery = all.filter((each) => each.kind === 'recovery');
  const ours = recovery.filter(
    (each) =>
      runOf(each.name, consumer) !== undefined ||
      (recovery.length === 1 &&
        isNamedByHost(each, vm.name) &&
        entries.some((entry) => asksFor(entry, each, entries))),
  );
  return { ours, others: all.filter((each) => !ours.includes(each)) };
}

/** The run of the journal entry may have made the checkpoint and died before it named it. */
function asksFor(entry: JournalEntry, checkpoint: Checkpoint, entries: readonly JournalEntry[]): boolean {
  const removal = removalOf(entries, entry.runId);
  return (
    entry.step === 'freezing' &&
    (removal === undefined || removal === checkpoint.instanceId) &&
    !entry.checkpointsBefore.includes(checkpoint.instanceId) &&
    createdNear(checkpoint, entry.at)
  );
}

/** The host's clock may differ from ours by some minutes; a checkpoint without a time is judged by the list alone. */
function createdNear(checkpoint: Checkpoint, at: string): boolean {
  if (!checkpoint.createdAt) return true;
  return Math.abs(checkpoint.createdAt.getTime() - Date.parse(at)) <= NAMING_WINDOW_MS;
}

export interface Orphans {
  /** Each with the entry of the run that left it. */
  readonly found: readonly { readonly entry: JournalEntry; readonly point: ReferencePoint }[];
  readonly warnings: readonly Warning[];
}

/** Reference points that runs made and did not record. `entries`: without those whose checkpoint still stands. */
export async function orphanedPoints(
  hyperv: HyperV,
  vm: { id: string; name: string },
  entries: readonly JournalEntry[],
  baselines: readonly Baseline[],
  options: LeftoverOptions,
): Promise<Orphans> {
  const found: { entry: JournalEntry; point: ReferencePoint }[] = [];
  const warnings: Warning[] = [];
  const recorded = new Set([...baselines.map((each) => each.referencePointId), ...(options.spared ?? [])]);
  for (const entry of entries) {
    if (entry.step !== 'converting') continue;
    const before = new Set(entry.referencePointsBefore);
    // One recorded since is what this run made: it died later, and whatever else came is another tool's.
    if (baselines.some((each) => !entry.recordedBefore.includes(each.referencePointId))) continue;
    const removal = removalOf(entries, entry.runId);
    const orphans = (await hyperv.referencePoints(vm.id, options)).filter(
      ({ instanceId }) =>
        (removal === undefined || removal === instanceId) &&
        !before.has(instanceId) &&
        !recorded.has(instanceId) &&
        !found.some(({ point }) => point.instanceId === instanceId),
    );
    if (orphans.length === 1) found.push({ entry, point: orphans[0]! });
    else if (orphans.length > 1)
      warnings.push(warningOf(captureFaults.orphanUnknown({ count: orphans.length, vm: vm.name })));
  }
  return { found, warnings };
}

/** A checkpoint that is still there was not converted: no reference point came of it. */
export function convertedEntries(
  entries: readonly JournalEntry[],
  standing: readonly Checkpoint[],
): JournalEntry[] {
  return entries.filter(
    (entry) =>
      entry.step !== 'converting' || !standing.some((each) => each.instanceId === entry.checkpointId),
  );
}
