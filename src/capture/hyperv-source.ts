/** Hyper-V as a source: preflight, leftovers, checkpoint, disks, decisions; see {@link file://./source.ts} for the order. */
import { hasCode, isFault, silentProgress } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Checkpoint, HyperV, Vm } from '../hyperv/index.ts';
import { checkpointName } from './checkpoint-name.ts';
import { decide, usableBaseline, type BaselineState } from './decide.ts';
import { freeze } from './freeze.ts';
import { openFrozenDisks, slotOf, type FrozenDisk } from './frozen-disks.ts';
import { HyperVCapture } from './hyperv-capture.ts';
import { captureFaults } from './faults.ts';
import type { SourceHost } from './source-host.ts';
import { removeLeftovers } from './leftovers.ts';
import { preflight } from './preflight.ts';
import type { Baseline, Capture, CapturedDisk, CaptureRequest, Source } from './source.ts';

/** Cleaning up must work after the run was cancelled, so it never uses the run's own signal; this bounds it instead. */
const CLEAN_UP_TIMEOUT_MS = 5 * 60_000;

export function createHyperVSource(host: SourceHost): Source {
  return { open: (request) => openCapture(host, request) };
}

export async function openCapture(host: SourceHost, request: CaptureRequest): Promise<Capture> {
  const { hyperv } = host;
  const options = { signal: request.signal };
  const progress = request.progress ?? silentProgress;
  const vm = await hyperv.vm(request.vm, options);
  const leftovers = await removeLeftovers(hyperv, vm, request.journal, recorded(request), options);
  for (const name of leftovers.removedCheckpoints)
    progress.note(`removed a leftover checkpoint of ours: ${name}`);
  const settled = leftovers.removedCheckpoints.length > 0 ? await hyperv.vm(vm.id, options) : vm;
  const plan = await preflight(
    hyperv,
    await whenIdle(hyperv, settled, options),
    request.skipUnprotectable ?? false,
    options,
  );

  await journalFreezing(hyperv, vm, request, options);
  progress.phase('checkpoint');
  const name = checkpointName(request.journal.consumer, request.runId);
  const { consistency: policy, truncateLogs = false } = request;
  const frozen = await freeze(hyperv, vm, { policy, truncateLogs, name }, options).catch(
    async (error: unknown) => {
      await removeAfterFailedFreeze(hyperv, vm, request, error);
      throw error;
    },
  );
  const opened: FrozenDisk[] = [];
  try {
    const all = await openFrozenDisks(hyperv, host.files, vm, frozen.checkpoint, options);
    opened.push(...all);
    const disks = await keepPlanned(all, plan.slots);
    mustBeAll(vm, disks, plan.slots);
    const state = await baselineState(hyperv, vm, request, options);
    return new HyperVCapture({
      host,
      vm,
      checkpoint: frozen.checkpoint,
      consistency: {
        asked: request.consistency,
        reached: frozen.reached,
        ...(frozen.truncatedLogs ? { truncatedLogs: true } : {}),
      },
      warnings: [...leftovers.warnings, ...plan.warnings, ...frozen.warnings],
      frozenDisks: disks,
      disks: disks.map((disk) => capturedDisk(hyperv, disk, state, plan.trackable, request)),
      configuration: await hyperv.configuration(vm.id, options),
      trackable: plan.trackable && disks.some(({ format }) => format === 'vhdx'),
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

async function keepPlanned(all: readonly FrozenDisk[], slots: ReadonlySet<string>): Promise<FrozenDisk[]> {
  const kept = all.filter((disk) => slots.has(slotOf(disk.attached)));
  await Promise.all(all.filter((disk) => !kept.includes(disk)).map((disk) => disk.reader.close()));
  return kept;
}

/** A checkpoint that lacks a disk, or shows none at all, must not become a restore point that lacks it silently. */
function mustBeAll(vm: Vm, disks: readonly FrozenDisk[], slots: ReadonlySet<string>): void {
  const missing = [...slots].find((slot) => !disks.some((disk) => slotOf(disk.attached) === slot));
  if (missing === undefined) return;
  throw captureFaults.wrongDisk({ vm: vm.name, disk: missing, reason: 'the checkpoint does not have it' });
}

async function baselineState(
  hyperv: HyperV,
  vm: Vm,
  request: CaptureRequest,
  options: CallOptions,
): Promise<BaselineState> {
  const { baselines, earlierDisks = [] } = request;
  const hadAny = baselines.length > 0;
  if (!hadAny) return { usable: undefined, hadAny, earlierDisks };
  const usable = usableBaseline(baselines, await hyperv.referencePoints(vm.id, options));
  return { usable, hadAny, earlierDisks };
}

function capturedDisk(
  hyperv: HyperV,
  disk: FrozenDisk,
  state: BaselineState,
  trackable: boolean,
  request: CaptureRequest,
): CapturedDisk {
  const { reader, attached } = disk;
  const chain = reader.files.map((file) => file.path);
  const decision = decide(
    {
      diskId: reader.virtualDiskId,
      size: reader.size,
      chain,
      trackable: trackable && disk.format === 'vhdx',
    },
    state,
    request.full ?? false,
  );
  const facts = {
    id: reader.virtualDiskId,
    attachment: {
      controller: attached.controller.kind,
      controllerNumber: attached.controller.number,
      slot: attached.slot,
    },
    attachmentId: attached.attachmentId,
    path: disk.frozenPath,
    format: disk.format,
    chain,
    size: reader.size,
    logicalSectorSize: reader.logicalSectorSize,
    physicalSectorSize: 'physicalSectorSize' in reader ? reader.physicalSectorSize : reader.logicalSectorSize,
    hostFileBytes: disk.hostFileBytes,
    reader,
  };
  const whole = (why: Pick<CapturedDisk, 'kind' | 'reason'>): CapturedDisk => ({
    ...facts,
    ...why,
    extents: reader.allocated(undefined, { signal: request.signal }),
    asCompare,
  });
  const asCompare: CapturedDisk['asCompare'] = (reason) => whole({ kind: 'compare', reason });
  if (decision.kind !== 'delta') return whole(decision);
  return {
    ...facts,
    kind: 'delta',
    reason: decision.reason,
    baseline: decision.baseline,
    extents: hyperv.changedExtents(disk.frozenPath, decision.disk.rctId, reader.size, {
      signal: request.signal,
    }),
    asCompare,
  };
}
