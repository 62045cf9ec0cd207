/** Hyper-V for a whole cluster: what is about a VM goes to the node that owns it, listings go to all. */
import { hasCode, isFault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Cluster } from './cluster.ts';
import { followingHyperV } from './following.ts';
import type { HyperV } from './hyperv.ts';
import { chooseVm, type Vm } from './vms.ts';
import { VmWhereabouts } from './whereabouts.ts';

export function createClusterHyperV(cluster: Cluster): HyperV {
  const forVm = (vmId: string): HyperV => followingHyperV(cluster, new VmWhereabouts(cluster, vmId));
  return {
    vms: (call = {}) => vmsOfAllNodes(cluster, call),
    vm: (nameOrId, call = {}) => findOnAnyNode(cluster, nameOrId, call),
    disks: (vmId, call) => forVm(vmId).disks(vmId, call),
    diskInfo: async (path, call = {}) => (await nodeThatReads(cluster, path, call)).diskInfo(path, call),
    diskFileBytes: async (path, call = {}) =>
      (await nodeThatReads(cluster, path, call)).diskFileBytes(path, call),
    volumes: (vmId, call) => forVm(vmId).volumes(vmId, call),
    configuration: (vmId, call) => forVm(vmId).configuration(vmId, call),
    vssReady: (vmId, call) => forVm(vmId).vssReady(vmId, call),
    checkpoints: (vmId, call) => forVm(vmId).checkpoints(vmId, call),
    createRecoveryCheckpoint: (vmId, call) => forVm(vmId).createRecoveryCheckpoint(vmId, call),
    checkpointDisks: (checkpoint, call) => forVm(checkpoint.vmId).checkpointDisks(checkpoint, call),
    destroyCheckpoint: (checkpoint, call) => forVm(checkpoint.vmId).destroyCheckpoint(checkpoint, call),
    convertToReferencePoint: (checkpoint, call) =>
      forVm(checkpoint.vmId).convertToReferencePoint(checkpoint, call),
    referencePoints: (vmId, call) => forVm(vmId).referencePoints(vmId, call),
    destroyReferencePoint: (point, call) => forVm(point.vmId).destroyReferencePoint(point, call),
    async *changedExtents(path, rctId, size, call = {}) {
      yield* (await nodeThatReads(cluster, path, call)).changedExtents(path, rctId, size, call);
    },
    waitForMerge: (vmId, call) => forVm(vmId).waitForMerge(vmId, call),
    waitUntilIdle: (vmId, call) => forVm(vmId).waitUntilIdle(vmId, call),
    power: (vmId, call) => forVm(vmId).power(vmId, call),
    shutDown: (vmId, call) => forVm(vmId).shutDown(vmId, call),
    turnOff: (vmId, call) => forVm(vmId).turnOff(vmId, call),
    startVm: (vmId, call) => forVm(vmId).startVm(vmId, call),
    startAction: (vmId, call) => forVm(vmId).startAction(vmId, call),
    setStartAction: (vmId, action, call) => forVm(vmId).setStartAction(vmId, action, call),
    forVm,
  };
}

/** Nodes are listed one after the other: a VM that moves from one not listed yet to one that was shows on none. */
async function findOnAnyNode(cluster: Cluster, nameOrId: string, options: CallOptions): Promise<Vm> {
  try {
    return chooseVm(await vmsOfAllNodes(cluster, options), nameOrId);
  } catch (error) {
    if (!hasCode(error, 'HYPERV_VM_NOT_FOUND')) throw error;
    return chooseVm(await vmsOfAllNodes(cluster, options), nameOrId);
  }
}

/** A VM that moves meanwhile may show on two nodes, and counts once. */
async function vmsOfAllNodes(cluster: Cluster, options: CallOptions): Promise<Vm[]> {
  const vms = new Map<string, Vm>();
  const answers = await cluster.each((_name, { hyperv }) => hyperv.vms(options), options);
  for (const vm of answers.flat()) vms.set(vm.id, vm);
  return [...vms.values()];
}

/** A disk without its VM: the first node that can look at the file, which is the owner when the VM runs. */
async function nodeThatReads(cluster: Cluster, path: string, options: CallOptions): Promise<HyperV> {
  let failure: unknown;
  for (const node of cluster.nodes) {
    const { hyperv } = await cluster.at(node, options);
    try {
      await hyperv.diskInfo(path, options);
      return hyperv;
    } catch (error) {
      if (!isFault(error) || error.kind === 'bug') throw error;
      failure = error;
    }
  }
  throw failure;
}
