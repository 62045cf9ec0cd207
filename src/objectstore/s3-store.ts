/**
 * A store in a bucket of S3 or of a server that speaks it.
 *
 *   putNew    PUT with If-None-Match: *      412: the name exists, and its bytes are compared with ours
 *   commit    the same, of the whole pack    one request a pack; multipart would be seven, and older servers ignore the
 *                                            condition when parts are put together
 *   getRange  GET with Range                 stat  HEAD        list  ListObjectsV2, 1000 names a page        delete  DELETE
 *
 * Each PUT is signed with the SHA-256 of its body, which the server compares with what arrived; AWS also keeps the CRC-32C that
 * goes with it. Nothing here is tried again: see `retrying-store.ts`.
 */
import { hasCode, crc32c } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { storeFaults } from './faults.ts';
import { checkName, checkPrefix } from './object-name.ts';
import type { ObjectInfo, ObjectStore, ObjectUpload } from './port.ts';
import { S3Connection, type S3Options } from './s3-client.ts';
import { lockHeaders, retainUntil } from './s3-lock.ts';
import { statusOf } from './s3-fault.ts';
import { sameStored } from './same-stored.ts';
import { SpooledUpload } from './spooled-upload.ts';

/** Throws `STORE_CREDENTIALS_MISSING`. No request is made before the first call. */
export async function openS3Store(options: S3Options): Promise<ObjectStore> {
  const connection = await S3Connection.open(options);
  await connection.demandCredentials();
  return new S3Store(connection, options);
}

class S3Store implements ObjectStore {
  readonly lockDays?: number;
  #bucketSeen = false;
  readonly #connection: S3Connection;
  readonly #options: S3Options;

  constructor(connection: S3Connection, options: S3Options) {
    this.#connection = connection;
    this.#options = options;
    if (options.objectLock) this.lockDays = options.objectLock.days;
  }

  get location(): string {
    return this.#connection.location;
  }

  async putNew(name: string, body: Uint8Array, { signal }: CallOptions = {}): Promise<void> {
    checkName(name);
    const command = new this.#connection.sdk.PutObjectCommand({
      ...this.#key(name),
      Body: body,
      ContentLength: body.length,
      IfNoneMatch: '*',
      ChecksumCRC32C: crc32cBase64(body),
      ...lockHeaders(name, body, this.#options.objectLock),
    });
    try {
      await this.#connection.send(`the put of ${name}`, command, signal);
    } catch (error) {
      if (!isTaken(error)) throw error;
      if (!(await sameStored(this, name, body, signal))) throw this.#taken(name, error);
    }
  }

  async startNew(name: string, { signal }: CallOptions = {}): Promise<ObjectUpload> {
    checkName(name);
    signal?.throwIfAborted();
    return new SpooledUpload({ name, signal, put: (body) => this.putNew(name, body, { signal }) });
  }

  async getRange(
    name: string,
    offset: number,
    length: number,
    { signal }: CallOptions = {},
  ): Promise<Uint8Array> {
    checkName(name);
    if (length === 0) return await this.#emptyRange(name, offset, signal);
    const end = offset + length;
    const command = new this.#connection.sdk.GetObjectCommand({
      ...this.#key(name),
      Range: `bytes=${offset}-${end - 1}`,
    });
    const operation = `the get of ${name}`;
    try {
      const answer = await this.#connection.send(operation, command, signal);
      const size = sizeIn(answer.ContentRange);
      if (size !== undefined && size < end) throw this.#truncated(name, end, size);
      return await this.#collect(answer.Body as AsyncIterable<Uint8Array>, length, operation, signal);
    } catch (error) {
      if (status(error) === 404 && !hasCode(error, 'STORE_BUCKET_MISSING')) throw this.#notFound(name, error);
      if (status(error) !== 416) throw error;
      throw this.#truncated(name, end, (await this.stat(name, { signal }))?.size ?? 0);
    }
  }

  async stat(name: string, { signal }: CallOptions = {}): Promise<ObjectInfo | undefined> {
    checkName(name);
    const command = new this.#connection.sdk.HeadObjectCommand(this.#key(name));
    try {
      const { ContentLength = 0 } = await this.#connection.send(`the head of ${name}`, command, signal);
      return { name, size: ContentLength };
    } catch (error) {
      if (status(error) !== 404) throw error;
      await this.#demandBucket(signal);
      return undefined;
    }
  }

  /** Once: an answer to HEAD has no body, so a missing bucket would look like a repository that is not there. */
  async #demandBucket(signal: AbortSignal | undefined): Promise<void> {
    if (this.#bucketSeen) return;
    const command = new this.#connection.sdk.HeadBucketCommand({ Bucket: this.#options.bucket });
    try {
      await this.#connection.send('the head of the bucket', command, signal);
    } catch (error) {
      const { bucket, endpoint = 'AWS' } = this.#options;
      if (status(error) === 404) throw storeFaults.bucketMissing({ bucket, endpoint }, { cause: error });
      if (!hasCode(error, 'STORE_REQUEST_DENIED')) throw error; // who may not ask this, may still store and read
    }
    this.#bucketSeen = true;
  }

  async *list(prefix: string, { signal }: CallOptions = {}): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    const { bucket, prefix: own = '', namesPerList } = this.#options;
    let token: string | undefined;
    do {
      const command = new this.#connection.sdk.ListObjectsV2Command({
        Bucket: bucket,
        Prefix: own + prefix,
        ...(namesPerList === undefined ? {} : { MaxKeys: namesPerList }),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      });
      const page = await this.#connection.send(`the list of ${prefix}`, command, signal);
      for (const { Key = '', Size = 0 } of page.Contents ?? [])
        yield { name: Key.slice(own.length), size: Size };
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    checkName(name);
    const command = new this.#connection.sdk.DeleteObjectCommand(this.#key(name));
    await this.#connection.send(`the delete of ${name}`, command, signal);
  }

  async retain(name: string, until: Date, { signal }: CallOptions = {}): Promise<void> {
    checkName(name);
    const lock = this.#options.objectLock;
    await retainUntil(this.#connection, this.#key(name), { name, until, lock, signal });
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  #key(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: (this.#options.prefix ?? '') + name };
  }

  async #emptyRange(name: string, offset: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const found = await this.stat(name, { signal });
    if (!found) throw this.#notFound(name);
    if (offset > found.size) throw this.#truncated(name, offset, found.size);
    return new Uint8Array(0);
  }

  /** No more than was asked for, whatever the server sends. */
  async #collect(
    body: AsyncIterable<Uint8Array>,
    length: number,
    operation: string,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafeSlow(length);
    let done = 0;
    try {
      for await (const piece of body) {
        if (piece.length > length - done) throw this.#odd(operation, 'it sent more than was asked for');
        bytes.set(piece, done);
        done += piece.length;
      }
    } catch (error) {
      throw this.#connection.fault(operation, error, signal);
    }
    if (done < length) throw this.#odd(operation, `it sent ${done} of ${length} bytes`);
    return bytes;
  }

  #odd(operation: string, reason: string): Error {
    return storeFaults.serverFailed({ location: this.location, operation, reason });
  }

  #taken(name: string, cause: unknown): Error {
    return storeFaults.nameTaken({ name, location: this.location }, { cause });
  }

  #notFound(name: string, cause?: unknown): Error {
    return storeFaults.notFound({ name, location: this.location }, { cause });
  }

  #truncated(name: string, end: number, size: number): Error {
    return storeFaults.truncated({ name, location: this.location, end, size });
  }
}

/** Of the answer that a fault was made of. */
function status(error: unknown): number | undefined {
  return error instanceof Error ? statusOf(error.cause) : undefined;
}

function isTaken(error: unknown): boolean {
  return status(error) === 412;
}

/** `bytes 0-9/1000`: the last number. */
function sizeIn(contentRange: string | undefined): number | undefined {
  const size = /\/(\d+)$/.exec(contentRange ?? '')?.[1];
  return size === undefined ? undefined : Number(size);
}

function crc32cBase64(body: Uint8Array): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32c(body));
  return bytes.toString('base64');
}
