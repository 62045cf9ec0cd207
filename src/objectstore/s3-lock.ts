/** Object lock: until when nobody, not even who stole our key, can remove an object's version. */
import { createHash } from 'node:crypto';
import type { ObjectLockMode, PutObjectCommandInput } from '@aws-sdk/client-s3';
import { isFault } from '../base/index.ts';
import { storeFaults } from './faults.ts';
import type { S3Connection, S3ObjectLock } from './s3-client.ts';
import { statusOf } from './s3-fault.ts';

/** What a restore needs. Locks, baselines and journals live for a run or two and must be removable. */
const KEPT = /^(?:packs|index|points|keys)\/|^hvlift\.json$/;
const DAY_MS = 24 * 3600 * 1000;

type LockHeaders = Pick<PutObjectCommandInput, 'ObjectLockMode' | 'ObjectLockRetainUntilDate' | 'ContentMD5'>;

export function lockHeaders(name: string, body: Uint8Array, lock: S3ObjectLock | undefined): LockHeaders {
  if (!lock || !KEPT.test(name)) return {};
  return {
    ObjectLockMode: modeOf(lock.mode),
    ObjectLockRetainUntilDate: new Date(Date.now() + lock.days * DAY_MS),
    // Servers of before 2024 take a locked object with this checksum only.
    ContentMD5: createHash('md5').update(body).digest('base64'),
  };
}

interface Retention {
  readonly name: string;
  readonly until: Date;
  readonly lock: S3ObjectLock | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Never shortens: a date before the one that is set is no change. Throws `STORE_LOCK_UNSUPPORTED`, `STORE_NOT_FOUND`. */
export async function retainUntil(
  connection: S3Connection,
  key: { readonly Bucket: string; readonly Key: string },
  { name, until, lock = { mode: 'governance', days: 0 }, signal }: Retention,
): Promise<void> {
  const { sdk, location } = connection;
  try {
    const present = await presentRetention(connection, key, signal);
    if (present !== undefined && present >= until) return;
    // Anew in full where it is due: then most later calls find enough of it left.
    const RetainUntilDate = new Date(Math.max(until.getTime(), Date.now() + lock.days * DAY_MS));
    const Retention = { Mode: modeOf(lock.mode), RetainUntilDate };
    const command = new sdk.PutObjectRetentionCommand({ ...key, Retention });
    await connection.send(`the lock of ${name}`, command, signal);
  } catch (error) {
    const status = isFault(error) ? statusOf(error.cause) : undefined;
    if (status === 404) throw storeFaults.notFound({ name, location }, { cause: error });
    if (status !== 400) throw error;
    throw storeFaults.lockUnsupported({ location, reason: (error as Error).message }, { cause: error });
  }
}

async function presentRetention(
  connection: S3Connection,
  key: { readonly Bucket: string; readonly Key: string },
  signal: AbortSignal | undefined,
): Promise<Date | undefined> {
  const command = new connection.sdk.HeadObjectCommand(key);
  const { ObjectLockRetainUntilDate } = await connection.send(`the head of ${key.Key}`, command, signal);
  return ObjectLockRetainUntilDate;
}

function modeOf(mode: S3ObjectLock['mode']): ObjectLockMode {
  return mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
}
