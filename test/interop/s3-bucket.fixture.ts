/** Buckets for tests: production code never makes one. */
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3Options } from '../../src/objectstore/index.ts';
import type { Ceph } from './ceph.fixture.ts';

export function s3OptionsOf(ceph: Ceph, bucket: string): S3Options {
  return { bucket, endpoint: ceph.endpoint, credentials: async () => keysOf(ceph) };
}

/** The SDK itself, for what a store does not do. */
export function s3Client(ceph: Ceph): S3Client {
  const { endpoint } = ceph;
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: keysOf(ceph),
  });
}

export async function createBucket(
  ceph: Ceph,
  bucket: string,
  options: { readonly objectLock?: boolean } = {},
): Promise<void> {
  const client = s3Client(ceph);
  const lock = options.objectLock ? { ObjectLockEnabledForBucket: true } : {};
  await client.send(new CreateBucketCommand({ Bucket: bucket, ...lock }));
  client.destroy();
}

export function keysOf({ accessKeyId, secretAccessKey }: Ceph): {
  accessKeyId: string;
  secretAccessKey: string;
} {
  return { accessKeyId, secretAccessKey };
}
