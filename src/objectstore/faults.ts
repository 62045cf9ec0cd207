import { isFault, faults, type Fault } from '../base/index.ts';

export const storeFaults = faults('STORE', {
  nameInvalid: {
    kind: 'bug',
    text: '"{name}" is not a name an object can have',
    remedy: 'please report this with the run record',
  },
  nameTaken: {
    kind: 'refused',
    text: 'an object named {name} with other bytes is already in {location}',
    remedy: 'nothing was overwritten; look for a second installation that writes to the same place',
  },
  nameBusy: {
    kind: 'retry',
    text: 'another writer is storing {name} in {location}',
    remedy: 'run again; when no hvlift is running anywhere, delete {claim}',
  },
  notFound: {
    kind: 'corrupt',
    text: 'the object {name} is not in {location}',
    remedy:
      'run `hvlift verify`; bring the file back from a copy of the repository if it was removed by hand',
  },
  truncated: {
    kind: 'corrupt',
    text: 'the object {name} in {location} ends at byte {size}, and bytes up to {end} were asked of it',
    remedy: 'run `hvlift verify`; bring the file back from a copy of the repository',
  },
  folderMissing: {
    kind: 'refused',
    text: 'the folder {location} does not exist',
    remedy: 'mount its volume or correct the path; hvlift creates at most the last folder of it',
  },
  notAFolder: {
    kind: 'refused',
    text: '{location} is not a folder',
    remedy: 'name a folder',
  },
  accessDenied: {
    kind: 'refused',
    text: 'the operating system denies access to {path}',
    remedy: 'give the account that runs hvlift the right to read and write below {location}',
  },
  readOnly: {
    kind: 'refused',
    text: 'the volume of {location} is mounted read-only',
    remedy: 'mount it writable; a volume that became read-only by itself had an error, so check it first',
  },
  noSpace: {
    kind: 'refused',
    text: 'the volume of {location} is full, or its quota is used up',
    remedy: 'free space or choose another place, then run again; what was committed earlier is intact',
  },
  ioFailed: {
    kind: 'retry',
    text: 'reading or writing {path} failed: {reason}',
    remedy: 'look at the volume or the network that holds it, then run again',
  },
  partLost: {
    kind: 'retry',
    text: 'the temporary file of {name} was removed from {location} while it was written',
    remedy: 'run again; keep clean-up scripts and virus scanners away from {location}',
  },
  uploadFailed: {
    kind: 'retry',
    text: 'the object {name} was not stored, because a piece of it was not accepted earlier',
    remedy: 'run again',
  },
});

/** The fault for what the operating system answered about `path`, a part of the store at `location`. */
export function fileFault(error: unknown, location: string, path: string): unknown {
  if (!(error instanceof Error) || isFault(error)) return error;
  const code = errorCode(error);
  if (code === undefined) return error;
  const factory = BY_ERRNO[code] ?? storeFaults.ioFailed;
  return factory({ location, path, reason: error.message }, { cause: error }) satisfies Fault;
}

/** `ENOENT` and the like; undefined for what is no error of the operating system. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === 'string' && /^(E[A-Z0-9]+|UNKNOWN)$/.test(code) ? code : undefined;
}

// EFBIG: the limit on the size of one file (RLIMIT_FSIZE, or FAT32 at 4 GiB); to the user the same as a full volume.
const BY_ERRNO: Partial<Record<string, typeof storeFaults.ioFailed>> = {
  ENOSPC: storeFaults.noSpace,
  EDQUOT: storeFaults.noSpace,
  EFBIG: storeFaults.noSpace,
  EACCES: storeFaults.accessDenied,
  EPERM: storeFaults.accessDenied,
  EROFS: storeFaults.readOnly,
  ENOENT: storeFaults.folderMissing,
  ENOTDIR: storeFaults.notAFolder,
};
