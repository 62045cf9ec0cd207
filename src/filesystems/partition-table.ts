/** The partitions of a disk, by GPT or MBR. What is hostile in them costs a bounded number of reads. */
import type { CallOptions, Disk } from '../disk/index.ts';
import {
  gptEntry,
  gptHeader,
  mbrEntry,
  MBR_ENTRIES_OFFSET,
  MBR_SIGNATURE,
  MBR_SIGNATURE_OFFSET,
} from './format.ts';
import { VolumeBytes } from './volume-bytes.ts';

/** Windows makes tables of 128. */
const PARTITIONS_MAX = 1024;
const EXTENDED = new Set([0x05, 0x0f, 0x85]);
const PROTECTIVE = 0xee;
const NO_TYPE = '00000000-0000-0000-0000-000000000000';

export interface Partition {
  /** From 1, in the order of the table. */
  readonly number: number;
  readonly offset: number;
  readonly length: number;
  /** GUID of a GPT, `0x07` of an MBR. */
  readonly type: string;
  /** GPT only; empty when it has none. */
  readonly name: string;
}

export interface PartitionTable {
  readonly kind: 'gpt' | 'mbr' | 'none';
  /** As numbered. Those that lie outside the disk are left out. */
  readonly partitions: readonly Partition[];
}

/** Throws `FILESYSTEM_DAMAGED` when a GPT is announced and cannot be read. */
export async function readPartitions(disk: Disk, options: CallOptions = {}): Promise<PartitionTable> {
  const bytes = new VolumeBytes(disk, { offset: 0, length: disk.size }, 'the partition table', options);
  const sector = disk.logicalSectorSize;
  if (disk.size < 2 * sector) return { kind: 'none', partitions: [] };
  const first = await bytes.read(0, sector);
  const entries = mbrEntries(bytes, first);
  if (!entries) return { kind: 'none', partitions: [] };
  const gpt = entries.some(({ type }) => type === PROTECTIVE);
  const found = gpt ? await readGpt(bytes, sector) : await readMbr(bytes, sector, entries);
  const partitions = found.filter(({ offset, length }) => length > 0 && offset + length <= disk.size);
  return gpt || partitions.length > 0
    ? { kind: gpt ? 'gpt' : 'mbr', partitions }
    : { kind: 'none', partitions };
}

interface MbrEntry {
  readonly type: number;
  readonly firstSector: number;
  readonly sectors: number;
}

/** Undefined: no MBR. A boot sector of a file system ends in the same signature, but its flags are none of an MBR's. */
function mbrEntries(bytes: VolumeBytes, sector: Buffer): MbrEntry[] | undefined {
  if (sector.readUInt16LE(MBR_SIGNATURE_OFFSET) !== MBR_SIGNATURE) return undefined;
  const offsets = [0, 1, 2, 3].map((index) => MBR_ENTRIES_OFFSET + index * mbrEntry.size);
  if (offsets.some((at) => (sector[at]! & 0x7f) !== 0)) return undefined;
  return offsets.map((at) => bytes.parse(mbrEntry, sector, at)).filter(({ type }) => type !== 0);
}

async function readMbr(
  bytes: VolumeBytes,
  sector: number,
  entries: readonly MbrEntry[],
): Promise<Partition[]> {
  const primary = entries.filter(({ type }) => !EXTENDED.has(type));
  const extended = entries.find(({ type }) => EXTENDED.has(type));
  const logical = extended ? await readLogical(bytes, sector, extended.firstSector) : [];
  return [...primary, ...logical].map(({ type, firstSector, sectors }, index) => ({
    number: index + 1,
    offset: firstSector * sector,
    length: sectors * sector,
    type: `0x${type.toString(16).padStart(2, '0')}`,
    name: '',
  }));
}

/** A chain of tables with one partition each, and a place relative to the first. A ring ends at the limit. */
async function readLogical(bytes: VolumeBytes, sector: number, start: number): Promise<MbrEntry[]> {
  const found: MbrEntry[] = [];
  for (let at = start; found.length < 128;) {
    if ((at + 1) * sector > bytes.size) return found;
    const entries = mbrEntries(bytes, await bytes.read(at * sector, sector));
    const partition = entries?.find(({ type }) => !EXTENDED.has(type));
    if (!partition) return found;
    found.push({ ...partition, firstSector: at + partition.firstSector });
    const next = entries!.find(({ type }) => EXTENDED.has(type));
    if (!next) return found;
    at = start + next.firstSector;
  }
  return found;
}

async function readGpt(bytes: VolumeBytes, sector: number): Promise<Partition[]> {
  const header = bytes.parse(gptHeader, await bytes.read(sector, sector));
  bytes.check(header.signature === 'EFI PART', 'its GPT header is not one');
  bytes.check(
    header.entryBytes >= gptEntry.size && header.entryBytes <= 4096,
    'its GPT entries have no sound size',
  );
  const count = Math.min(header.entryCount, PARTITIONS_MAX);
  const partitions: Partition[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = header.entriesSector * sector + index * header.entryBytes;
    const entry = bytes.parse(gptEntry, await bytes.read(at, gptEntry.size));
    if (entry.type === NO_TYPE) continue;
    partitions.push({
      number: index + 1,
      offset: entry.firstSector * sector,
      length: (entry.lastSector - entry.firstSector + 1) * sector,
      type: entry.type,
      name: Buffer.from(entry.name).toString('utf16le').split('\0')[0]!,
    });
  }
  return partitions;
}
