/**
 * The one place that knows the AWS SDK. It is loaded when a repository on S3 is opened: its import takes 100 ms, which a
 * backup into a folder should not pay.
 *
 * The SDK does not try anything again (`maxAttempts: 1`): that is done by the retrying layer, in one place for every store.
 */
import type { S3Client, ServiceInputTypes, ServiceOutputTypes } from '@aws-sdk/client-s3';
import { storeFaults } from './faults.ts';
import { s3Fault } from './s3-fault.ts';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3Options {
  readonly bucket: string;
  /** Of every key: empty, or it ends with `/`. */
  readonly prefix?: string;
  /** URL of the server; absent: AWS. */
  readonly endpoint?: string;
  /** Absent: the environment and the shared files of AWS say it, else `us-east-1`. */
  readonly region?: string;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. Default: when there is an endpoint. */
  readonly pathStyle?: boolean;
  /** PEM of the authorities to trust, instead of those of the system. */
  readonly ca?: string;
  /** Absent: environment, shared files, the machine's role, as the tools of AWS look for them. */
  readonly credentials?: () => Promise<S3Credentials>;
  /** Names in one answer to a list. Default 1000, which is the most. */
  readonly namesPerList?: number;
  /** Each object that is stored for long is locked from the moment it is stored. */
  readonly objectLock?: S3ObjectLock;
}

export interface S3ObjectLock {
  /** `compliance`: nobody can lift it. */
  readonly mode: 'governance' | 'compliance';
  readonly days: number;
}

type Sdk = typeof import('@aws-sdk/client-s3');
type Command<I extends ServiceInputTypes, O extends ServiceOutputTypes> = Parameters<
  typeof S3Client.prototype.send<I, O>
>[0];

const CONNECT_TIMEOUT_MS = 15_000;
/** Without a byte in either direction: a put of 64 MiB over a slow line takes longer, but it moves. */
const SILENCE_TIMEOUT_MS = 60_000;
const SOCKETS_MAX = 32;

export class S3Connection {
  readonly sdk: Sdk;
  /** For messages. */
  readonly location: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #endpoint: string;

  private constructor(sdk: Sdk, client: S3Client, options: S3Options) {
    this.sdk = sdk;
    this.#client = client;
    this.#bucket = options.bucket;
    this.#endpoint = options.endpoint ?? 'AWS';
    this.location = locationOf(options);
  }

  static async open(options: S3Options): Promise<S3Connection> {
    const sdk = await import('@aws-sdk/client-s3');
    const { endpoint, region, ca, credentials } = options;
    const client = new sdk.S3Client({
      ...(endpoint === undefined ? {} : { endpoint }),
      region: region ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? 'us-east-1',
      forcePathStyle: options.pathStyle ?? endpoint !== undefined,
      ...(credentials ? { credentials } : {}),
      maxAttempts: 1,
      // Our own CRC-32C goes with each put; the SDK's default would compute another one at a tenth of the speed.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        socketTimeout: SILENCE_TIMEOUT_MS,
        httpsAgent: { maxSockets: SOCKETS_MAX, keepAlive: true, ...(ca === undefined ? {} : { ca }) },
        httpAgent: { maxSockets: SOCKETS_MAX, keepAlive: true },
      },
    });
    return new S3Connection(sdk, client, options);
  }

  /** `operation`: in words, for messages. Throws the faults of `s3-fault.ts`, and the signal's reason. */
  async send<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    operation: string,
    command: Command<I, O>,
    signal: AbortSignal | undefined,
  ): Promise<O> {
    try {
      return await this.#sendOnce(command, signal);
    } catch (error) {
      // The SDK has learned the server's time from the refusal; what it signs now is in time, unless the clock is broken.
      if ((error as Error).name !== 'RequestTimeTooSkewed') throw this.fault(operation, error, signal);
    }
    try {
      return await this.#sendOnce(command, signal);
    } catch (error) {
      throw this.fault(operation, error, signal);
    }
  }

  /** The fault for what was thrown while a request, or the body of its answer, was under way. */
  fault(operation: string, error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    const place = { operation, location: this.location, bucket: this.#bucket, endpoint: this.#endpoint };
    return s3Fault(error, place);
  }

  /** Throws `STORE_CREDENTIALS_MISSING`: before the first request, so that it is not mistaken for a refusal of the server. */
  async demandCredentials(): Promise<void> {
    try {
      await this.#client.config.credentials();
    } catch (error) {
      throw storeFaults.credentialsMissing({ location: this.location }, { cause: error });
    }
  }

  close(): void {
    this.#client.destroy();
  }

  #sendOnce<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    command: Command<I, O>,
    signal: AbortSignal | undefined,
  ): Promise<O> {
    signal?.throwIfAborted();
    return this.#client.send(command, signal ? { abortSignal: signal } : {});
  }
}

function locationOf({ bucket, prefix = '', endpoint }: S3Options): string {
  return `s3://${bucket}/${prefix}${endpoint === undefined ? '' : ` at ${new URL(endpoint).host}`}`;
}
