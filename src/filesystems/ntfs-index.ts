/** The names in a folder: all of them, in whatever order its index has them. Bounded, since a folder of the guest may be huge. */
import { damaged } from './faults.ts';
import {
  ATTRIBUTES,
  FILE_NAME,
  INDEX_ENTRY_LAST,
  indexBlock,
  indexEntry,
  indexHeader,
  indexRoot,
} from './format.ts';
import type { Mft } from './ntfs-mft.ts';
import { attributesOf, undoFixups } from './ntfs-record.ts';
import { readRuns } from './ntfs-runs.ts';

/** 8 MiB of index, about 80 000 names: the folders that are looked into have a few dozen. */
const BLOCKS_MAX = 2048;

export interface FolderEntry {
  /** Lower case. */
  readonly name: string;
  /** Number of its record in the MFT. */
  readonly record: number;
}

/** Throws `FILESYSTEM_DAMAGED`. */
export async function* entriesOf(mft: Mft, folder: number): AsyncGenerator<FolderEntry> {
  const record = await mft.record(folder);
  if (!record) return;
  const root = [...attributesOf(mft.volume, record)].find(
    ({ type, name }) => type === ATTRIBUTES.indexRoot && name === '$I30',
  );
  if (!root?.value) throw damaged(mft.volume.name, 'a folder has no index');
  const { blockBytes } = mft.volume.parse(indexRoot, root.value);
  yield* entriesIn(mft, root.value, indexRoot.size);
  yield* entriesOfBlocks(mft, folder, blockBytes);
}

async function* entriesOfBlocks(mft: Mft, folder: number, blockBytes: number): AsyncGenerator<FolderEntry> {
  const file = await mft.file(folder, ATTRIBUTES.indexAllocation, '$I30');
  if (!file) return;
  mft.volume.check(
    blockBytes >= 512 && blockBytes <= 65_536 && blockBytes % 512 === 0,
    'an index block has no sound size',
  );
  const blocks = Math.floor(file.dataBytes / blockBytes);
  mft.volume.check(blocks <= BLOCKS_MAX, 'a folder has too many names');
  for (let index = 0; index < blocks; index += 1) {
    const range = { offset: index * blockBytes, length: blockBytes };
    const bytes = await readRuns(mft.volume, mft.clusterBytes, file.runs, range);
    const { magic, fixupOffset, fixupCount } = indexBlock.read(bytes);
    if (magic !== 'INDX') continue; // never used
    undoFixups(mft.volume, bytes, { offset: fixupOffset, count: fixupCount });
    yield* entriesIn(mft, bytes, indexBlock.size);
  }
}

function* entriesIn(mft: Mft, bytes: Buffer, headerAt: number): Generator<FolderEntry> {
  const header = mft.volume.parse(indexHeader, bytes, headerAt);
  const end = Math.min(bytes.length, headerAt + header.bytes);
  for (let at = headerAt + header.entriesOffset; at + indexEntry.size <= end;) {
    const entry = indexEntry.read(bytes, at);
    if ((entry.flags & INDEX_ENTRY_LAST) !== 0) return;
    mft.volume.check(entry.length >= indexEntry.size && at + entry.length <= end, 'an index is damaged');
    const key = bytes.subarray(at + indexEntry.size, at + indexEntry.size + entry.keyLength);
    if (key.length > FILE_NAME.textOffset)
      yield { name: nameIn(key), record: entry.recordHigh * 2 ** 32 + entry.recordLow };
    at += entry.length;
  }
}

function nameIn(key: Buffer): string {
  const length = key[FILE_NAME.lengthOffset]!;
  return key.toString('utf16le', FILE_NAME.textOffset, FILE_NAME.textOffset + 2 * length).toLowerCase();
}
