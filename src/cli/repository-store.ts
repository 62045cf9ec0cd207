/** From where a repository is to the store it is in. Secrets are read when the store asks for them. */
import { readFile } from 'node:fs/promises';
import { RateLimit } from '../base/index.ts';
import {
  cachedStore,
  costOf,
  countingStore,
  openDirectoryStore,
  openS3Store,
  openSftpStore,
  requestsOf,
  retryingStore,
  throttledStore,
  type ObjectStore,
  type Requests,
  type StoreStats,
} from '../objectstore/index.ts';
import type { S3Access, StoreAccess, StoreRequests, Task } from './engine.ts';
import { sshLogOn } from './host-access.ts';
import { parseLocation, type S3Location } from './repository-location.ts';

export interface OpenStoreOptions extends Pick<Task, 'signal'> {
  /** Makes the last folder of the path; buckets are never made. */
  readonly create?: boolean;
}

/** What is on the other side of a network is tried again while it restarts; a folder fails at once, and says why. */
export async function openStore(access: StoreAccess, options: OpenStoreOptions): Promise<ObjectStore> {
  const driver = await openStoreOnce(access, options);
  if (parseLocation(access.path).kind === 'folder') return driver;
  const { store: counted, stats } = countingStore(driver);
  counters.set(access, [...(counters.get(access) ?? []), stats]);
  const { bytesPerSecond, cache } = access;
  const paced =
    bytesPerSecond === undefined ? counted : throttledStore(counted, new RateLimit(bytesPerSecond));
  const patient = retryingStore(paced);
  return cache ? cachedStore(patient, cache) : patient;
}

/** Of the stores that were opened by an access, which is one command's. */
const counters = new WeakMap<StoreAccess, readonly StoreStats[]>();

/** What was asked so far of a bucket; undefined of stores that bill nothing. */
export function requestsBy(access: StoreAccess): StoreRequests | undefined {
  if (parseLocation(access.path).kind !== 's3') return undefined;
  const each = (counters.get(access) ?? []).map(requestsOf);
  const sum = (of: keyof Requests): number => each.reduce((total, requests) => total + requests[of], 0);
  const requests = {
    put: sum('put'),
    get: sum('get'),
    head: sum('head'),
    list: sum('list'),
    delete: sum('delete'),
    receivedBytes: sum('receivedBytes'),
  };
  return { ...requests, costDollars: costOf(requests) };
}

/** As {@link openStore}, with nothing tried again: to find out what is wrong. */
export async function openStoreOnce(access: StoreAccess, options: OpenStoreOptions): Promise<ObjectStore> {
  const location = parseLocation(access.path);
  const { create = false, signal } = options;
  if (location.kind === 'folder') return openDirectoryStore(location.path, { create });
  if (location.kind === 's3') return openBucket(location, access.s3 ?? {});
  const { host, port, user, path } = location;
  const ssh = { host, port, user, hostKey: access.ssh!.hostKey, logOn: sshLogOn(access.ssh!) };
  return openSftpStore({ ...ssh, path, create }, { signal });
}

async function openBucket(location: S3Location, access: S3Access): Promise<ObjectStore> {
  const { kind: _, ...place } = location;
  const { region, pathStyle, caFile, credentials, objectLock } = access;
  return openS3Store({
    ...(region === undefined ? {} : { region }),
    ...place,
    ...(pathStyle === undefined ? {} : { pathStyle }),
    ...(caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }),
    ...(objectLock ? { objectLock } : {}),
    ...(credentials
      ? {
          credentials: async () => ({
            accessKeyId: credentials.accessKeyId,
            secretAccessKey: (await credentials.secretKey()).reveal(),
          }),
        }
      : {}),
  });
}
