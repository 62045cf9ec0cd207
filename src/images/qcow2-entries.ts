/** Entries of L1 and L2 tables, decoded. Halves instead of a BigInt: this runs for every cluster of a disk. */
import { viewOf } from '../base/index.ts';
import { ABSENT, ZEROS, type ClusterTable } from './cluster-layer.ts';
import { ENTRY_SIZE, SECTOR_SIZE } from './format.ts';

const COPIED = 0x80000000;
const COMPRESSED = 0x40000000;
const OFFSET_HIGH = 0x00ffffff;
/** Bits 56 to 61, and bits 1 to 8. */
const RESERVED_HIGH = 0x3f000000;
const RESERVED_LOW = 0x1fe;
const ZERO_FLAG = 0x1;

/** Of an entry of the L1 table: the place of the L2 table, {@link ABSENT}, or NaN when it cannot be one. */
export function l1Offset(view: DataView, index: number): number {
  const high = view.getUint32(index * ENTRY_SIZE);
  const low = view.getUint32(index * ENTRY_SIZE + 4);
  const isReserved = (high & (RESERVED_HIGH | COMPRESSED)) !== 0 || low % SECTOR_SIZE !== 0;
  return isReserved ? NaN : (high & OFFSET_HIGH) * 2 ** 32 + low;
}

/** An L2 table; the offset of an entry that cannot be one is NaN. */
export function decodeL2(
  bytes: Uint8Array,
  cluster: { readonly size: number; readonly fileSize: number },
): ClusterTable {
  const view = viewOf(bytes);
  const count = bytes.length / ENTRY_SIZE;
  const [offsets, packed] = [new Float64Array(count), new Uint32Array(count)];
  const shift = 62 - (Math.log2(cluster.size) - 8) - 32;
  for (let i = 0; i < count; i += 1) {
    const high = view.getUint32(i * ENTRY_SIZE);
    const low = view.getUint32(i * ENTRY_SIZE + 4);
    if ((high & COMPRESSED) === 0) {
      offsets[i] = plainOffset(high, low, cluster);
      continue;
    }
    const offset = (high & (2 ** shift - 1)) * 2 ** 32 + low;
    const sectors = (high & (COMPRESSED - 1)) >>> shift;
    const length = Math.min((sectors + 1) * SECTOR_SIZE - (offset % SECTOR_SIZE), cluster.fileSize - offset);
    offsets[i] = length > 0 && (high & COPIED) === 0 && offset >= cluster.size ? offset : NaN;
    packed[i] = Math.max(0, length);
  }
  return { offsets, packed };
}

/** A zero flag beside an offset keeps room for a cluster that reads as zeros all the same. */
function plainOffset(high: number, low: number, cluster: { size: number; fileSize: number }): number {
  if ((high & RESERVED_HIGH) !== 0 || (low & RESERVED_LOW) !== 0) return NaN;
  if ((low & ZERO_FLAG) !== 0) return ZEROS;
  const offset = (high & OFFSET_HIGH) * 2 ** 32 + low;
  if (offset === ABSENT) return ABSENT;
  return offset % cluster.size === 0 && offset + cluster.size <= cluster.fileSize ? offset : NaN;
}
