import { faults, isFault } from '../base/index.ts';
import { diskFaults } from '../disk/index.ts';

export const imageFaults = faults('IMAGE', {
  exists: {
    kind: 'refused',
    text: '{path} exists already',
    remedy: 'nothing was written; choose another name or folder, or overwrite it (--overwrite)',
  },
  unfinished: {
    kind: 'refused',
    text: '{path} is there: an earlier run was cut off while it wrote this image, or another run is writing it now',
    remedy: 'make sure that no other run writes it, then delete it, or overwrite it (--overwrite)',
  },
  notAFile: {
    kind: 'refused',
    text: '{path} is not a regular file',
    remedy: 'images are written to files only; choose another name',
  },
  folderMissing: {
    kind: 'refused',
    text: 'the folder of {path} does not exist',
    remedy: 'create it or correct the path',
  },
  accessDenied: {
    kind: 'refused',
    text: 'the operating system denies writing {path}',
    remedy: 'give the account that runs hvlift the right to write there, or choose another folder',
  },
  sizeRefused: {
    kind: 'refused',
    text: 'a {format} image cannot have {size} bytes: {reason}',
    remedy: 'choose another format or cluster size',
  },
  sectorSizeRefused: {
    kind: 'refused',
    text: 'the disk has sectors of {size} bytes, which a {format} image cannot say',
    remedy: 'choose vhdx: with other sectors no guest finds its partitions on the disk',
  },
  full: {
    kind: 'refused',
    text: 'the data of the disk needs more than the {limit} bytes that a {format} image can have',
    remedy: 'choose a format without that limit: qcow2, vhdx, raw or vmdk-flat',
  },
  backingRefused: {
    kind: 'refused',
    text: 'a qcow2 image cannot name {path} as its backing file: {reason}',
    remedy: 'give a shorter path, best one relative to the folder of the image',
  },
  tooManyDisks: {
    kind: 'refused',
    text: 'an OVA takes at most {limit} disks on {bus} controllers, and the VM has {count}',
    remedy: 'choose some of the disks, or another format',
  },
  sourceChanged: {
    kind: 'retry',
    text: 'a disk gave other bytes when it was read for the second time',
    remedy: 'what was sent is no valid package; start again, or write into a file, which reads once',
  },
  damaged: {
    kind: 'corrupt',
    text: '{path} is no sound {format} image: {problem}',
    remedy: 'make the image again from its source',
  },
  unread: {
    kind: 'refused',
    text: '{path} is a {format} image with {feature}, which hvlift does not read',
    remedy: 'convert it with `qemu-img convert` to a raw image first',
  },
  tooLargeForVolume: {
    kind: 'refused',
    text: 'the file system of {path} cannot hold a file of {size} bytes',
    remedy:
      'choose qcow2 or vhdx, whose files are as large as the data, or a file system with larger files (XFS)',
  },
});

/** The fault for what the operating system answered while the image at `path` was written. */
export function imageFault(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (!(error instanceof Error) || isFault(error) || code === undefined) return error;
  const factory = BY_ERRNO[code] ?? diskFaults.ioFailed;
  return factory({ path, reason: error.message }, { cause: error });
}

const BY_ERRNO: Partial<Record<string, typeof diskFaults.ioFailed>> = {
  ENOSPC: diskFaults.noSpace,
  EDQUOT: diskFaults.noSpace,
  EFBIG: diskFaults.noSpace,
  EACCES: imageFaults.accessDenied,
  EPERM: imageFaults.accessDenied,
  EROFS: imageFaults.accessDenied,
  ENOENT: imageFaults.folderMissing,
  ENOTDIR: imageFaults.folderMissing,
  EISDIR: imageFaults.notAFile,
  EEXIST: imageFaults.unfinished,
};
