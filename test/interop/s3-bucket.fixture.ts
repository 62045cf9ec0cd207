/** Buckets for tests: production code never makes one. */
import { readFileSync } from 'node:fs';
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
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

/** The first policy of docs/operating/storage.md, with what its reader fills in. */
export function documentedPolicy(bucket: string, prefix: string, user: string): string {
  const document = readFileSync(new URL('../../docs/operating/storage.md', import.meta.url), 'utf8');
  return /```json\n([^]*?)```/
    .exec(document)![1]!
    .replaceAll('arn:aws:iam::ACCOUNT:user/USER', `arn:aws:iam:::user/${user}`)
    .replaceAll('arn:aws:iam::ACCOUNT:user/OWNER', 'arn:aws:iam:::user/test')
    .replaceAll('BUCKET', bucket)
    .replaceAll('PREFIX', prefix);
}

export async function applyPolicy(ceph: Ceph, bucket: string, policy: string): Promise<void> {
  const client = s3Client(ceph);
  await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: policy }));
  client.destroy();
}

export function keysOf({ accessKeyId, secretAccessKey }: Ceph): {
  accessKeyId: string;
  secretAccessKey: string;
} {
  return { accessKeyId, secretAccessKey };
}
