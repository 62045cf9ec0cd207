/**
 * Hyper-V for one VM of a cluster: every call goes to the node that owns it.
 *
 * What may be asked twice is followed. A checkpoint is asked for once: when the VM moved meanwhile nobody knows what was
 * left where, so the run is begun anew and cleans up first. A list of changes must come from one owner from its beginning
 * to its end, because a node that lost the VM may answer that nothing changed.
 */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import type { Cluster } from './cluster.ts';
import { sameId } from './created-elements.ts';
import type { HyperV, OnVm } from './hyperv.ts';
import type { ReferencePoint } from './reference-points.ts';
import type { VmWhereabouts } from './whereabouts.ts';

export function followingHyperV(cluster: Cluster, where: VmWhereabouts): HyperV {
  const at = async (node: string, options: CallOptions): Promise<HyperV> =>
    (await cluster.at(node, options)).hyperv;
  const anywhere = <T>(call: (hyperv: HyperV) => Promise<T>, options: CallOptions = {}): Promise<T> =>
    where.anywhere(async (node) => call(await at(node, options)), options);
  const once = <T>(call: (hyperv: HyperV) => Promise<T>, options: CallOptions = {}): Promise<T> =>
    where.once(async (node) => call(await at(node, options)), options);

  const following: HyperV = {
    vms: (call) => anywhere((hyperv) => hyperv.vms(call), call),
    vm: (nameOrId, call) => anywhere((hyperv) => hyperv.vm(nameOrId, call), call),
    disks: (vmId, call) => anywhere((hyperv) => hyperv.disks(vmId, call), call),
    diskInfo: (path, call) => anywhere((hyperv) => hyperv.diskInfo(path, call), call),
    diskFileBytes: (path, call) => anywhere((hyperv) => hyperv.diskFileBytes(path, call), call),
    volumes: (vmId, call) => anywhere((hyperv) => hyperv.volumes(vmId, call), call),
    configuration: (vmId, call) => anywhere((hyperv) => hyperv.configuration(vmId, call), call),
    vssReady: (vmId, call) => anywhere((hyperv) => hyperv.vssReady(vmId, call), call),
    checkpoints: (vmId, call) => anywhere((hyperv) => hyperv.checkpoints(vmId, call), call),
    createRecoveryCheckpoint: (vmId, call) =>
      once((hyperv) => hyperv.createRecoveryCheckpoint(vmId, call), call),
    checkpointDisks: (checkpoint, call) =>
      anywhere((hyperv) => hyperv.checkpointDisks(checkpoint, call), call),
    destroyCheckpoint: (checkpoint, call) =>
      anywhere((hyperv) => hyperv.destroyCheckpoint(checkpoint, call), call),
    convertToReferencePoint: (checkpoint, call) => convert(checkpoint, call),
    referencePoints: (vmId, call) => anywhere((hyperv) => hyperv.referencePoints(vmId, call), call),
    destroyReferencePoint: (point, call) =>
      anywhere((hyperv) => hyperv.destroyReferencePoint(point, call), call),
    changedExtents,
    waitForMerge: (vmId, call) => anywhere((hyperv) => hyperv.waitForMerge(vmId, call), call),
    waitUntilIdle: (vmId, call) => anywhere((hyperv) => hyperv.waitUntilIdle(vmId, call), call),
    power: (vmId, call) => anywhere((hyperv) => hyperv.power(vmId, call), call),
    shutDown: (vmId, call) => anywhere((hyperv) => hyperv.shutDown(vmId, call), call),
    turnOff: (vmId, call) => anywhere((hyperv) => hyperv.turnOff(vmId, call), call),
    startVm: (vmId, call) => anywhere((hyperv) => hyperv.startVm(vmId, call), call),
    startAction: (vmId, call) => anywhere((hyperv) => hyperv.startAction(vmId, call), call),
    setStartAction: (vmId, action, call) =>
      anywhere((hyperv) => hyperv.setStartAction(vmId, action, call), call),
    forVm: () => following,
  };
  return following;

  /** Again at the new owner while the checkpoint still stands there: then nothing was made of it. */
  async function convert(checkpoint: OnVm, options: CallOptions = {}): Promise<ReferencePoint> {
    const attempt = () => once((hyperv) => hyperv.convertToReferencePoint(checkpoint, options), options);
    try {
      return await attempt();
    } catch (error) {
      if (!hasCode(error, 'HYPERV_VM_MOVED')) throw error;
      const standing = await following.checkpoints(checkpoint.vmId, options);
      if (!standing.some(({ instanceId }) => sameId(instanceId, checkpoint.instanceId))) throw error;
      return await attempt();
    }
  }

  async function* changedExtents(
    path: string,
    rctId: string,
    size: number,
    options: CallOptions = {},
  ): AsyncGenerator<Extent> {
    const node = await where.now(options);
    try {
      yield* (await at(node, options)).changedExtents(path, rctId, size, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      await where.mustBeAt(node, options, error);
      throw error;
    }
    await where.mustBeAt(node, options);
  }
}
