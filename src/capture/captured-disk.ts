/** One frozen disk, with what was decided for it and the ranges that have to be read. */
import type { HyperV } from '../hyperv/index.ts';
import { decide, type BaselineState } from './decide.ts';
import type { FrozenDisk } from './frozen-disks.ts';
import { attachmentOf } from './preflight.ts';
import type { CapturedDisk, CaptureRequest } from './source.ts';

export function capturedDisk(
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
    attachment: attachmentOf(disk),
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
