/**
 * Failover clusters, namespace root/MSCluster: the classes and properties that clients are known to use (facts:
 * hyperv-classes.md Part G). A real host has more of both.
 */
import type { LabClass } from '../cim.ts';
import { labClass } from './class-table.ts';

const cluster = labClass('MSCluster_Cluster', {
  isA: [],
  keys: 'Name',
  properties: [
    {
      string: 'Name Fqdn SharedVolumesRoot',
      uint32: 'ClusterFunctionalLevel BackupInProgress EnableSharedVolumes',
    },
  ],
});

const node = labClass('MSCluster_Node', {
  isA: [],
  keys: 'Name',
  properties: [{ string: 'Name Id', uint32: 'State NodeDrainStatus' }],
});

const resourceGroup = labClass('MSCluster_ResourceGroup', {
  isA: [],
  keys: 'Name',
  properties: [{ string: 'Name Id OwnerNode', uint32: 'GroupType State' }],
});

const resource = labClass('MSCluster_Resource', {
  isA: [],
  keys: 'Name',
  properties: [
    {
      string: 'Name Id Type OwnerGroup OwnerNode',
      uint32: 'State',
      boolean: 'IsClusterSharedVolume',
      object: 'PrivateProperties',
    },
  ],
});

const property = labClass('MSCluster_Property', { isA: [], properties: [{ string: 'VmID' }] });

const sharedVolume = labClass('MSCluster_ClusterSharedVolume', {
  isA: [],
  keys: 'Name',
  properties: [{ string: 'Name VolumeName', uint64: 'VolumeOffset', uint32: 'FaultState BackupState' }],
});

export const CLUSTER_NAMESPACE = 'root/MSCluster';

export const CLUSTER_CLASSES: ReadonlyMap<string, LabClass> = new Map(
  [cluster, node, resourceGroup, resource, property, sharedVolume].map((cls) => [cls.name, cls]),
);
