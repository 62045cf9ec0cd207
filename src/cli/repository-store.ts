/** From where a repository is to the store it is in. Secrets are read when the store asks for them. */
import { readFile } from 'node:fs/promises';
import {
  openDirectoryStore,
  openS3Store,
  openSftpStore,
  retryingStore,
  type ObjectStore,
} from '../objectstore/index.ts';
import type { S3Access, StoreAccess, Task } from './engine.ts';
import { sshLogOn } from './host-access.ts';
import { parseLocation, type S3Location } from './repository-location.ts';

export interface OpenStoreOptions extends Pick<Task, 'signal'> {
  /** Makes the last folder of the path; buckets are never made. */
  readonly create?: boolean;
}

/** What is on the other side of a network is tried again while it restarts; a folder fails at once, and says why. */
export async function openStore(access: StoreAccess, options: OpenStoreOptions): Promise<ObjectStore> {
  const store = await openStoreOnce(access, options);
  return parseLocation(access.path).kind === 'folder' ? store : retryingStore(store);
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
