/**
 * The log of a file that is being written: every change of the file's own tables goes through it, so that a crash at any
 * write leaves either the old tables or the new ones (MS-VHDX 2.3).
 *
 *   begin    headers: new identity ─► entry 1 ─► durable ─► headers name the log     from here on the log counts
 *   commit   data durable ─► entry n ─► durable ─► tables in place      the next commit makes those durable
 *   end      tables durable ─► headers name no log                      the file is clean
 *
 * One commit is one entry, and the tail of an entry is the entry itself: before it is written, the tables of the one before
 * are durable in place. A torn entry therefore leaves the one before it in force, whose replay changes nothing. For that
 * the one before must still be whole, so an entry takes at most half of the ring.
 *
 * The first entry is durable before the headers name the log: a log that is named and has no entry would be corruption.
 */
import { MiB, NIL_GUID, newGuid } from '../base/index.ts';
import type { LocalFile } from '../disk/index.ts';
import type { Header } from './format.ts';
import type { HeaderWriter } from './header.ts';
import { logEntryBytes, sectorsIn, type TableSector } from './log-entry.ts';
import type { Claim } from './region.ts';

export type Identity = Partial<Pick<Header, 'fileWriteGuid' | 'dataWriteGuid'>>;

export class Journal {
  readonly #file: LocalFile;
  readonly #headers: HeaderWriter;
  readonly #ring: Claim;
  /** One for the whole session: a `begin` that failed half-way and is tried again writes the same first entry. */
  readonly #logGuid = newGuid();
  #position = 0;
  #sequence = 1n;

  constructor(file: LocalFile, headers: HeaderWriter, ring: Claim) {
    this.#file = file;
    this.#headers = headers;
    this.#ring = ring;
  }

  /** The sectors that one commit may change: 126 in a log of 1 MiB. */
  get sectorsMax(): number {
    return sectorsIn(this.#ring.length / 2);
  }

  /**
   * Gives the file new identities before anything else of it is changed (2.2.2.1), and opens the session with `sectors` as
   * its first entry. Three syncs.
   */
  async begin(sectors: readonly TableSector[], identity: Identity): Promise<void> {
    await this.#headers.update(identity);
    // An entry says how long the file is in whole MiB (2.3.1.1); old qemu left files that end elsewhere.
    await this.#file.extend(Math.ceil(this.#file.size / MiB) * MiB);
    const length = await this.#write(sectors);
    await this.#headers.update({ logGuid: this.#logGuid });
    await this.#place(sectors);
    this.#advance(length);
  }

  /**
   * Makes everything written before durable, then `sectors`: all of them or, after a crash in between, none. Two syncs,
   * one when there are no sectors. What fails may be tried again with the same sectors or more.
   */
  async commit(sectors: readonly TableSector[]): Promise<void> {
    await this.#file.sync();
    if (sectors.length === 0) return;
    this.#advance(await this.#write(sectors));
    await this.#place(sectors);
  }

  /** Closes the session: the log is empty. Two syncs. */
  async end(): Promise<void> {
    await this.#file.sync();
    await this.#headers.update({ logGuid: NIL_GUID });
  }

  /** Writes an entry and makes it durable; its length. */
  async #write(sectors: readonly TableSector[]): Promise<number> {
    const entry = logEntryBytes(
      {
        logGuid: this.#logGuid,
        sequenceNumber: this.#sequence,
        tail: this.#position,
        fileSize: this.#file.size,
      },
      sectors,
    );
    const first = Math.min(entry.length, this.#ring.length - this.#position);
    await this.#file.write(this.#ring.fileOffset + this.#position, entry.subarray(0, first));
    await this.#file.write(this.#ring.fileOffset, entry.subarray(first));
    await this.#file.sync();
    return entry.length;
  }

  #advance(length: number): void {
    this.#position = (this.#position + length) % this.#ring.length;
    this.#sequence += 1n;
  }

  async #place(sectors: readonly TableSector[]): Promise<void> {
    for (const { fileOffset, bytes } of joined(sectors)) await this.#file.write(fileOffset, bytes);
  }
}

/** Neighbouring sectors of one page as one write. */
function* joined(sectors: readonly TableSector[]): Generator<TableSector> {
  let run: TableSector | undefined;
  for (const sector of sectors) {
    if (run && follows(run, sector)) {
      const { buffer, byteOffset, length } = run.bytes;
      run = {
        fileOffset: run.fileOffset,
        bytes: new Uint8Array(buffer, byteOffset, length + sector.bytes.length),
      };
    } else {
      if (run) yield run;
      run = sector;
    }
  }
  if (run) yield run;
}

function follows({ fileOffset, bytes }: TableSector, next: TableSector): boolean {
  return (
    fileOffset + bytes.length === next.fileOffset &&
    bytes.buffer === next.bytes.buffer &&
    bytes.byteOffset + bytes.length === next.bytes.byteOffset
  );
}
