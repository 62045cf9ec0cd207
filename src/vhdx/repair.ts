/**
 * Repair: what can be put right without guessing. The log is replayed, a damaged header or region table is written again from
 * its sound copy, the last MiB is filled. A file with damage beyond that is refused: what its blocks held cannot be known.
 */
import { MiB, NIL_GUID, isZero, mapOrdered, newGuid } from '../base/index.ts';
import { LocalFile, reading, type CallOptions, type RangeReader } from '../disk/index.ts';
import { BlockTable } from './block-table.ts';
import { inFile, vhdxFaults } from './faults.ts';
import { HEADER_AREA_SIZE, REGION_TABLE_OFFSETS, fileIdentifier } from './format.ts';
import { HeaderWriter } from './header.ts';
import { PageCache } from './pages.ts';
import { readRegionTables } from './region.ts';
import { settledStructure } from './settle.ts';
import { readStructure, type Structure } from './structure.ts';

/** Where the repaired disk goes: a new file, or the same one. */
export type RepairTarget = { readonly to: string } | { readonly inPlace: true };

const COPY_DEPTH = 4;

/**
 * Writes a sound copy of the file at `path`, or mends it in place. The copy holds what the file claims and nothing else, and
 * keeps its identity: a child goes on accepting it. Throws the `VHDX_` fault of the first damage that cannot be mended, before
 * anything is written; `VHDX_FILE_EXISTS` when there is a file at `to`; `DISK_` faults.
 */
export async function repairVhdx(
  path: string,
  target: RepairTarget,
  options: CallOptions = {},
): Promise<void> {
  if ('to' in target) await reading(path, (reader) => copySound(reader, path, target.to, options));
  else await mend(path, options);
}

async function copySound(reader: RangeReader, path: string, to: string, options: CallOptions): Promise<void> {
  const structure = await readStructure(reader, path, options);
  const table = await openTable(structure, options);
  const file = await LocalFile.create(to, vhdxFaults.fileExists);
  try {
    await file.extend(Math.ceil(structure.reader.size / MiB) * MiB);
    await copyClaimed(structure, table, file, options);
    await sealTables(structure, file);
    // Last, as in a new file: a copy that was interrupted is no VHDX.
    const identifier = new Uint8Array(fileIdentifier.size);
    await reader.read(0, identifier, options);
    await file.write(0, identifier);
    await file.sync();
    await file.close();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

async function mend(path: string, options: CallOptions): Promise<void> {
  await reading(path, async (reader) => openTable(await readStructure(reader, path, options), options));
  const file = await LocalFile.open(path);
  try {
    const { structure } = await settledStructure(file);
    await sealTables(structure, file);
    await file.extend(Math.ceil(file.size / MiB) * MiB);
    await file.sync();
  } finally {
    await file.close();
  }
}

function openTable(structure: Structure, options: CallOptions): Promise<BlockTable> {
  const pages = new PageCache().file(structure.reader);
  return inFile(structure.path, () => BlockTable.open(structure, pages, options));
}

/** Everything behind the header area that is claimed, but the log. Zeros stay holes. */
async function copyClaimed(
  { reader, log }: Structure,
  table: BlockTable,
  file: LocalFile,
  options: CallOptions,
): Promise<void> {
  const load = async (offset: number): Promise<[number, Uint8Array]> => {
    const bytes = new Uint8Array(Math.min(MiB, reader.size - offset));
    await reader.read(offset, bytes, options);
    return [offset, bytes];
  };
  for await (const [offset, bytes] of mapOrdered(claimedMiB(table, log), COPY_DEPTH, load)) {
    options.signal?.throwIfAborted();
    if (!isZero(bytes)) await file.write(offset, bytes);
  }
}

function* claimedMiB(table: BlockTable, log: Structure['log']): Generator<number> {
  for (const { fileOffset, length } of table.space.taken()) {
    for (let at = fileOffset; at < fileOffset + length; at += MiB) {
      const inLog = log && at >= log.fileOffset && at < log.fileOffset + log.length;
      if (at >= HEADER_AREA_SIZE && !inLog) yield at;
    }
  }
}

/** Both headers, with an empty log, and then both region tables from the sound one. */
async function sealTables(structure: Structure, file: LocalFile): Promise<void> {
  const table = (await readRegionTables(structure.reader, {})).find((copy) => copy !== undefined)!;
  await new HeaderWriter(file, structure.header).update({ fileWriteGuid: newGuid(), logGuid: NIL_GUID });
  for (const offset of REGION_TABLE_OFFSETS) await file.write(offset, table);
  await file.sync();
}
