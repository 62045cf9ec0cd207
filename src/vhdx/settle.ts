/** Bringing a file into the state a writer starts from: its log replayed into it, and a log there to write to. */
import { MiB, NIL_GUID, newGuid } from '../base/index.ts';
import type { LocalFile } from '../disk/index.ts';
import { HeaderWriter } from './header.ts';
import type { Claim } from './region.ts';
import { writeReplay } from './replay.ts';
import { readStructure, type Structure } from './structure.ts';

/** As Windows makes it. */
const LOG_LENGTH = MiB;

/** Replays a log left by another writer into the file; a file that has no log at all gets one at its end. */
export async function settledStructure(file: LocalFile): Promise<{ structure: Structure; ring: Claim }> {
  let structure = await readStructure(file, file.path);
  if (structure.replay) {
    await writeReplay(file, structure.replay);
    await file.sync();
    await new HeaderWriter(file, structure.header).update({ logGuid: NIL_GUID });
    structure = await readStructure(file, file.path);
  }
  if (!structure.log) structure = await withLog(file, structure);
  return { structure, ring: structure.log! };
}

async function withLog(file: LocalFile, { header }: Structure): Promise<Structure> {
  const logOffset = Math.ceil(file.size / MiB) * MiB;
  await file.extend(logOffset + LOG_LENGTH);
  await file.sync();
  const changes = { fileWriteGuid: newGuid(), logVersion: 0, logOffset, logLength: LOG_LENGTH };
  await new HeaderWriter(file, header).update(changes);
  return readStructure(file, file.path);
}
