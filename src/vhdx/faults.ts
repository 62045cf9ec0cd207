/**
 * The ways a VHDX file can be broken or refused, one code each. A fault thrown deep inside knows the defect; the file's
 * `path` is added where the file is known, by {@link inFile}.
 */
import { Fault, declaredFaults, faults, isFault } from '../base/index.ts';

const RESTORE =
  'take another copy of the file; run `Test-VHD` on the host to see whether Hyper-V can open it';

export const vhdxFaults = faults('VHDX', {
  notVhdx: {
    kind: 'refused',
    text: '{path} does not begin as a VHDX file does',
    remedy: 'check the path; older .vhd and .avhd files are another format',
  },
  truncated: {
    kind: 'corrupt',
    text: '{path} ends at byte {size}, but {what} reaches to byte {end}',
    remedy: 'the file was cut or not copied whole; copy it again',
  },
  numberTooLarge: {
    kind: 'corrupt',
    text: '{path}: a number in the {structure} is larger than any file',
    remedy: RESTORE,
  },
  noValidHeader: {
    kind: 'corrupt',
    text: '{path}: neither of the two headers has a valid checksum',
    remedy: RESTORE,
  },
  headerDamaged: {
    kind: 'corrupt',
    text: '{path}: header {copy} of 2 has no valid checksum; the other one is used',
    remedy: 'the disk reads as it should; `hvlift disk check --repair` writes both again',
  },
  headerCopiesDiffer: {
    kind: 'corrupt',
    text: '{path}: header {copy} of 2 is older than the other one and says something else',
    remedy:
      'the disk reads as it should; a writer was stopped, and `hvlift disk check --repair` finishes what it began',
  },
  headersDisagree: {
    kind: 'corrupt',
    text: '{path}: the two headers differ but claim the same sequence number {sequenceNumber}',
    remedy: RESTORE,
  },
  version: {
    kind: 'refused',
    text: '{path} has format version {version}; 1 is known',
    remedy: 'use a newer hvlift',
  },
  logVersion: {
    kind: 'refused',
    text: '{path} has changes in a log of version {version}; 0 is known',
    remedy: 'let Hyper-V open the disk once, so that it empties the log',
  },
  logPlace: {
    kind: 'corrupt',
    text: '{path}: the log cannot lie at byte {offset} with length {length}',
    remedy: RESTORE,
  },
  logTooLarge: {
    kind: 'refused',
    text: '{path} has changes in a log of {length} bytes; up to {maximum} are replayed in memory',
    remedy: 'let Hyper-V open the disk once, so that it empties the log',
  },
  logTooScattered: {
    kind: 'refused',
    text: '{path} has changes in a log that zeroes more than {maximum} ranges; no more are replayed in memory',
    remedy: 'let Hyper-V open the disk once, so that it empties the log',
  },
  logNeedsReplay: {
    kind: 'corrupt',
    text: '{path} was not closed: its log holds changes of {sectors} sectors of its tables',
    remedy:
      'hvlift reads it with them; other readers may not, and `hvlift disk check --repair` writes a copy that holds them in place',
  },
  noValidLogEntries: {
    kind: 'corrupt',
    text: '{path} says that its log holds changes, but the log has no valid sequence of entries',
    remedy: 'take another copy of the file; without the log its tables may be half written',
  },
  fileShorterThanLog: {
    kind: 'corrupt',
    text: '{path} has {size} bytes, but its log says that {flushed} were already on disk',
    remedy: 'the file was cut or not copied whole; copy it again',
  },
  logTarget: {
    kind: 'corrupt',
    text: '{path}: the log asks to change {length} bytes at {offset}, where no log may write',
    remedy: RESTORE,
  },
  noValidRegionTable: {
    kind: 'corrupt',
    text: '{path}: neither of the two region tables is valid',
    remedy: RESTORE,
  },
  regionTableDamaged: {
    kind: 'corrupt',
    text: '{path}: region table {copy} of 2 has no valid checksum; the other one is used',
    remedy: 'the disk reads as it should; `hvlift disk check --repair` writes both again',
  },
  regionTablesDiffer: {
    kind: 'corrupt',
    text: '{path}: the two region tables are valid and differ; the first one is used',
    remedy: RESTORE,
  },
  tooManyRegions: {
    kind: 'corrupt',
    text: '{path}: the region table claims {count} entries; 2047 fit',
    remedy: RESTORE,
  },
  regionPlace: {
    kind: 'corrupt',
    text: '{path}: region {guid} cannot lie at byte {offset} with length {length}',
    remedy: RESTORE,
  },
  regionTwice: {
    kind: 'corrupt',
    text: '{path}: the region table names region {guid} twice',
    remedy: RESTORE,
  },
  regionsOverlap: {
    kind: 'corrupt',
    text: '{path}: {one} and {other} claim the same bytes',
    remedy: RESTORE,
  },
  unknownRegion: {
    kind: 'refused',
    text: '{path} needs region {guid}, which hvlift does not know',
    remedy: 'use a newer hvlift',
  },
  regionMissing: {
    kind: 'corrupt',
    text: '{path} has no {name} region',
    remedy: RESTORE,
  },
  metadataSignature: {
    kind: 'corrupt',
    text: '{path}: the metadata region does not begin with its signature',
    remedy: RESTORE,
  },
  tooManyItems: {
    kind: 'corrupt',
    text: '{path}: the metadata table claims {count} items; 2047 fit',
    remedy: RESTORE,
  },
  tooManyUserItems: {
    kind: 'corrupt',
    text: '{path}: the metadata table has {count} items of users; 1024 are allowed',
    remedy: RESTORE,
  },
  itemPlace: {
    kind: 'corrupt',
    text: '{path}: metadata item {item} cannot lie at byte {offset} of its region with length {length}',
    remedy: RESTORE,
  },
  itemTwice: {
    kind: 'corrupt',
    text: '{path}: the metadata table names item {item} twice',
    remedy: RESTORE,
  },
  itemsOverlap: {
    kind: 'corrupt',
    text: '{path}: metadata items {one} and {other} claim the same bytes',
    remedy: RESTORE,
  },
  unknownItem: {
    kind: 'refused',
    text: '{path} needs metadata item {item}, which hvlift does not know',
    remedy: 'use a newer hvlift',
  },
  itemMissing: {
    kind: 'corrupt',
    text: '{path} lacks metadata item {item}',
    remedy: RESTORE,
  },
  itemLength: {
    kind: 'corrupt',
    text: '{path}: metadata item {item} has {length} bytes instead of {expected}',
    remedy: RESTORE,
  },
  incompleteFile: {
    kind: 'refused',
    text: '{path} was never completely created',
    remedy: 'create or convert it again',
  },
  fileParameters: {
    kind: 'corrupt',
    text: '{path}: the file parameters have unknown flags {flags}',
    remedy: RESTORE,
  },
  blockSize: {
    kind: 'corrupt',
    text: '{path}: a block size of {blockSize} bytes is not a power of two from 1 MiB to 256 MiB',
    remedy: RESTORE,
  },
  diskSize: {
    kind: 'corrupt',
    text: '{path}: a virtual disk of {size} bytes is empty, not whole sectors, or beyond 64 TiB',
    remedy: RESTORE,
  },
  sectorSize: {
    kind: 'corrupt',
    text: '{path}: a {which} sector size of {size} bytes is neither 512 nor 4096',
    remedy: RESTORE,
  },
  batTooSmall: {
    kind: 'corrupt',
    text: '{path}: the block table region has {length} bytes; a disk of this size needs {needed}',
    remedy: RESTORE,
  },
  batReservedBits: {
    kind: 'corrupt',
    text: '{path}: entry {entry} of the block table has reserved bits set',
    remedy: RESTORE,
  },
  batState: {
    kind: 'corrupt',
    text: '{path}: entry {entry} of the block table has the unknown state {state}',
    remedy: RESTORE,
  },
  blockPlace: {
    kind: 'corrupt',
    text: '{path}: entry {entry} of the block table places its block at byte {offset}, outside the file',
    remedy: RESTORE,
  },
  blockOverlap: {
    kind: 'corrupt',
    text: '{path}: entry {entry} of the block table places its block at byte {offset}, where something else lies',
    remedy: RESTORE,
  },
  bitmapMissing: {
    kind: 'corrupt',
    text: '{path}: block {block} is partly in this file, but the bitmap that says which part is missing',
    remedy: RESTORE,
  },
  sizeUnaligned: {
    kind: 'corrupt',
    text: '{path} has {size} bytes, which are not whole MiB',
    remedy:
      'nothing is missing; some older programs leave files so, and `hvlift disk check --repair` fills the last MiB',
  },
  locatorType: {
    kind: 'refused',
    text: '{path} names its parent in the unknown way {type}',
    remedy: 'use a newer hvlift',
  },
  locatorMalformed: {
    kind: 'corrupt',
    text: '{path}: the entry that names the parent is malformed: {reason}',
    remedy: RESTORE,
  },
  needsParent: {
    kind: 'refused',
    text: '{path} is a differencing disk and was opened without its parent',
    remedy: 'open the chain, not the single file',
  },
  parentMissing: {
    kind: 'refused',
    text: 'the parent of {path} is not at any of: {tried}',
    remedy: 'put the parent back, or name its folder: --parents for disk files, --map for those of a host',
  },
  parentMismatch: {
    kind: 'corrupt',
    text: '{parent} is not the parent that {path} was made from, or was changed afterwards',
    remedy: 'find the right parent; with another one the disk would hold a mixture',
  },
  chainCycle: {
    kind: 'corrupt',
    text: 'the parents of {path} lead back to itself',
    remedy: 'correct the parent paths with `Set-VHD -ParentPath`',
  },
  chainTooDeep: {
    kind: 'refused',
    text: 'the chain of {path} has more than {maximum} files',
    remedy: 'merge checkpoints first',
  },
  sectorSizesDiffer: {
    kind: 'corrupt',
    text: '{path} has logical sectors of {size} bytes and its parent {parent} of {parentSize}',
    remedy: 'find the right parent',
  },
  fileExists: {
    kind: 'refused',
    text: '{path} exists already',
    remedy: 'choose another name or remove the file',
  },
  badShape: {
    kind: 'refused',
    text: 'a VHDX file cannot be made with {what} {value}',
    remedy:
      'sizes are whole sectors up to 64 TiB, blocks a power of two from 1 MiB to 256 MiB, sectors 512 or 4096',
  },
  unalignedWrite: {
    kind: 'bug',
    text: '{length} bytes at {offset} are not whole sectors of {sectorSize} bytes',
    remedy: 'please report this with the run record',
  },
  placeOutOfOrder: {
    kind: 'bug',
    text: 'byte {offset} was placed after byte {reached}; places must ascend',
    remedy: 'please report this with the run record',
  },
  mergeSizes: {
    kind: 'refused',
    text: '{child} and {parent} have different virtual sizes',
    remedy: 'bring them to one size before merging',
  },
  linkageMissing: {
    kind: 'refused',
    text: '{path} has no place for the second parent identity that a merge needs',
    remedy: 'let Hyper-V merge it',
  },
});

/** What becomes of a defect: a reader throws it, a check notes it and goes on where it can. */
export type Report = (defect: Fault) => void;

export const refuse: Report = (defect) => {
  throw defect;
};

/** Runs `task`; a defect that ends it is reported, and the result `undefined` when the reporter lets that pass. */
export async function reported<T>(report: Report, task: () => Promise<T>): Promise<T | undefined> {
  try {
    return await task();
  } catch (error) {
    if (!isDefect(error)) throw error;
    report(error);
    return undefined;
  }
}

/** True for what is wrong with the file; false for a disk that cannot be read. */
function isDefect(error: unknown): error is Fault {
  return isFault(error) && error.code.startsWith('VHDX_');
}

/** Runs `task`; a fault of this module leaves it with the name of the file. */
export async function inFile<T>(path: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw isDefect(error) ? named(error, path) : error;
  }
}

/** A fault of this module with the name of the file, unless it has one. */
export function named(fault: Fault, path: string): Fault {
  if (fault.details['path'] !== undefined) return fault;
  const definition = declaredFaults.get(fault.code)!;
  const result = new Fault(fault.code, definition, { ...fault.details, path }, fault.cause);
  result.stack = `${result.name}: ${result.message}\n${(fault.stack ?? '').split('\n').slice(1).join('\n')}`;
  return result;
}
