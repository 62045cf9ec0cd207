/**
 * NTLM session security: every message is encrypted and signed under one running RC4 stream and one counter a direction.
 * MS-NLMP 3.4.3, 3.4.4.2. A reply that was changed, repeated, dropped or reordered does not verify.
 */
import { timingSafeEqual } from 'node:crypto';
import { hmacMd5, sealingKey, signingKey, type NtlmSide } from './keys.ts';
import { Rc4 } from './rc4.ts';

/** Version 1, checksum, sequence number. MS-NLMP 2.2.2.9.2. */
const SIGNATURE_BYTES = 16;

export interface SealedMessage {
  readonly signature: Uint8Array;
  readonly ciphertext: Uint8Array;
}

class Direction {
  readonly #stream: Rc4;
  readonly #signingKey: Uint8Array;
  #sequence = 0;

  constructor(exportedKey: Uint8Array, from: NtlmSide) {
    this.#stream = new Rc4(sealingKey(exportedKey, from));
    this.#signingKey = signingKey(exportedKey, from);
  }

  crypt(bytes: Uint8Array): Uint8Array {
    return this.#stream.apply(bytes);
  }

  /** The checksum goes through the same stream right after its message. */
  signature(plaintext: Uint8Array): Uint8Array {
    const sequence = new Uint8Array(4);
    new DataView(sequence.buffer).setUint32(0, this.#sequence, true);
    this.#sequence = (this.#sequence + 1) >>> 0;
    const checksum = this.#stream.apply(hmacMd5(this.#signingKey, sequence, plaintext).subarray(0, 8));
    return Buffer.concat([Uint8Array.of(1, 0, 0, 0), checksum, sequence]);
  }
}

export class NtlmSeal {
  readonly #outgoing: Direction;
  readonly #incoming: Direction;

  constructor(exportedKey: Uint8Array, side: NtlmSide) {
    this.#outgoing = new Direction(exportedKey, side);
    this.#incoming = new Direction(exportedKey, side === 'client' ? 'server' : 'client');
  }

  seal(plaintext: Uint8Array): SealedMessage {
    const ciphertext = this.#outgoing.crypt(plaintext);
    return { ciphertext, signature: this.#outgoing.signature(plaintext) };
  }

  /** The signature over a message that travels in the clear; it takes part in the same count as sealed ones. */
  sign(message: Uint8Array): Uint8Array {
    return this.#outgoing.signature(message);
  }

  /** Whether `signature` is what the peer signs `message` with, as the next message of its count. */
  verify(message: Uint8Array, signature: Uint8Array): boolean {
    const expected = this.#incoming.signature(message);
    return signature.length === SIGNATURE_BYTES && timingSafeEqual(expected, signature);
  }

  /** The plaintext, or `undefined` when the message is not the next one the peer sealed: then drop the connection. */
  unseal(message: SealedMessage): Uint8Array | undefined {
    const plaintext = this.#incoming.crypt(message.ciphertext);
    const expected = this.#incoming.signature(plaintext);
    if (message.signature.length !== SIGNATURE_BYTES) return undefined;
    return timingSafeEqual(expected, message.signature) ? plaintext : undefined;
  }
}
