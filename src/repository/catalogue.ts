/**
 * The catalogue: copies of manifests, many in one file, so that ten thousand points are listed by a handful of reads.
 *
 *   names of points/ ──► in the catalogue, under this name and with this size? ── yes ──► shown
 *                                     └ no ──► the manifest ──► shown, and noted ──► one more file of the catalogue
 *
 * It is a cache. Which points there are, the names of `points/` say; what it has of others is passed over, what it lacks or has
 * damaged is read from its manifest. Nobody waits for it, nothing is locked for it, and who lists may delete all of it: that
 * costs the next one who lists some reads. Whoever restores, drops or builds upon a point reads the manifest itself.
 *
 * Who lists writes it, when that has cost many reads; backups do not. Files are only added, until many are small: then those become
 * one. Two who do that at once leave everything twice, and the next one drops what is not needed.
 */
import { randomBytes } from 'node:crypto';
import { hasCode, isFault, mapOrdered, MiB } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { parseObject } from './canonical-json.ts';
import { stampOf, type PointName, type RestorePoint } from './point.ts';
import type { SealedRecords } from './sealed-record.ts';

const AREA = 'catalogue/';
/** The first line of a file: those of other versions are left to them. */
const HEAD = 'hvlift catalogue 1\n';
/** Some 4,000 points. One file holds 16 MiB at most, as any object. */
const FILE_BYTES = 4 * MiB;
/** In memory while points are listed: some 60,000. What is beyond that is read from the manifests. */
const LOADED_BYTES_MAX = 64 * MiB;
/** Fewer manifests than that are read in less time than a file is written in. */
const NOTED_MIN = 64;
/** Small files, or mostly dead ones, that may be before they are put together: what nights of backups leave. */
const LOOSE_MAX = 12;
const READS_AT_ONCE = 8;

interface CatalogueFile {
  readonly name: string;
  /** Bytes of lines that are of points that exist and of which no other file told. */
  alive: number;
  isReadable: boolean;
}

interface Entry {
  /** `NAME SIZE JSON`, with its line end. */
  readonly line: Buffer;
  /** Where the JSON begins. */
  readonly at: number;
  readonly size: number;
  readonly file: CatalogueFile | undefined;
}

export interface CatalogueParts {
  readonly store: ObjectStore;
  readonly records: SealedRecords;
  readonly now: () => Date;
}

/** For one listing. */
export class Catalogue {
  readonly #parts: CatalogueParts;
  readonly #files: CatalogueFile[] = [];
  readonly #entries = new Map<string, Entry>();
  /** Those of points that exist. */
  readonly #used: Entry[] = [];
  #bytes = 0;
  #noted = 0;

  private constructor(parts: CatalogueParts) {
    this.#parts = parts;
  }

  static async load(parts: CatalogueParts, options: CallOptions = {}): Promise<Catalogue> {
    const catalogue = new Catalogue(parts);
    const listed = parts.store.list(AREA, options);
    const reading = mapOrdered(listed, READS_AT_ONCE, async ({ name, size }) => ({
      name,
      text: await catalogue.#read(name, size, options),
    }));
    for await (const { name, text } of reading) catalogue.#add(name, text);
    return catalogue;
  }

  /** The point as its manifest had it; undefined when it is not known here. */
  find({ name, size, id }: PointName): RestorePoint | undefined {
    const entry = this.#entries.get(name);
    if (!entry || entry.size !== size) return undefined;
    const value = parseObject(entry.line.toString('utf8', entry.at));
    if (value?.['id'] !== id) return undefined;
    this.#used.push(entry);
    if (entry.file) entry.file.alive += entry.line.length;
    return value as unknown as RestorePoint;
  }

  /** What had to be read. */
  note({ name, size = 0 }: PointName, point: RestorePoint): void {
    if (this.#bytes > LOADED_BYTES_MAX) return;
    const start = `${name} ${size} `;
    const line = Buffer.from(`${start}${JSON.stringify(point)}\n`);
    if (line.length > FILE_BYTES) return;
    this.#bytes += line.length;
    this.#noted += 1;
    this.#used.push({ line, at: start.length, size, file: undefined });
  }

  /** After all points were asked for. Never fails: what cannot be written is read again next time. */
  async save(options: CallOptions = {}): Promise<void> {
    const loose = this.#files.filter(({ alive, isReadable }) => !isReadable || alive < FILE_BYTES / 2);
    const isUntidy = loose.length > LOOSE_MAX || loose.some(({ isReadable }) => !isReadable);
    if (!isUntidy && this.#noted < NOTED_MIN) return;
    const replaced = isUntidy ? loose : [];
    const lines = this.#used.filter(({ file }) => file === undefined || replaced.includes(file));
    try {
      // Deleted first: who may write but not delete would else write all of it again each time.
      for (const { name } of replaced) await this.#parts.store.delete(name, options);
      await this.#write(lines, options);
    } catch (error) {
      if (!isFault(error) || !error.code.startsWith('STORE_')) throw error;
    }
  }

  /** Undefined: damaged. */
  async #read(name: string, size: number, options: CallOptions): Promise<Buffer | undefined> {
    if (this.#bytes > LOADED_BYTES_MAX) return NO_LINES;
    try {
      const text = await this.#parts.records.readBytes(name, 'catalogue', { ...options, size });
      if (!text) return NO_LINES; // another one who lists has just replaced it
      return text.toString('latin1', 0, HEAD.length) === HEAD ? text.subarray(HEAD.length) : NO_LINES;
    } catch (error) {
      if (hasCode(error, 'REPO_POINT_DAMAGED')) return undefined;
      throw error;
    }
  }

  #add(name: string, text: Buffer | undefined): void {
    if (text === NO_LINES) return;
    const file: CatalogueFile = { name, alive: 0, isReadable: text !== undefined };
    this.#files.push(file);
    if (!text) return;
    this.#bytes += text.length;
    for (let start = 0; start < text.length;) {
      const end = text.indexOf(LINE_END, start);
      if (end < 0) break;
      this.#addLine(text.subarray(start, end + 1), file);
      start = end + 1;
    }
  }

  #addLine(line: Buffer, file: CatalogueFile): void {
    const nameEnd = line.indexOf(BLANK);
    const sizeEnd = line.indexOf(BLANK, nameEnd + 1);
    if (nameEnd < 0 || sizeEnd < 0) return;
    const name = line.toString('latin1', 0, nameEnd);
    const size = Number(line.toString('latin1', nameEnd + 1, sizeEnd));
    this.#entries.set(name, { line, at: sizeEnd + 1, size, file });
  }

  async #write(entries: readonly Entry[], options: CallOptions): Promise<void> {
    let [pieces, bytes]: [Buffer[], number] = [[], 0];
    for (const { line } of entries) {
      if (bytes + line.length > FILE_BYTES && bytes > 0) {
        await this.#writeFile(pieces, options);
        [pieces, bytes] = [[], 0];
      }
      pieces.push(line);
      bytes += line.length;
    }
    if (bytes > 0) await this.#writeFile(pieces, options);
  }

  #writeFile(lines: readonly Buffer[], options: CallOptions): Promise<void> {
    const name = `${AREA}${stampOf(this.#parts.now())}-${randomBytes(8).toString('hex')}`;
    const bytes = Buffer.concat([Buffer.from(HEAD), ...lines]);
    return this.#parts.records.writeBytes(name, 'catalogue', bytes, options);
  }
}

const NO_LINES = Buffer.alloc(0);
const LINE_END = 0x0a;
const BLANK = 0x20;
