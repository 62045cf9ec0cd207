/** Hyper-V as a source: preflight, leftovers, checkpoint, disks, decisions; see {@link file://./source.ts} for the order. */
import { hasCode, isFault, silentProgress, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Checkpoint, HyperV, Vm } from '../hyperv/index.ts';
import { checkpointName } from './checkpoint-name.ts';
import { baselineState, runningSince } from './baseline-state.ts';
import { capturedDisk } from './captured-disk.ts';
import { freeze, type Frozen } from './freeze.ts';
import { openFrozenDisks, slotOf, type FrozenDisk } from './frozen-disks.ts';
import { HyperVCapture } from './hyperv-capture.ts';
import { captureFaults } from './faults.ts';
import type { SourceHost } from './source-host.ts';
import { removeLeftovers } from './leftovers.ts';
import { planCapture } from './plan.ts';
import { preflight, throwRefusals, type Preflight } from './preflight.ts';
import type { Baseline, Capture, CaptureRequest, PlanningSource } from './source.ts';

/** Cleaning up must work after the run was cancelled, so it never uses the run's own signal; this bounds it instead. */
const CLEAN_UP_TIMEOUT_MS = 5 * 60_000;

export function createHyperVSource(host: SourceHost): PlanningSource {
  return {
    open: (request) => openCapture(host, request),
    plan: (request) => planCapture(host, request),
  };
}

export async function openCapture(host: SourceHost, request: CaptureRequest): Promise<Capture> {
  const { hyperv } = host;
  const options = { signal: request.signal };
  const progress = request.progress ?? silentProgress;
  const found = await hyperv.vm(request.vm, options);
  const leftovers = await removeLeftovers(hyperv, found, request.journal, recorded(request), options);
  for (const name of leftovers.removedCheckpoints)
    progress.note(`removed a leftover checkpoint of ours: ${name}`);
  const settled = leftovers.removedCheckpoints.length > 0 ? await hyperv.vm(found.id, options) : found;
  const vm = await whenIdle(hyperv, settled, options);
  const plan = await preflight(host, vm, request, leftovers.others, options);
  throwRefusals(vm, plan.refusals);
  for (const { message } of plan.notes) progress.note(message);

  const before = {
    userCheckpoints: leftovers.others.filter(({ kind }) => kind === 'user').length,
    runningSince: await runningSince(hyperv, vm.id, options),
  };
  await journalFreezing(hyperv, vm, request, options);
  progress.phase('checkpoint');
  const frozen = await freezeOrCleanUp(hyperv, vm, plan, request);
  const warnings = [...leftovers.warnings, ...plan.warnings, ...frozen.warnings];
  return holdFrozen(host, { vm, plan, frozen, warnings, before }, request);
}

async function freezeOrCleanUp(
  hyperv: HyperV,
  vm: Vm,
  { guest }: Preflight,
  request: CaptureRequest,
): Promise<Frozen> {
  const name = checkpointName(request.journal.consumer, request.runId);
  const { consistency: policy, truncateLogs = false, signal } = request;
  try {
    return await freeze(hyperv, vm, { policy, truncateLogs, name, guest }, { signal });
  } catch (error) {
    await removeAfterFailedFreeze(hyperv, vm, request, error);
    throw error;
  }
}

interface FrozenVm {
  readonly vm: Vm;
  readonly plan: Preflight;
  readonly frozen: Frozen;
  readonly warnings: readonly Warning[];
  /** The checkpoint. */
  readonly before: { readonly userCheckpoints: number; readonly runningSince: string | undefined };
}

/** Opens the disks of the checkpoint; when that fails, the checkpoint goes again. */
async function holdFrozen(
  host: SourceHost,
  { vm, plan, frozen, warnings, before }: FrozenVm,
  request: CaptureRequest,
): Promise<Capture> {
  const { hyperv } = host;
  const options = { signal: request.signal };
  const opened: FrozenDisk[] = [];
  try {
    const disks = await openFrozenDisks(
      host,
      vm,
      { checkpoint: frozen.checkpoint, slots: plan.slots },
      options,
    );
    opened.push(...disks);
    mustBeAll(vm, disks, plan.slots);
    const chains = disks.map(({ reader }) => reader.files.map(({ path }) => path));
    const state = await baselineState(hyperv, vm, request, chains, options);
    return new HyperVCapture({
      host,
      vm,
      checkpoint: frozen.checkpoint,
      consistency: {
        asked: request.consistency,
        reached: frozen.reached,
        ...(frozen.truncatedLogs ? { truncatedLogs: true } : {}),
      },
      warnings,
      frozenDisks: disks,
      disks: disks.map((disk) => capturedDisk(hyperv, disk, state, plan.trackable, request)),
      leftOut: plan.leftOut,
      configuration: plan.configuration,
      volumes: plan.volumes,
      trackable: plan.trackable && disks.some(({ format }) => format === 'vhdx'),
      ...before,
      request,
    });
  } catch (error) {
    await Promise.all(opened.map((disk) => disk.reader.close()));
    await giveUp(hyperv, frozen.checkpoint, request);
    throw error;
  }
}

function recorded({ baselines, othersBaselines = [] }: CaptureRequest): Baseline[] {
  return [...baselines, ...othersBaselines];
}

/** A merge of the previous run may still hold the VM; everything else that keeps it busy is for preflight to refuse. */
async function whenIdle(hyperv: HyperV, vm: Vm, options: CallOptions): Promise<Vm> {
  if (vm.busy === undefined) return vm;
  await hyperv.waitForMerge(vm.id, { timeoutMs: CLEAN_UP_TIMEOUT_MS, ...options });
  return hyperv.vm(vm.id, options);
}

async function journalFreezing(
  hyperv: HyperV,
  vm: Vm,
  request: CaptureRequest,
  options: CallOptions,
): Promise<void> {
  await request.journal.record({
    step: 'freezing',
    vmId: vm.id,
    runId: request.runId,
    at: new Date().toISOString(),
    checkpointsBefore: (await hyperv.checkpoints(vm.id, options)).map((each) => each.instanceId),
  });
}

/**
 * A creation that was cut off may still have made its checkpoint: look, and remove what is ours. One that was answered by a
 * fault left nothing, as its port promises, and then nothing may be looked for: what stands there now came from a tool that
 * began at the same moment and was faster, and may have no name yet either. One whose effect did not show in time may have it
 * later: its entry stays, and the next run looks.
 */
async function removeAfterFailedFreeze(
  hyperv: HyperV,
  vm: Vm,
  request: CaptureRequest,
  error: unknown,
): Promise<void> {
  const options = { signal: AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS) };
  try {
    if (hasCode(error, 'HYPERV_EFFECT_MISSING')) return;
    if (isFault(error) && !hasCode(error, 'HYPERV_CHECKPOINT_LEFT', 'HYPERV_VM_MOVED'))
      await request.journal.clear(vm.id, request.runId);
    else await removeLeftovers(hyperv, vm, request.journal, recorded(request), options);
  } catch {
    // The journal entry stays, so the next run looks again; the first error is the one to report.
  }
}

async function giveUp(hyperv: HyperV, checkpoint: Checkpoint, request: CaptureRequest): Promise<void> {
  try {
    await hyperv.destroyCheckpoint(checkpoint, { signal: AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS) });
    await request.journal.clear(checkpoint.vmId, request.runId);
  } catch {
    // It carries our name: the next run removes it. The error that led here is the one to report.
  }
}

/** A checkpoint that lacks a disk, or shows none at all, must not become a restore point that lacks it silently. */
function mustBeAll(vm: Vm, disks: readonly FrozenDisk[], slots: ReadonlySet<string>): void {
  const missing = [...slots].find((slot) => !disks.some((disk) => slotOf(disk.attached) === slot));
  if (missing === undefined) return;
  throw captureFaults.wrongDisk({ vm: vm.name, disk: missing, reason: 'the checkpoint does not have it' });
}
