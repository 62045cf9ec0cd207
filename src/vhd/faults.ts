/** The ways a VHD file can be broken or refused, one code each. */
import { faults } from '../base/index.ts';

const RESTORE =
  'take another copy of the file; run `Test-VHD` on the host to see whether Hyper-V can open it';
const COPY_AGAIN = 'the file was cut or not copied whole; copy it again';
const REPORT = 'please report this with the run record';

export const vhdFaults = faults('VHD', {
  notVhd: {
    kind: 'refused',
    text: '{path} has no footer of a VHD file, neither at its end nor at its beginning',
    remedy: 'check the path, and that the file was copied whole: a fixed VHD is known by its last 512 bytes',
  },
  footerChecksum: {
    kind: 'corrupt',
    text: '{path}: no copy of the footer has a valid checksum',
    remedy: RESTORE,
  },
  version: {
    kind: 'refused',
    text: '{path}: the {structure} has version {version}; 1 is known',
    remedy: 'use a newer hvlift',
  },
  diskType: {
    kind: 'refused',
    text: '{path} is a VHD of type {type}; fixed (2), dynamic (3) and differencing (4) are known',
    remedy: 'convert the disk with `Convert-VHD` on the host',
  },
  diskSize: {
    kind: 'corrupt',
    text: '{path}: a virtual disk of {size} bytes is empty, not whole sectors, or beyond 2040 GiB',
    remedy: RESTORE,
  },
  numberTooLarge: {
    kind: 'corrupt',
    text: '{path}: a number in the {structure} is larger than any file',
    remedy: RESTORE,
  },
  truncated: {
    kind: 'corrupt',
    text: '{path} ends at byte {size}, but {what} reaches to byte {end}',
    remedy: COPY_AGAIN,
  },
  headerPlace: {
    kind: 'corrupt',
    text: '{path}: the dynamic header cannot lie at byte {offset}',
    remedy: RESTORE,
  },
  headerMissing: {
    kind: 'corrupt',
    text: '{path}: where the footer places the dynamic header, there is none',
    remedy: RESTORE,
  },
  headerChecksum: {
    kind: 'corrupt',
    text: '{path}: the checksum of the dynamic header is wrong',
    remedy: RESTORE,
  },
  blockSize: {
    kind: 'corrupt',
    text: '{path}: a block size of {blockSize} bytes is not a power of two from 64 KiB to 256 MiB',
    remedy: RESTORE,
  },
  tableTooSmall: {
    kind: 'corrupt',
    text: '{path}: the block table has {entries} entries; a disk of this size needs {needed}',
    remedy: RESTORE,
  },
  tableTooLarge: {
    kind: 'refused',
    text: '{path} has {needed} blocks; up to {maximum} are read',
    remedy: 'convert the disk to blocks of 2 MiB with `Convert-VHD` on the host',
  },
  tablePlace: {
    kind: 'corrupt',
    text: '{path}: the block table cannot lie at byte {offset} with length {length}',
    remedy: RESTORE,
  },
  blockPlace: {
    kind: 'corrupt',
    text: '{path}: the block table places block {block} at byte {offset}, outside the file or over its tables',
    remedy: COPY_AGAIN,
  },
  blockOverlap: {
    kind: 'corrupt',
    text: '{path}: the block table places two blocks over each other at byte {offset}',
    remedy: RESTORE,
  },
  locatorPlace: {
    kind: 'corrupt',
    text: '{path}: the text {code} that names the parent cannot lie at byte {offset} with length {length}',
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
    text: '{parent} is not the parent that {path} was made from',
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
  differencingReadOnly: {
    kind: 'refused',
    text: '{path} is a differencing disk; only fixed and dynamic VHD files are written',
    remedy: 'write into a copy of the whole disk',
  },
  fileExists: {
    kind: 'refused',
    text: '{path} exists already',
    remedy: 'choose another name or remove the file',
  },
  badShape: {
    kind: 'refused',
    text: 'a VHD file cannot be made with {what} {value}',
    remedy:
      'sizes are whole sectors of 512 bytes up to 2040 GiB, blocks 512 KiB or 2 MiB; VHDX has room for more',
  },
  unalignedWrite: {
    kind: 'bug',
    text: '{length} bytes at {offset} are not whole sectors of 512 bytes',
    remedy: REPORT,
  },
  placeOutOfOrder: {
    kind: 'bug',
    text: 'byte {offset} was placed after byte {reached}; places must ascend',
    remedy: REPORT,
  },
});
