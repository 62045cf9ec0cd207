/** Runs of NTFS: which clusters hold a stream, as a list of lengths and signed steps of one to six bytes each. */
import { endOf, type Extent } from '../extents/index.ts';
import type { VolumeBytes } from './volume-bytes.ts';

/** Of one file. A page file in 60 000 pieces has been seen; a map with more says less than its regions do. */
const RUNS_MAX = 131_072;
/** 2^48 clusters are more than NTFS has; six bytes are also what a number holds exactly. */
const NUMBER_BYTES_MAX = 6;

export interface ClusterRun {
  /** First cluster on the volume; undefined where the stream is sparse. */
  readonly cluster: number | undefined;
  readonly clusters: number;
}

/** Appends the runs that `bytes` hold to `into`. Throws `FILESYSTEM_DAMAGED`. */
export function decodeRuns(
  volume: VolumeBytes,
  clusterBytes: number,
  bytes: Buffer,
  into: ClusterRun[],
): void {
  let cluster = 0;
  for (let at = 0; at < bytes.length && bytes[at] !== 0;) {
    const [lengthBytes, stepBytes] = [bytes[at]! & 0xf, bytes[at]! >>> 4];
    const sound = lengthBytes > 0 && lengthBytes <= NUMBER_BYTES_MAX && stepBytes <= NUMBER_BYTES_MAX;
    volume.check(sound && at + 1 + lengthBytes + stepBytes <= bytes.length, 'the runs of a file are damaged');
    const clusters = bytes.readUIntLE(at + 1, lengthBytes);
    if (stepBytes > 0) cluster += bytes.readIntLE(at + 1 + lengthBytes, stepBytes);
    const inside = cluster >= 0 && (cluster + clusters) * clusterBytes <= volume.size;
    volume.check(stepBytes === 0 || inside, 'a run of a file lies behind its end');
    volume.check(clusters > 0 && into.length < RUNS_MAX, 'a file has too many runs');
    into.push({ cluster: stepBytes === 0 ? undefined : cluster, clusters });
    at += 1 + lengthBytes + stepBytes;
  }
}

/** The bytes of a range of the stream; what is sparse, and what has no runs, is zeros. */
export async function readRuns(
  volume: VolumeBytes,
  clusterBytes: number,
  runs: readonly ClusterRun[],
  range: Extent,
): Promise<Buffer> {
  const bytes = Buffer.alloc(range.length);
  let start = 0;
  for (const { cluster, clusters } of runs) {
    const end = start + clusters * clusterBytes;
    const from = Math.max(start, range.offset);
    const to = Math.min(end, endOf(range));
    if (from < to && cluster !== undefined) {
      const part = await volume.read(cluster * clusterBytes + from - start, to - from);
      part.copy(bytes, from - range.offset);
    }
    if (end >= endOf(range)) break;
    start = end;
  }
  return bytes;
}
