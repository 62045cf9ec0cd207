/** How a disk of some size is cut by clusters of some size, and whether QEMU could open the result. */
import { imageFaults } from './faults.ts';
import { CLUSTER_BITS_MAX, CLUSTER_BITS_MIN, ENTRY_SIZE, L1_BYTES_MAX } from './format.ts';

export interface Qcow2Geometry {
  /** Bytes of the virtual disk, as asked for. */
  readonly size: number;
  readonly clusterSize: number;
  /** Clusters of the disk that one L2 table maps. */
  readonly regionClusters: number;
  readonly regionSize: number;
  readonly regions: number;
  readonly l1Clusters: number;
}

/** Throws `IMAGE_SIZE_REFUSED`. */
export function qcow2Geometry(size: number, clusterSize: number): Qcow2Geometry {
  const clusterBits = Math.log2(clusterSize);
  const refused = (reason: string): Error => imageFaults.sizeRefused({ format: 'qcow2', size, reason });
  if (!Number.isInteger(clusterBits) || clusterBits < CLUSTER_BITS_MIN || clusterBits > CLUSTER_BITS_MAX) {
    throw refused(`clusters of ${clusterSize} bytes are not a power of two from 512 to 2097152`);
  }
  const regionClusters = clusterSize / ENTRY_SIZE;
  const regionSize = regionClusters * clusterSize;
  const regions = Math.ceil(size / regionSize);
  if (regions * ENTRY_SIZE > L1_BYTES_MAX) {
    throw refused(`clusters of ${clusterSize} bytes reach ${(L1_BYTES_MAX / ENTRY_SIZE) * regionSize} bytes`);
  }
  const l1Clusters = Math.ceil((regions * ENTRY_SIZE) / clusterSize);
  return { size, clusterSize, regionClusters, regionSize, regions, l1Clusters };
}
