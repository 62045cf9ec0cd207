/** The namespace root/MSCluster, which is the same on every node. */
import { LabWmiError, type LabCimProvider, type LabInstance } from '../cim.ts';
import { CLUSTER_CLASSES, CLUSTER_NAMESPACE } from '../classes/index.ts';
import type { VmInfo } from '../model/index.ts';
import type { LabCluster } from './lab-cluster.ts';

/** 0x8004102F. */
const INVALID_METHOD = 0x8004_102f;
const VIRTUAL_MACHINE_GROUP = 111;
const ONLINE = 0;
const OFFLINE = 1;
const SHARED_VOLUMES_ROOT = String.raw`C:\ClusterStorage`;

export function createClusterProvider(cluster: LabCluster): LabCimProvider {
  return {
    namespace: CLUSTER_NAMESPACE,
    classes: CLUSTER_CLASSES,
    hostName: cluster.name,
    async instances(className) {
      return (await ROWS[className]?.(cluster)) ?? [];
    },
    invoke: (target, method) =>
      Promise.reject(new LabWmiError(INVALID_METHOD, `${target.className} has no method ${method}`)),
  };
}

const ROWS: Readonly<Record<string, (cluster: LabCluster) => LabInstance[] | Promise<LabInstance[]>>> = {
  MSCluster_Cluster: ({ name }) => [
    {
      className: 'MSCluster_Cluster',
      properties: { Name: name, Fqdn: `${name}.lab.example`, SharedVolumesRoot: SHARED_VOLUMES_ROOT },
    },
  ],
  MSCluster_Node: ({ nodes }) =>
    nodes.map((Name, index) => ({
      className: 'MSCluster_Node',
      properties: { Name, Id: String(index + 1) },
    })),
  MSCluster_ResourceGroup: async (cluster) =>
    (await cluster.vms()).map((vm) => ({
      className: 'MSCluster_ResourceGroup',
      properties: {
        Name: vm.name,
        Id: vm.id,
        GroupType: VIRTUAL_MACHINE_GROUP,
        OwnerNode: cluster.ownerOf(vm.id),
        State: stateOf(vm),
      },
    })),
  MSCluster_Resource: async (cluster) => (await cluster.vms()).map((vm) => resourceOf(cluster, vm)),
  MSCluster_ClusterSharedVolume: () => [
    {
      className: 'MSCluster_ClusterSharedVolume',
      properties: { Name: String.raw`${SHARED_VOLUMES_ROOT}\Volume1`, FaultState: 0, BackupState: 0 },
    },
  ],
};

function resourceOf(cluster: LabCluster, vm: VmInfo): LabInstance {
  return {
    className: 'MSCluster_Resource',
    properties: {
      Name: `Virtual Machine ${vm.name}`,
      Id: vm.id,
      Type: 'Virtual Machine',
      OwnerGroup: vm.name,
      OwnerNode: cluster.ownerOf(vm.id),
      State: stateOf(vm),
      PrivateProperties: { className: 'MSCluster_Property', properties: { VmID: vm.id } },
    },
  };
}

function stateOf(vm: VmInfo): number {
  return vm.power === 'running' ? ONLINE : OFFLINE;
}
