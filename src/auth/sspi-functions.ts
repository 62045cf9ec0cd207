/**
 * The functions of Windows that log on and protect messages (SSPI), with plain values: what {@link file://./sspi-context.ts}
 * is written against. {@link file://./sspi-library.ts} calls secur32.dll; the tests call a library of the same functions that
 * stands on MIT Kerberos. Whatever fails throws `SspiError`.
 */
import type { SealedMessage } from './security-context.ts';

/** Negotiate decides between the other two, and speaks SPNEGO. */
export type SecurityPackage = 'Kerberos' | 'Negotiate' | 'NTLM';

/** Somebody else than the account hvlift runs under. */
export interface PasswordIdentity {
  readonly user: string;
  /** Empty for `user@domain` and accounts of the host. */
  readonly domain: string;
  readonly password: string;
}

export type CredentialHandle = bigint & { readonly __handle: 'credential' };
export type ContextHandle = bigint & { readonly __handle: 'context' };

export interface InitializeCall {
  readonly credential: CredentialHandle;
  /** Of the earlier call; the first has none. */
  readonly context: ContextHandle | undefined;
  /** A service principal name, `HTTP/host`. */
  readonly service: string;
  /** ISC_REQ_…. */
  readonly flags: number;
  readonly token: Uint8Array | undefined;
  /** Application data of the channel binding. */
  readonly channelBinding: Uint8Array | undefined;
}

export interface Initialized {
  readonly context: ContextHandle;
  readonly done: boolean;
  /** What to send; empty when there is nothing. */
  readonly token: Uint8Array;
  /** ISC_RET_…. */
  readonly flags: number;
  /** Milliseconds since 1970; `Infinity` when Windows names no usable time. */
  readonly expiresAtMs: number;
}

export interface MessageSizes {
  readonly maxSignature: number;
  readonly securityTrailer: number;
}

export interface SecurityFunctions {
  /** One task that may wait for the network at a time. */
  inTurn<T>(task: () => Promise<T>): Promise<T>;
  /** AcquireCredentialsHandleW. Without `identity` those of the account hvlift runs under. */
  acquire(name: SecurityPackage, identity: PasswordIdentity | undefined): Promise<CredentialHandle>;
  /** InitializeSecurityContextW. A context that an earlier call made stays the caller's to delete. */
  initialize(call: InitializeCall): Promise<Initialized>;
  /** QueryContextAttributesW of a finished context. */
  sizes(context: ContextHandle): MessageSizes;
  /** `undefined` where the package does not tell. */
  sessionKey(context: ContextHandle): Uint8Array | undefined;
  /** Number of the encryption: of Kerberos an encryption type, of others an ALG_ID. `undefined` where it does not tell. */
  encryptionType(context: ContextHandle): number | undefined;
  /** The package that Negotiate has decided on. */
  packageOf(context: ContextHandle): string;
  /** EncryptMessage: the signature (token) and as many bytes of ciphertext as of plaintext. */
  encrypt(context: ContextHandle, plaintext: Uint8Array, securityTrailer: number): SealedMessage;
  /** DecryptMessage. `undefined` for a message that was signed and not encrypted. */
  decrypt(context: ContextHandle, message: SealedMessage): Uint8Array | undefined;
  /** MakeSignature, VerifySignature. */
  sign(context: ContextHandle, message: Uint8Array, maxSignature: number): Uint8Array;
  verify(context: ContextHandle, message: Uint8Array, signature: Uint8Array): void;
  deleteContext(context: ContextHandle): void;
  freeCredential(credential: CredentialHandle): void;
}
