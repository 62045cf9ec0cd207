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
  bucketMissing: {
    kind: 'refused',
    text: 'there is no bucket {bucket} at {endpoint}',
    remedy: 'create the bucket, or correct its name, the endpoint or the region; hvlift creates no buckets',
  },
  requestDenied: {
    kind: 'refused',
    text: '{location} denies {operation}: {reason}',
    remedy:
      'give the key the rights that docs/operating/storage.md lists for what it is used for, and look for a policy of the bucket that denies them',
  },
  credentialsMissing: {
    kind: 'refused',
    text: 'no credentials were found for {location}',
    remedy:
      'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the repository s3.accessKeyId and s3.secretKeyFile in the configuration',
  },
  credentialsRefused: {
    kind: 'refused',
    text: '{location} does not accept the credentials: {reason}',
    remedy: 'correct the access key and its secret; a temporary key may have run out',
  },
  clockSkewed: {
    kind: 'refused',
    text: 'the clock of this machine differs too much from that of {location}',
    remedy: 'set the clock of this machine; signatures are valid for 15 minutes only',
  },
  regionWrong: {
    kind: 'refused',
    text: 'the bucket of {location} is in another region: {reason}',
    remedy: 'write the region into the address of the repository: ?region=NAME',
  },
  serverFailed: {
    kind: 'retry',
    text: '{location} failed at {operation}: {reason}',
    remedy: 'look at the server and the network on the way to it, then run again',
  },
  connectionFailed: {
    kind: 'retry',
    text: '{location} was not reached for {operation}: {reason}',
    remedy: 'look at the address, the server and the network on the way to it, then run again',
  },
  certificateRefused: {
    kind: 'refused',
    text: 'the certificate of {location} is not trusted: {reason}',
    remedy: 'name the authority that signed it as s3.caFile of the repository in the configuration',
  },
  namesNotAtomic: {
    kind: 'refused',
    text: '{location} let a second writer replace an object that exists',
    remedy:
      'use a bucket or server that refuses it (If-None-Match on S3, without versioning on Ceph 16); without it two runs destroy the data of each other',
  },
  lockUnsupported: {
    kind: 'refused',
    text: '{location} does not lock objects: {reason}',
    remedy:
      'use a bucket made with object lock, or take s3.objectLock of the repository out of the configuration',
  },
  contractBroken: {
    kind: 'refused',
    text: '{location} does not do what a repository needs: {reason}',
    remedy: 'use another server or bucket; what was stored there for the check was removed',
  },
  damagedInTransit: {
    kind: 'retry',
    text: 'bytes of {name} changed on the way to or from {location}',
    remedy: 'look at the network and what stands between this machine and the server, then run again',
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
