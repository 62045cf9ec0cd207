/**
 * The MFT: records by number, and the runs of a stream however many records describe it.
 *
 * A file in many pieces has an attribute list: a table of further records with parts of its runs. The MFT may have one
 * itself; its parts lie where the runs known so far reach.
 */
import { damaged } from './faults.ts';
import {
  ATTRIBUTES,
  attributeListEntry,
  MFT_RECORD_IN_USE,
  mftRecord,
  NTFS_RECORDS,
  ntfsBoot,
} from './format.ts';
import { attributesOf, undoFixups, type Attribute } from './ntfs-record.ts';
import { decodeRuns, readRuns, type ClusterRun } from './ntfs-runs.ts';
import type { VolumeBytes } from './volume-bytes.ts';

/** Records that are read of one volume: a few dozen, and about one for each hundred runs of what is in many pieces. */
const RECORDS_MAX = 8192;
/** Runs of all files together: what a hostile volume can make of our memory, about 20 MiB. */
const RUNS_MAX = 262_144;
/** Bytes of an attribute list: Windows stops at 256 KiB. */
const LIST_BYTES_MAX = 262_144;

export interface FileRuns {
  readonly runs: readonly ClusterRun[];
  readonly dataBytes: number;
}

interface Geometry {
  readonly clusterBytes: number;
  readonly recordBytes: number;
  readonly mftCluster: number;
}

export class Mft {
  readonly volume: VolumeBytes;
  readonly clusterBytes: number;
  readonly recordBytes: number;
  #own: FileRuns;
  #recordsLeft = RECORDS_MAX;
  #runsLeft = RUNS_MAX;

  constructor(volume: VolumeBytes, geometry: Geometry, own: FileRuns) {
    this.volume = volume;
    this.clusterBytes = geometry.clusterBytes;
    this.recordBytes = geometry.recordBytes;
    this.#own = own;
  }

  /** Of the MFT itself. */
  get own(): FileRuns {
    return this.#own;
  }

  async learnOwn(): Promise<void> {
    const complete = await this.file(NTFS_RECORDS.mft, ATTRIBUTES.data);
    if (complete) this.#own = complete;
  }

  /** Undefined when it is not in use. Throws `FILESYSTEM_DAMAGED`. */
  async record(number: number): Promise<Buffer | undefined> {
    this.#recordsLeft -= 1;
    this.volume.check(this.#recordsLeft >= 0, 'its files are described by too many records');
    const range = { offset: number * this.recordBytes, length: this.recordBytes };
    const bytes = await readRuns(this.volume, this.clusterBytes, this.#own.runs, range);
    return openRecord(this.volume, bytes);
  }

  /** The runs of a stream; undefined when the file has none, or keeps it in the record. */
  async file(number: number, type: number, name = ''): Promise<FileRuns | undefined> {
    const record = await this.record(number);
    if (!record) return undefined;
    const attributes = [...attributesOf(this.volume, record)];
    const list = attributes.find((each) => each.type === ATTRIBUTES.list);
    const parts = list ? await this.#listed(number, list, type, name) : [];
    return this.#joined([...attributes.filter((each) => each.type === type && each.name === name), ...parts]);
  }

  /** The attributes of this type and name in other records. */
  async #listed(number: number, list: Attribute, type: number, name: string): Promise<Attribute[]> {
    const others = new Set<number>();
    const bytes = await this.#content(list);
    for (let at = 0; at + attributeListEntry.size <= bytes.length;) {
      const entry = attributeListEntry.read(bytes, at);
      this.volume.check(entry.length >= attributeListEntry.size, 'an attribute list is damaged');
      const record = entry.recordHigh * 2 ** 32 + entry.recordLow;
      const text = bytes.toString(
        'utf16le',
        at + entry.nameOffset,
        at + entry.nameOffset + 2 * entry.nameLength,
      );
      if (entry.type === type && text === name && record !== number) others.add(record);
      this.volume.check(others.size <= RECORDS_MAX, 'a file is described by too many records');
      at += entry.length;
    }
    const parts: Attribute[] = [];
    for (const other of others) {
      const record = await this.record(other);
      if (!record) throw damaged(this.volume.name, 'a part of a file is not in use');
      parts.push(
        ...[...attributesOf(this.volume, record)].filter((each) => each.type === type && each.name === name),
      );
    }
    return parts;
  }

  async #content(attribute: Attribute): Promise<Buffer> {
    if (attribute.value) return attribute.value;
    const file = this.#joined([attribute]);
    const length = file?.dataBytes ?? 0;
    this.volume.check(length <= LIST_BYTES_MAX, 'an attribute list is too long');
    return readRuns(this.volume, this.clusterBytes, file?.runs ?? [], { offset: 0, length });
  }

  #joined(parts: readonly Attribute[]): FileRuns | undefined {
    const described = parts.flatMap(({ runs }) => (runs ? [runs] : []));
    if (described.length === 0) return undefined;
    const runs: ClusterRun[] = [];
    for (const part of described.toSorted((a, b) => a.firstCluster - b.firstCluster))
      decodeRuns(this.volume, this.clusterBytes, part.encoded, runs);
    this.#runsLeft -= runs.length;
    this.volume.check(this.#runsLeft >= 0, 'its files are in too many pieces');
    return { runs, dataBytes: described.find(({ firstCluster }) => firstCluster === 0)?.dataBytes ?? 0 };
  }
}

/** Throws `FILESYSTEM_DAMAGED`. */
export async function openMft(volume: VolumeBytes): Promise<Mft> {
  const geometry = geometryOf(volume, await volume.read(0, 512));
  const { clusterBytes, recordBytes, mftCluster } = geometry;
  const first = openRecord(volume, await volume.read(mftCluster * clusterBytes, recordBytes));
  if (!first) throw damaged(volume.name, 'its MFT is not in use');
  const runs: ClusterRun[] = [];
  for (const attribute of attributesOf(volume, first)) {
    if (attribute.type === ATTRIBUTES.data && attribute.name === '' && attribute.runs)
      decodeRuns(volume, clusterBytes, attribute.runs.encoded, runs);
  }
  const mft = new Mft(volume, geometry, { runs, dataBytes: 0 });
  await mft.learnOwn();
  return mft;
}

function geometryOf(volume: VolumeBytes, sector: Buffer): Geometry {
  const boot = volume.parse(ntfsBoot, sector);
  // Above 128 the byte is the negative exponent of two, as that of the record's size is.
  const perCluster =
    boot.sectorsPerCluster > 128 ? 2 ** (256 - boot.sectorsPerCluster) : boot.sectorsPerCluster;
  const clusterBytes = boot.bytesPerSector * perCluster;
  volume.check(isPowerWithin(clusterBytes, 512, 2 ** 21), 'its cluster size is none');
  const recordBytes = boot.recordSize > 127 ? 2 ** (256 - boot.recordSize) : boot.recordSize * clusterBytes;
  volume.check(isPowerWithin(recordBytes, 512, 65_536), 'its MFT records have no sound size');
  return { clusterBytes, recordBytes, mftCluster: boot.mftCluster };
}

function isPowerWithin(value: number, least: number, most: number): boolean {
  return value >= least && value <= most && Number.isInteger(Math.log2(value));
}

function openRecord(volume: VolumeBytes, bytes: Buffer): Buffer | undefined {
  const { magic, fixupOffset, fixupCount, flags } = mftRecord.read(bytes);
  if (magic !== 'FILE' || (flags & MFT_RECORD_IN_USE) === 0) return undefined;
  undoFixups(volume, bytes, { offset: fixupOffset, count: fixupCount });
  return bytes;
}
