/**
 * The log: changes to the file's own tables that were promised but perhaps not yet written in place (MS-VHDX 2.3).
 *
 *   ring of 4 KiB sectors:   … | entry 7 | entry 8 | entry 9 |  older remains …
 *                                ▲ tail of entry 9           ▲ head: the newest entry of the longest run
 *
 * A crash leaves the log where it was; the newest valid *sequence* of entries says what must be laid over the file.
 * An entry counts only if checksum, log GUID and every sequence number in it agree, so a torn write ends the sequence.
 *
 * Hostile logs cost linear time: a structurally sound entry is one `loge` sector followed only by sectors that begin with
 * `zero`, `desc` or `data`, so no sector belongs to two entries, and only sound entries are checksummed.
 */
import { MiB, crc32c, viewOf } from '../base/index.ts';
import { vhdxFaults } from './faults.ts';
import {
  DATA_DESCRIPTOR_SIGNATURE,
  DATA_SECTOR_SIGNATURE,
  DESCRIPTOR_SIZE,
  LOG_ENTRY_SIGNATURE,
  LOG_SECTOR,
  ZERO_SIGNATURE,
  dataDescriptor,
  dataSector,
  logEntryHeader,
  zeroDescriptor,
} from './format.ts';

/** Windows and qemu write 1 MiB. The replayed pages are held in memory, so a log without bound is not replayed. */
export const REPLAY_LOG_MAX = 64 * MiB;

// Read field by field: a log may hold millions of descriptors. Both kinds have offset and sequence at one place.
const DESCRIPTOR = dataDescriptor.fields;
const SECTOR = dataSector.fields;

export interface LogEntry {
  /** Byte offset in the ring. */
  readonly position: number;
  readonly length: number;
  readonly tail: number;
  readonly sequenceNumber: bigint;
  readonly descriptorCount: number;
  readonly flushedFileOffset: number;
  readonly lastFileOffset: number;
}

/** One change: 4 KiB of data at `fileOffset`, or `length` zeros. */
export type LogChange =
  | { readonly fileOffset: number; readonly length: number; readonly data: Uint8Array }
  | { readonly fileOffset: number; readonly length: number; readonly data?: undefined };

export class LogRing {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #logGuid: string;

  /** `bytes` is the whole log region; entries of another log than `logGuid` are remains and do not count. */
  constructor(bytes: Uint8Array, logGuid: string) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#logGuid = logGuid;
  }

  /** The entries to replay, oldest first: of the valid sequences the one with the highest number (2.3.2). */
  activeSequence(): LogEntry[] {
    let best: LogEntry[] = [];
    for (let position = 0; position < this.#bytes.length;) {
      const run = this.#runFrom(position);
      const head = run.at(-1);
      if (!head) {
        position += LOG_SECTOR;
        continue;
      }
      const tail = run.findIndex((entry) => entry.position === head.tail);
      // A run whose head points outside it is no sequence, and neither is any part of it that ends at the same head.
      if (tail >= 0 && head.sequenceNumber > (best.at(-1)?.sequenceNumber ?? 0n)) best = run.slice(tail);
      position += totalLength(run);
    }
    if (best.length === 0) throw vhdxFaults.noValidLogEntries();
    return best;
  }

  #runFrom(start: number): LogEntry[] {
    const run: LogEntry[] = [];
    let position = start;
    let left = this.#bytes.length;
    for (;;) {
      const entry = this.#entryAt(position);
      const previous = run.at(-1);
      if (!entry || entry.length > left) return run;
      if (previous && entry.sequenceNumber !== previous.sequenceNumber + 1n) return run;
      run.push(entry);
      left -= entry.length;
      position = this.#wrap(position + entry.length);
    }
  }

  #entryAt(position: number): LogEntry | undefined {
    if (this.#view.getUint32(position, true) !== LOG_ENTRY_SIGNATURE) return undefined;
    const values = logEntryHeader.read(this.#bytes, position);
    const { entryLength: length, tail, sequenceNumber, descriptorCount } = values;
    const fits = length >= LOG_SECTOR && length % LOG_SECTOR === 0 && length <= this.#bytes.length;
    if (!fits || values.logGuid !== this.#logGuid || sequenceNumber === 0n) return undefined;
    const entry: LogEntry = {
      position,
      length,
      tail,
      sequenceNumber,
      descriptorCount,
      flushedFileOffset: Number(values.flushedFileOffset),
      lastFileOffset: Number(values.lastFileOffset),
    };
    return this.#isSound(entry) && this.#checksum(entry) === values.checksum ? entry : undefined;
  }

  /** Every descriptor and data sector is there, belongs to this entry, and they fill exactly its length. */
  #isSound(entry: LogEntry): boolean {
    const area = descriptorArea(entry.descriptorCount);
    if (area > entry.length) return false;
    let dataSectors = 0;
    for (let index = 0; index < entry.descriptorCount; index += 1) {
      const at = this.#descriptorAt(entry, index);
      const signature = this.#view.getUint32(at, true);
      if (signature !== ZERO_SIGNATURE && signature !== DATA_DESCRIPTOR_SIGNATURE) return false;
      if (this.#view.getBigUint64(at + DESCRIPTOR.sequenceNumber.offset, true) !== entry.sequenceNumber)
        return false;
      if (signature === DATA_DESCRIPTOR_SIGNATURE) dataSectors += 1;
    }
    if (entry.length !== area + dataSectors * LOG_SECTOR) return false;
    for (let sector = 0; sector < dataSectors; sector += 1) {
      if (!this.#isDataSector(this.#wrap(entry.position + area + sector * LOG_SECTOR), entry)) return false;
    }
    return true;
  }

  #isDataSector(at: number, entry: LogEntry): boolean {
    const high = BigInt(this.#view.getUint32(at + SECTOR.sequenceHigh.offset, true));
    const low = BigInt(this.#view.getUint32(at + SECTOR.sequenceLow.offset, true));
    return (
      this.#view.getUint32(at, true) === DATA_SECTOR_SIGNATURE &&
      ((high << 32n) | low) === entry.sequenceNumber
    );
  }

  /** Over the whole entry, which may wrap, with its checksum field as zero. */
  #checksum(entry: LogEntry): number {
    const { position, length } = entry;
    const start = crc32c(new Uint8Array(4), crc32c(this.#bytes.subarray(position, position + 4)));
    const end = Math.min(position + length, this.#bytes.length);
    const first = crc32c(this.#bytes.subarray(position + 8, end), start);
    return crc32c(this.#bytes.subarray(0, position + length - end), first);
  }

  /** The changes of a valid entry, in order. */
  *changes(entry: LogEntry): Generator<LogChange> {
    let dataAt = entry.position + descriptorArea(entry.descriptorCount);
    for (let index = 0; index < entry.descriptorCount; index += 1) {
      const at = this.#descriptorAt(entry, index);
      const fileOffset = Number(this.#view.getBigUint64(at + DESCRIPTOR.fileOffset.offset, true));
      if (this.#view.getUint32(at, true) === ZERO_SIGNATURE) {
        yield {
          fileOffset,
          length: Number(this.#view.getBigUint64(at + zeroDescriptor.fields.zeroLength.offset, true)),
        };
      } else {
        yield { fileOffset, length: LOG_SECTOR, data: this.#restored(at, this.#wrap(dataAt)) };
        dataAt += LOG_SECTOR;
      }
    }
  }

  /** The sector as it was: 8 leading bytes, 4084 from the data sector, 4 trailing bytes. */
  #restored(descriptorAt: number, sectorAt: number): Uint8Array {
    const sector = this.#bytes.slice(sectorAt, sectorAt + LOG_SECTOR);
    const { leadingBytes, trailingBytes } = DESCRIPTOR;
    const field = ({ offset, size }: { offset: number; size: number }): Uint8Array =>
      this.#bytes.subarray(descriptorAt + offset, descriptorAt + offset + size);
    sector.set(field(leadingBytes), 0);
    sector.set(field(trailingBytes), LOG_SECTOR - trailingBytes.size);
    return sector;
  }

  #descriptorAt(entry: LogEntry, index: number): number {
    return this.#wrap(entry.position + logEntryHeader.size + index * DESCRIPTOR_SIZE);
  }

  #wrap(position: number): number {
    return position % this.#bytes.length;
  }
}

/** Entry header and descriptors, rounded up to whole sectors: 126 fit in the first, 128 in each next one. */
export function descriptorArea(count: number): number {
  return Math.ceil((logEntryHeader.size + count * DESCRIPTOR_SIZE) / LOG_SECTOR) * LOG_SECTOR;
}

function totalLength(run: readonly LogEntry[]): number {
  return run.reduce((sum, entry) => sum + entry.length, 0);
}
