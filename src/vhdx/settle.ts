/** Bringing a file into the state a writer starts from: its log replayed into it, and a log there to write to. */
import { MiB, NIL_GUID, newGuid } from '../base/index.ts';
import type { LocalFile } from '../disk/index.ts';
import { HeaderWriter } from './header.ts';
import type { Claim } from './region.ts';
import { writeReplay } from './replay.ts';
import { readStructure, type Structure } from './structure.ts';

/** As Windows makes it. */
const LOG_LENGTH = MiB;

/**
 * Replays a log left by another writer into the file; a file that has no log at all gets one at its end. Either is a change of
 * the file, before which the headers get a new FileWriteGuid (MS-VHDX 2.2.2).
 */
export async function settledStructure(file: LocalFile): Promise<{ structure: Structure; ring: Claim }> {
  let structure = await readStructure(file, file.path);
  if (structure.replay) {
    const headers = new HeaderWriter(file, structure.header);
    await headers.update({ fileWriteGuid: newGuid() });
    await writeReplay(file, structure.replay);
    await file.sync();
    await headers.update({ logGuid: NIL_GUID });
    structure = await readStructure(file, file.path);
  }
  if (!structure.log) structure = await withLog(file, structure);
  return { structure, ring: structure.log! };
}

async function withLog(file: LocalFile, { header }: Structure): Promise<Structure> {
  const headers = new HeaderWriter(file, header);
  await headers.update({ fileWriteGuid: newGuid() });
  const logOffset = Math.ceil(file.size / MiB) * MiB;
  await file.extend(logOffset + LOG_LENGTH);
  await file.sync();
  await headers.update({ logVersion: 0, logOffset, logLength: LOG_LENGTH });
  return readStructure(file, file.path);
}
