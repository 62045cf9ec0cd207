/**
 * The footer: what the disk is. A fixed disk has it at the end only; the other kinds have a copy at the beginning, which
 * takes over when the end is damaged or was overwritten by a writer that died.
 */
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { vhdFaults } from './faults.ts';
import {
  DISK_SIZE_MAX,
  DISK_TYPE,
  FEATURES_ALWAYS,
  FOOTER_COOKIE,
  FORMAT_VERSION,
  NO_OFFSET,
  SECTOR,
  SHORT_FOOTER_SIZE,
  TIMESTAMP_EPOCH,
  checksumOf,
  footer,
  isSealed,
  parse,
  type FooterFields,
} from './format.ts';
import { geometryOf, geometrySize } from './geometry.ts';
import type { VhdNote } from './notes.ts';

export type VhdKind = keyof typeof DISK_TYPE;

export interface Footer {
  readonly fields: FooterFields;
  readonly kind: VhdKind;
  /** Bytes of the virtual disk. */
  readonly size: number;
  /** The first byte of the file that is no longer the disk's: where the footer begins, or the end of the file without one. */
  readonly dataEnd: number;
  readonly notes: readonly VhdNote[];
}

/** A place where a footer may be, and the 512 bytes of it, of which `length` are in the file. */
interface Copy {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

export async function readFooter(reader: RangeReader, path: string, options: CallOptions): Promise<Footer> {
  if (reader.size < SHORT_FOOTER_SIZE) throw vhdFaults.notVhd({ path });
  const [end, start] = await Promise.all([endCopy(reader, options), copyAt(reader, 0, footer.size, options)]);
  const chosen = choose(end, start, path);
  const fields = parse(footer, chosen.bytes, path);
  const notes = copyNotes(chosen, end, start, fields);
  checkFooter(fields, path);
  const dataEnd = chosen === end ? chosen.offset : reader.size;
  if (geometryIsSmaller(fields)) notes.push('geometrySmaller');
  return { fields, kind: kindOf(fields.diskType)!, size: fields.currentSize, dataEnd, notes };
}

/** True when there is a footer's cookie where a VHD has one, be the footer sound or not. */
export async function hasVhdFooter(reader: RangeReader, options: CallOptions = {}): Promise<boolean> {
  if (reader.size < SHORT_FOOTER_SIZE) return false;
  const start = await copyAt(reader, 0, footer.size, options);
  if (start && isCopy(start)) return true;
  return hasCookie((await endCopy(reader, options)).bytes);
}

async function endCopy(reader: RangeReader, options: CallOptions): Promise<Copy> {
  const tail = await copyAt(reader, reader.size - footer.size, footer.size, options);
  if (tail && hasCookie(tail.bytes)) return tail;
  return (await copyAt(reader, reader.size - SHORT_FOOTER_SIZE, SHORT_FOOTER_SIZE, options))!;
}

async function copyAt(
  reader: RangeReader,
  offset: number,
  length: number,
  options: CallOptions,
): Promise<Copy | undefined> {
  if (offset < 0 || offset + length > reader.size) return undefined;
  const bytes = new Uint8Array(footer.size);
  await reader.read(offset, bytes.subarray(0, length), options);
  return { bytes, offset, length };
}

/** The end when it is sound, else the copy. A footer of a fixed disk at byte 0 is content: a VHD inside a raw disk. */
function choose(end: Copy, start: Copy | undefined, path: string): Copy {
  if (isSound(end)) return end;
  const copy = start && isCopy(start) ? start : undefined;
  if (copy && isSound(copy)) return copy;
  throw copy || hasCookie(end.bytes) ? vhdFaults.footerChecksum({ path }) : vhdFaults.notVhd({ path });
}

function copyNotes(chosen: Copy, end: Copy, start: Copy | undefined, fields: FooterFields): VhdNote[] {
  if (chosen !== end) return ['footerCopyUsed'];
  const differs =
    fields.diskType !== DISK_TYPE.fixed && (!start || Buffer.compare(start.bytes, end.bytes) !== 0);
  const short = end.length === SHORT_FOOTER_SIZE;
  return [...(differs ? (['footersDiffer'] as const) : []), ...(short ? (['shortFooter'] as const) : [])];
}

function hasCookie(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, 8).toString('latin1') === FOOTER_COOKIE;
}

function isSound({ bytes }: Copy): boolean {
  return hasCookie(bytes) && isSealed(footer, bytes);
}

function isCopy({ bytes }: Copy): boolean {
  return hasCookie(bytes) && bytes[footer.fields.diskType.offset + 3] !== DISK_TYPE.fixed;
}

function kindOf(type: number): VhdKind | undefined {
  return (Object.keys(DISK_TYPE) as VhdKind[]).find((kind) => DISK_TYPE[kind] === type);
}

function checkFooter(fields: FooterFields, path: string): void {
  const { version, diskType: type, currentSize: size } = fields;
  if (version >>> 16 !== 1) throw vhdFaults.version({ path, structure: 'footer', version: version >>> 16 });
  if (!kindOf(type)) throw vhdFaults.diskType({ path, type });
  if (!isDiskSize(size)) throw vhdFaults.diskSize({ path, size });
}

export function isDiskSize(size: number): boolean {
  return size > 0 && size <= DISK_SIZE_MAX && size % SECTOR === 0;
}

function geometryIsSmaller(fields: FooterFields): boolean {
  return fields.creatorApplication === 'vpc ' && geometrySize(fields) < fields.currentSize;
}

/**
 * A footer of ours. It names Windows as its creator, because qemu takes the size from the geometry, which is rounded down,
 * for every creator it does not know.
 */
export function newFooter(kind: 'fixed' | 'dynamic', size: number, uniqueId: string): Uint8Array {
  const bytes = new Uint8Array(footer.size);
  footer.write(bytes, {
    ...geometryOf(size),
    cookie: FOOTER_COOKIE,
    features: FEATURES_ALWAYS,
    version: FORMAT_VERSION,
    dataOffset: kind === 'fixed' ? NO_OFFSET : BigInt(footer.size),
    timestamp: Math.floor((Date.now() - TIMESTAMP_EPOCH) / 1000),
    creatorApplication: 'win ',
    creatorVersion: 0x000a0000,
    creatorHostOs: 'Wi2k',
    originalSize: BigInt(size),
    currentSize: size,
    diskType: DISK_TYPE[kind],
    uniqueId,
  });
  footer.write(bytes, { checksum: checksumOf(bytes, footer.fields.checksum.offset) });
  return bytes;
}
