/** The two headers: which one is current, and how a writer replaces them (MS-VHDX 2.2.2). */
import { MiB, NIL_GUID, viewOf } from '../base/index.ts';
import type { CallOptions, LocalFile, RangeReader } from '../disk/index.ts';
import { vhdxFaults } from './faults.ts';
import { HEADER_OFFSETS, HEADER_SIGNATURE, checksumOf, header, parse, type Header } from './format.ts';

export interface CurrentHeader extends Header {
  /** 0 or 1: where in the file the current header lies. */
  readonly slot: number;
}

export async function readHeaders(reader: RangeReader, options: CallOptions): Promise<CurrentHeader> {
  const current = currentHeader(await readHeaderCopies(reader, options));
  checkHeader(current, reader.size);
  return current;
}

export interface HeaderCopy {
  readonly bytes: Uint8Array;
  /** Of a copy whose checksum is right. */
  readonly sequenceNumber: bigint | undefined;
}

export function readHeaderCopies(reader: RangeReader, options: CallOptions): Promise<HeaderCopy[]> {
  return Promise.all(
    HEADER_OFFSETS.map(async (offset) => {
      const bytes = new Uint8Array(header.size);
      await reader.read(offset, bytes, options);
      return { bytes, sequenceNumber: isValid(bytes) ? sequenceOf(bytes) : undefined };
    }),
  );
}

/** Nothing but validity and number of the other copy counts, whatever is in it. */
export function currentHeader(copies: readonly HeaderCopy[]): CurrentHeader {
  const slot = currentSlot(copies);
  return { ...parse(header, copies[slot]!.bytes), slot };
}

function currentSlot(copies: readonly HeaderCopy[]): number {
  const [first, second] = copies.map((copy) => copy.sequenceNumber);
  if (first === undefined && second === undefined) throw vhdxFaults.noValidHeader();
  if (first === undefined || second === undefined) return first === undefined ? 1 : 0;
  // Disk2vhd writes the same header twice with sequence 1. Equal bytes leave nothing to choose.
  if (first === second && Buffer.compare(copies[0]!.bytes, copies[1]!.bytes) !== 0) {
    throw vhdxFaults.headersDisagree({ sequenceNumber: first });
  }
  return first >= second ? 0 : 1;
}

function isValid(bytes: Uint8Array): boolean {
  const view = viewOf(bytes);
  return view.getUint32(0, true) === HEADER_SIGNATURE && view.getUint32(4, true) === checksumOf(bytes);
}

function sequenceOf(bytes: Uint8Array): bigint {
  return viewOf(bytes).getBigUint64(header.fields.sequenceNumber.offset, true);
}

function checkHeader(current: Header, fileSize: number): void {
  if (current.version !== 1) throw vhdxFaults.version({ version: current.version });
  const dirty = current.logGuid !== NIL_GUID;
  if (dirty && current.logVersion !== 0) throw vhdxFaults.logVersion({ version: current.logVersion });
  const { logOffset: offset, logLength: length } = current;
  if (length === 0 && !dirty) return;
  if (length === 0 || offset < MiB || offset % MiB !== 0 || length % MiB !== 0) {
    throw vhdxFaults.logPlace({ offset, length });
  }
  if (offset + length > fileSize) {
    throw vhdxFaults.truncated({ size: fileSize, what: 'the log', end: offset + length });
  }
}

/** The 4 KiB of a header, checksum included. */
export function headerBytes(values: Header): Uint8Array {
  const bytes = new Uint8Array(header.size);
  header.write(bytes, { ...values, signature: HEADER_SIGNATURE });
  header.write(bytes, { checksum: checksumOf(bytes) });
  return bytes;
}

/** Replaces the headers of an open file. */
export class HeaderWriter {
  readonly #file: LocalFile;
  /** The newest header that is known to be durable, with the largest sequence number that was given. */
  #current: CurrentHeader;

  constructor(file: LocalFile, current: CurrentHeader) {
    this.#file = file;
    this.#current = current;
  }

  /**
   * Writes the present header with `changes` over the older one, makes it durable, and writes it over the other: at every
   * moment one valid header is on disk, and in the end either alone says the same. The second copy is durable after the
   * next sync; the next update replaces it first, so it need not be before.
   */
  async update(changes: Partial<Header>): Promise<void> {
    const slot = 1 - this.#current.slot;
    const { sequenceNumber } = this.#current;
    const next = { ...this.#current, ...changes, slot };
    await this.#write(slot, { ...next, sequenceNumber: sequenceNumber + 1n });
    await this.#file.sync();
    await this.#write(1 - slot, { ...next, sequenceNumber: sequenceNumber + 2n });
    this.#current = { ...next, sequenceNumber: sequenceNumber + 2n };
  }

  #write(slot: number, values: Header): Promise<void> {
    return this.#file.write(HEADER_OFFSETS[slot]!, headerBytes(values));
  }
}
