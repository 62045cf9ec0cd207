/** Records of the MFT and blocks of indexes: their fixups undone, their attributes one after the other. */
import type { VolumeBytes } from './volume-bytes.ts';
import {
  ATTRIBUTES,
  attributeHeader,
  FIXUP_STRIDE,
  mftRecord,
  nonResidentAttribute,
  residentAttribute,
} from './format.ts';

export interface Attribute {
  readonly type: number;
  readonly name: string;
  /** Of a resident one. */
  readonly value?: Buffer;
  /** Of a non-resident one: its encoded runs, the first cluster of the stream they are for, and bytes of the stream. */
  readonly runs?: { readonly encoded: Buffer; readonly firstCluster: number; readonly dataBytes: number };
}

/** The last two bytes of each 512 were exchanged for a number that shows whether all of them were written. In place. */
export function undoFixups(
  volume: VolumeBytes,
  bytes: Buffer,
  { offset, count }: { offset: number; count: number },
): void {
  const sound = offset + 2 * count <= bytes.length && (count - 1) * FIXUP_STRIDE === bytes.length;
  volume.check(sound, 'a record has no sound fixups');
  const mark = bytes.readUInt16LE(offset);
  for (let index = 1; index < count; index += 1) {
    const at = index * FIXUP_STRIDE - 2;
    volume.check(bytes.readUInt16LE(at) === mark, 'a record was written in part');
    bytes.writeUInt16LE(bytes.readUInt16LE(offset + 2 * index), at);
  }
}

/** `record`: with its fixups undone. */
export function* attributesOf(volume: VolumeBytes, record: Buffer): Generator<Attribute> {
  let at = volume.parse(mftRecord, record).attributes;
  while (at + attributeHeader.size <= record.length) {
    const header = attributeHeader.read(record, at);
    if (header.type === ATTRIBUTES.end) return;
    volume.check(
      header.length >= residentAttribute.size && at + header.length <= record.length,
      'an attribute leaves its record',
    );
    yield attributeAt(volume, record.subarray(at, at + header.length), header);
    at += header.length;
  }
}

function attributeAt(
  volume: VolumeBytes,
  bytes: Buffer,
  header: ReturnType<typeof attributeHeader.read>,
): Attribute {
  const nameEnd = header.nameOffset + 2 * header.nameLength;
  const name = bytes.toString('utf16le', header.nameOffset, nameEnd);
  if (header.nonResident === 0) {
    const { valueOffset, valueLength } = volume.parse(residentAttribute, bytes);
    const value = bytes.subarray(valueOffset, valueOffset + valueLength);
    return { type: header.type, name, value };
  }
  const { firstCluster, runsOffset, dataBytes } = volume.parse(nonResidentAttribute, bytes);
  return { type: header.type, name, runs: { encoded: bytes.subarray(runsOffset), firstCluster, dataBytes } };
}
