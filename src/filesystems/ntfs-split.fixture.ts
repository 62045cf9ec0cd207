/**
 * Moves the second half of a file's runs into a record of its own, with an attribute list, as Windows does with a file in many
 * pieces. The tools of ntfs-3g cannot make one without mounting.
 */
import { open } from 'node:fs/promises';
import { ATTRIBUTES, attributeHeader, mftRecord, nonResidentAttribute, ntfsBoot } from './format.ts';

const RECORD = 1024;

/** The file's only run, as its tools tell it. */
export async function splitFile(
  image: string,
  { cluster, lengthClusters }: { readonly cluster: number; readonly lengthClusters: number },
): Promise<void> {
  const file = await open(image, 'r+');
  try {
    const boot = ntfsBoot.read(await bytesAt(file, 0, 512));
    const mftAt = boot.mftCluster * boot.bytesPerSector * boot.sectorsPerCluster;
    const number = await recordNamed(file, mftAt, 'pagefile.sys');
    const half = Math.floor(lengthClusters / 2);
    const base = await bytesAt(file, mftAt + number * RECORD, RECORD);
    unfix(base);
    const data = attributeAt(base, ATTRIBUTES.data);
    const spare = 20; // records 16 to 23 are kept for such parts
    const part = Buffer.from(base);
    rewrite(base, [listOf(number, spare, half), dataOf(data, { first: 0, cluster, clusters: half })]);
    rewrite(part, [dataOf(data, { first: half, cluster: cluster + half, clusters: lengthClusters - half })]);
    await file.write(base, 0, RECORD, mftAt + number * RECORD);
    await file.write(part, 0, RECORD, mftAt + spare * RECORD);
  } finally {
    await file.close();
  }
}

type File = Awaited<ReturnType<typeof open>>;

async function bytesAt(file: File, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  await file.read(bytes, 0, length, offset);
  return bytes;
}

async function recordNamed(file: File, mftAt: number, name: string): Promise<number> {
  const text = Buffer.from(name, 'utf16le');
  for (let number = 24; number < 128; number += 1) {
    if ((await bytesAt(file, mftAt + number * RECORD, RECORD)).includes(text)) return number;
  }
  throw new Error(`${name} has no record`);
}

function unfix(record: Buffer): void {
  const { fixupOffset } = mftRecord.read(record);
  for (const index of [1, 2])
    record.copy(record, index * 512 - 2, fixupOffset + 2 * index, fixupOffset + 2 * index + 2);
}

function attributeAt(record: Buffer, type: number): Buffer {
  for (let at = mftRecord.read(record).attributes; ;) {
    const header = attributeHeader.read(record, at);
    if (header.type === type) return record.subarray(at, at + header.length);
    if (header.type === ATTRIBUTES.end) throw new Error('no such attribute');
    at += header.length;
  }
}

function dataOf(model: Buffer, run: { first: number; cluster: number; clusters: number }): Buffer {
  const bytes = Buffer.alloc(80);
  model.copy(bytes, 0, 0, 64);
  const encoded = Buffer.alloc(16);
  encoded[0] = 0x44;
  encoded.writeUInt32LE(run.clusters, 1);
  encoded.writeInt32LE(run.cluster, 5);
  encoded.copy(bytes, 64);
  attributeHeader.write(bytes, { length: bytes.length, nameLength: 0 });
  nonResidentAttribute.write(bytes, { firstCluster: run.first, runsOffset: 64 });
  return bytes;
}

/** A resident attribute list with an entry for each part of the data. */
function listOf(base: number, part: number, half: number): Buffer {
  const entries = Buffer.alloc(64);
  for (const [index, record] of [base, part].entries()) {
    const at = index * 32;
    entries.writeUInt32LE(ATTRIBUTES.data, at);
    entries.writeUInt16LE(32, at + 4);
    entries.writeUInt8(26, at + 7);
    entries.writeBigUInt64LE(BigInt(index * half), at + 8);
    entries.writeUInt32LE(record, at + 16);
  }
  const bytes = Buffer.concat([Buffer.alloc(24), entries]);
  attributeHeader.write(bytes, {
    type: ATTRIBUTES.list,
    length: bytes.length,
    nonResident: 0,
    nameLength: 0,
    nameOffset: 24,
  });
  bytes.writeUInt32LE(entries.length, 0x10);
  bytes.writeUInt16LE(24, 0x14);
  return bytes;
}

function rewrite(record: Buffer, attributes: readonly Buffer[]): void {
  const start = mftRecord.read(record).attributes;
  const end = Buffer.alloc(8, 0xff);
  Buffer.concat([...attributes, end]).copy(record, start);
  mftRecord.write(record, { flags: 1 });
  const { fixupOffset } = mftRecord.read(record);
  for (const index of [1, 2]) {
    record.copy(record, fixupOffset + 2 * index, index * 512 - 2, index * 512);
    record.copy(record, index * 512 - 2, fixupOffset, fixupOffset + 2);
  }
}
