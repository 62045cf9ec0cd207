/** The S3 driver against Ceph's gateway: one cluster for all tests of this file. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { hasCode } from '../../src/base/index.ts';
import { objectStoreConformance } from '../../src/objectstore/conformance.ts';
import { openS3Store, type ObjectStore, type S3Options } from '../../src/objectstore/index.ts';
import { createBucket, s3OptionsOf } from './s3-bucket.fixture.ts';
import { requiresCeph, startCeph, type Ceph } from './ceph.fixture.ts';

describe('S3', requiresCeph('that repositories work on S3'), () => {
  let ceph: Ceph;
  let stores = 0;

  before(async () => {
    ceph = await startCeph();
    await createBucket(ceph, 'stores');
    await createBucket(ceph, 'locked', { objectLock: true });
  });
  after(() => ceph[Symbol.asyncDispose]());

  const open = (options: Partial<S3Options> = {}): Promise<ObjectStore> => {
    stores += 1;
    return openS3Store({ ...s3OptionsOf(ceph, 'stores'), prefix: `test-${stores}/`, ...options });
  };

  objectStoreConformance('S3', () => open());

  test('what the server refuses is told apart', async () => {
    const wrongKey = async () => ({ accessKeyId: 'nobody', secretAccessKey: 'x' });
    const wrongSecret = async () => ({ accessKeyId: ceph.accessKeyId, secretAccessKey: 'x' });
    for (const [options, code] of [
      [{ bucket: 'absent' }, 'STORE_BUCKET_MISSING'],
      [{ credentials: wrongKey }, 'STORE_CREDENTIALS_REFUSED'],
      [{ credentials: wrongSecret }, 'STORE_CREDENTIALS_REFUSED'],
      [{ endpoint: 'http://127.0.0.1:1' }, 'STORE_CONNECTION_FAILED'],
    ] as const) {
      const store = await open(options);
      await assert.rejects(store.putNew('a/b', Buffer.alloc(1)), (error) => hasCode(error, code), code);
      await assert.rejects(Array.fromAsync(store.list('a/')), (error) => hasCode(error, code), code);
    }
  });
});
