/** What went wrong with a request to S3, told by the names S3 gives to errors and by the status of the answer. */
import { isFault, type FaultFactory } from '../base/index.ts';
import { storeFaults } from './faults.ts';

export interface S3Place {
  /** What was asked, in words. */
  readonly operation: string;
  readonly location: string;
  readonly bucket: string;
  readonly endpoint: string;
}

interface S3Error extends Error {
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const BY_NAME: Readonly<Record<string, FaultFactory>> = {
  NoSuchBucket: storeFaults.bucketMissing,
  InvalidBucketName: storeFaults.bucketMissing,
  AccessDenied: storeFaults.requestDenied,
  AllAccessDisabled: storeFaults.requestDenied,
  SignatureDoesNotMatch: storeFaults.credentialsRefused,
  InvalidAccessKeyId: storeFaults.credentialsRefused,
  ExpiredToken: storeFaults.credentialsRefused,
  InvalidToken: storeFaults.credentialsRefused,
  RequestTimeTooSkewed: storeFaults.clockSkewed,
  PermanentRedirect: storeFaults.regionWrong,
  AuthorizationHeaderMalformed: storeFaults.regionWrong,
  CredentialsProviderError: storeFaults.credentialsMissing,
  XAmzContentSHA256Mismatch: storeFaults.damagedInTransit,
  BadDigest: storeFaults.damagedInTransit,
  InvalidDigest: storeFaults.damagedInTransit,
  QuotaExceeded: storeFaults.noSpace,
  EntityTooLarge: storeFaults.requestDenied,
};

const CERTIFICATE =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_CERT_ALTNAME_INVALID)/;

export function statusOf(error: unknown): number | undefined {
  return (error as S3Error | undefined)?.$metadata?.httpStatusCode;
}

export function s3Fault(error: unknown, place: S3Place): unknown {
  if (!(error instanceof Error) || isFault(error)) return error;
  const { name, code = '', message } = error as S3Error;
  const status = statusOf(error);
  // The SDK puts `UnknownError` where the server sent no text; the name then says more.
  const reason = message === '' || message === 'UnknownError' ? name : `${message} (${name})`;
  const details = { ...place, reason, name: place.operation };
  if (Object.hasOwn(BY_NAME, name)) return BY_NAME[name]!(details, { cause: error });
  if (CERTIFICATE.test(code))
    return storeFaults.certificateRefused({ ...details, reason: code }, { cause: error });
  if (status === undefined) return storeFaults.connectionFailed(details, { cause: error });
  return byStatus(status)({ ...details, reason: `${status} ${reason}` }, { cause: error });
}

/** 409 is two writers of one name at once, 429 too many requests: another try may do. Other 4xx say no for good. */
function byStatus(status: number): FaultFactory {
  if (status === 301 || status === 307) return storeFaults.regionWrong;
  const passes = status >= 500 || [408, 409, 429].includes(status);
  return passes ? storeFaults.serverFailed : storeFaults.requestDenied;
}
