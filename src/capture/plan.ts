/** What a capture would do with a VM, by the same questions and decisions, and without changing anything on the host. */
import { warningOf, type Warning } from '../base/index.ts';
import type { Vm } from '../hyperv/index.ts';
import { baselineState } from './baseline-state.ts';
import { decide, type BaselineState } from './decide.ts';
import { consistencyFault, expectedConsistency } from './freeze.ts';
import { sortedCheckpoints } from './leftovers.ts';
import { attachmentOf, pathOf, preflight, type Preflight } from './preflight.ts';
import type { SourceHost } from './source-host.ts';
import type { CapturePlan, CaptureRequest, Obstacle, PlannedDisk } from './source.ts';
import type { SurveyedDisk } from './surveyed-disks.ts';

export async function planCapture(host: SourceHost, request: CaptureRequest): Promise<CapturePlan> {
  const { hyperv } = host;
  const { journal, consistency: policy } = request;
  const options = { signal: request.signal };
  const vm = await hyperv.vm(request.vm, options);
  const { others } = await sortedCheckpoints(
    hyperv,
    vm,
    journal.consumer,
    await journal.entries(vm.id),
    options,
  );
  const found = await preflight(host, vm, request, others, options);
  const chains = found.disks.map(({ files }) => files);
  const state = await baselineState(hyperv, vm, request, chains, options);
  const expected = expectedConsistency(vm, policy, found.guest);
  return {
    consistency: { asked: policy, ...(expected === undefined ? {} : { expected }) },
    disks: found.disks.map((disk) => plannedDisk(disk, found, state, request)),
    obstacles: obstaclesOf(vm, found, request),
    volumes: found.volumes,
  };
}

function plannedDisk(
  disk: SurveyedDisk,
  { trackable, leftOut }: Preflight,
  state: BaselineState,
  request: CaptureRequest,
): PlannedDisk {
  const { number, attached, info, files } = disk;
  const out = leftOut.find((each) => each.number === number);
  const size = info?.size ?? 0;
  const diskId = info?.virtualDiskId ?? '';
  const facts = { diskId, size, chain: files, trackable: trackable && info?.format === 'vhdx' };
  const { kind, reason }: Pick<PlannedDisk, 'kind' | 'reason'> = out
    ? {
        kind: out.reason === 'asked' || request.skipUnprotectable ? 'left-out' : 'refused',
        reason: out.reason,
      }
    : decide(facts, state, request.full ?? false);
  return {
    number,
    ...(info?.virtualDiskId === undefined ? {} : { diskId: info.virtualDiskId }),
    attachment: attachmentOf(disk),
    path: pathOf(attached),
    ...(info ? { size: info.size } : {}),
    files: files.length,
    kind,
    reason,
  };
}

function obstaclesOf(vm: Vm, found: Preflight, { consistency }: CaptureRequest): Obstacle[] {
  const lowered = consistency === 'application-preferred' && consistencyFault(vm, consistency, found.guest);
  const as = (weight: Obstacle['weight'], warnings: readonly Warning[]): Obstacle[] =>
    warnings.map((each) => ({ weight, ...each }));
  return [
    ...as('refused', found.refusals.map(warningOf)),
    ...as('warning', [...found.warnings, ...(lowered ? [warningOf(lowered)] : [])]),
    ...as('note', found.notes.map(warningOf)),
  ];
}
