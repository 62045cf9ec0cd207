/** Failover clusters, as every node tells of them in `root/MSCluster`: the parts that lead to the node of a VM. */
import { cimClass } from '../../winrm/index.ts';

const namespace = 'root/MSCluster';

export const MSCluster_Cluster = cimClass('MSCluster_Cluster', {
  namespace,
  properties: { Name: 'string key', Fqdn: 'string' },
});

export const MSCluster_Node = cimClass('MSCluster_Node', {
  namespace,
  properties: { Name: 'string key' },
});

export const MSCluster_Resource = cimClass('MSCluster_Resource', {
  namespace,
  properties: { Name: 'string key', Type: 'string', OwnerNode: 'string' },
});
