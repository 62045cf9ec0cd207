/**
 * The port between a protocol and the log-on below it. WinRM and SMB are written against it; NTLMv2 and Kerberos implement it.
 *
 *   context.step()          the first token
 *   context.step(theirs)    the next one, until the mechanism has nothing left to say
 *   context.complete        both sides are sure of each other: from now on keys can be used
 *   context.sessionKey      what a protocol derives keys of its own from (SMB)
 *   context.seal, unseal    encryption and integrity of messages (WinRM over http)
 */

export interface SecurityTarget {
  /** As the user named it: DNS name or address. */
  readonly host: string;
  /** Class of the service principal name. */
  readonly service: 'HTTP' | 'cifs';
  /** Ties the log-on to the TLS connection below: {@link file://./channel-binding.ts}. Left out without TLS. */
  readonly channelBinding?: Uint8Array | undefined;
}

export interface SealedMessage {
  /** What has to be known before the ciphertext can be read; WinRM sends it first, with its length. */
  readonly signature: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export interface SecurityContext extends Disposable {
  /** For messages: which mechanism, and why not a better one. */
  readonly name: string;
  /** Object identifier of the mechanism, encoded without tag and length. */
  readonly mechanism: Uint8Array;
  /** True when SPNEGO is in its tokens already. */
  readonly wrapsItself: boolean;
  /** Our next token, given the server's (also its last one); the first time there is none. `undefined`: nothing is left to say. */
  step(token?: Uint8Array): Promise<Uint8Array | undefined>;
  readonly complete: boolean;
  /** At least 16 bytes; `undefined` until the mechanism has one. */
  readonly sessionKey: Uint8Array | undefined;
  /** When the keys stop being valid, in milliseconds since 1970; `Infinity` when they do not. */
  readonly expiresAtMs: number;
  /** Integrity protection with the agreed keys; used once in each direction, for SPNEGO. */
  sign(message: Uint8Array): Uint8Array;
  verify(message: Uint8Array, mic: Uint8Array): boolean;
  /** Throws `KERBEROS_TICKET_EXPIRED`. */
  seal(plaintext: Uint8Array): SealedMessage;
  /** `undefined` when the message is not the next one the peer sealed: then drop the connection. */
  unseal(message: SealedMessage): Uint8Array | undefined;
}

/** Makes the context of one log-on. Whatever it needs from others (tickets, a password) it has when it resolves. */
export type SecurityProvider = (target: SecurityTarget, signal?: AbortSignal) => Promise<SecurityContext>;
