/** The dynamic header: where the block table is, how large blocks are, who the parent is. */
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { vhdFaults } from './faults.ts';
import type { Footer } from './footer.ts';
import {
  BLOCK_SIZE_MAX,
  BLOCK_SIZE_MIN,
  DYNAMIC_COOKIE,
  FORMAT_VERSION,
  NO_OFFSET,
  SECTOR,
  TABLE_ENTRIES_MAX,
  checksumOf,
  dynamicHeader,
  footer as footerLayout,
  isSealed,
  parse,
  type DynamicHeader,
} from './format.ts';

export interface BlockLayout {
  readonly fields: DynamicHeader;
  readonly headerOffset: number;
  readonly tableOffset: number;
  readonly blockSize: number;
  /** Blocks of the virtual disk; the table may have room for more. */
  readonly blocks: number;
}

export async function readDynamicHeader(
  reader: RangeReader,
  footer: Footer,
  path: string,
  options: CallOptions,
): Promise<BlockLayout> {
  const headerOffset = headerPlace(reader, footer, path);
  const bytes = new Uint8Array(dynamicHeader.size);
  await reader.read(headerOffset, bytes, options);
  const cookie = Buffer.from(bytes.buffer, 0, 8).toString('latin1');
  if (cookie !== DYNAMIC_COOKIE) throw vhdFaults.headerMissing({ path });
  if (!isSealed(dynamicHeader, bytes)) throw vhdFaults.headerChecksum({ path });
  const fields = parse(dynamicHeader, bytes, path);
  const version = fields.headerVersion >>> 16;
  if (version !== 1) throw vhdFaults.version({ path, structure: 'dynamic header', version });
  const { blockSize, tableOffset } = fields;
  const layout = {
    fields,
    headerOffset,
    tableOffset,
    blockSize,
    blocks: Math.ceil(footer.size / blockSize),
  };
  checkLayout(layout, footer, path);
  return layout;
}

function headerPlace(reader: RangeReader, footer: Footer, path: string): number {
  const offset = Number(footer.fields.dataOffset);
  if (offset < footerLayout.size || offset % SECTOR !== 0 || offset > Number.MAX_SAFE_INTEGER / 2) {
    throw vhdFaults.headerPlace({ path, offset: footer.fields.dataOffset });
  }
  const end = offset + dynamicHeader.size;
  if (end > reader.size) {
    throw vhdFaults.truncated({ path, size: reader.size, what: 'the dynamic header', end });
  }
  return offset;
}

function checkLayout(layout: BlockLayout, footer: Footer, path: string): void {
  const { blockSize, blocks: needed, tableOffset: offset, headerOffset } = layout;
  const entries = layout.fields.maxTableEntries;
  if (!isBlockSize(blockSize)) throw vhdFaults.blockSize({ path, blockSize });
  if (needed > TABLE_ENTRIES_MAX) {
    throw vhdFaults.tableTooLarge({ path, needed, maximum: TABLE_ENTRIES_MAX });
  }
  if (needed > entries) throw vhdFaults.tableTooSmall({ path, entries, needed });
  const length = needed * 4;
  const overHeader = offset < headerOffset + dynamicHeader.size && offset + length > headerOffset;
  if (offset < footerLayout.size || offset % SECTOR !== 0 || overHeader) {
    throw vhdFaults.tablePlace({ path, offset, length });
  }
  if (offset + length > footer.dataEnd) {
    throw vhdFaults.truncated({ path, size: footer.dataEnd, what: 'the block table', end: offset + length });
  }
}

function isBlockSize(size: number): boolean {
  return size >= BLOCK_SIZE_MIN && size <= BLOCK_SIZE_MAX && Number.isInteger(Math.log2(size));
}

/** The header of a new dynamic disk. */
export function newDynamicHeader(tableOffset: number, entries: number, blockSize: number): Uint8Array {
  const bytes = new Uint8Array(dynamicHeader.size);
  dynamicHeader.write(bytes, {
    cookie: DYNAMIC_COOKIE,
    dataOffset: NO_OFFSET,
    tableOffset,
    headerVersion: FORMAT_VERSION,
    maxTableEntries: entries,
    blockSize,
  });
  dynamicHeader.write(bytes, { checksum: checksumOf(bytes, dynamicHeader.fields.checksum.offset) });
  return bytes;
}
