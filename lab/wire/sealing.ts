/**
 * NTLM session security with extended session security, 128 bit and key exchange (MS-NLMP 3.4): every message is sealed
 * with a key stream that runs on from message to message and signed with a sequence number. One lost, repeated or
 * reordered message therefore ends the session; there is no way to resynchronise.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Rc4 } from './rc4.ts';

type Side = 'client' | 'server';

export const SIGNATURE_SIZE = 16;
/** NTLMSSP_MESSAGE_SIGNATURE_VERSION, MS-NLMP 2.2.2.9.1. */
const SIGNATURE_VERSION = 1;

export interface SealedMessage {
  readonly signature: Uint8Array;
  readonly sealed: Uint8Array;
}

export class Sealing {
  readonly #outgoing: Direction;
  readonly #incoming: Direction;

  constructor(exportedSessionKey: Uint8Array, side: Side) {
    this.#outgoing = new Direction(exportedSessionKey, side);
    this.#incoming = new Direction(exportedSessionKey, side === 'server' ? 'client' : 'server');
  }

  seal(message: Uint8Array): SealedMessage {
    const sealed = this.#outgoing.transform(message);
    return { signature: this.#outgoing.sign(message), sealed };
  }

  /** The plain message, or `undefined` when the signature is not the one that comes next. */
  unseal({ signature, sealed }: SealedMessage): Uint8Array | undefined {
    const message = this.#incoming.transform(sealed);
    const expected = this.#incoming.sign(message);
    const good = signature.length === SIGNATURE_SIZE && timingSafeEqual(signature, expected);
    return good ? message : undefined;
  }
}

class Direction {
  readonly #signingKey: Uint8Array;
  readonly #stream: Rc4;
  #sequence = 0;

  constructor(exportedSessionKey: Uint8Array, from: Side) {
    const to = from === 'client' ? 'server' : 'client';
    this.#signingKey = derivedKey(exportedSessionKey, `${from}-to-${to} signing`);
    this.#stream = new Rc4(derivedKey(exportedSessionKey, `${from}-to-${to} sealing`));
  }

  transform(bytes: Uint8Array): Uint8Array {
    return this.#stream.transform(bytes);
  }

  /** MS-NLMP 3.4.4.2. The checksum takes its key stream after the message's, so `transform` comes first. */
  sign(message: Uint8Array): Uint8Array {
    const sequence = new Uint8Array(4);
    new DataView(sequence.buffer).setUint32(0, this.#sequence, true);
    this.#sequence += 1;
    const digest = createHmac('md5', this.#signingKey).update(sequence).update(message).digest();
    const signature = new Uint8Array(SIGNATURE_SIZE);
    signature[0] = SIGNATURE_VERSION;
    signature.set(this.#stream.transform(digest.subarray(0, 8)), 4);
    signature.set(sequence, 12);
    return signature;
  }
}

/** MS-NLMP 3.4.5.2 and 3.4.5.3: signing and sealing keys differ in one word of a constant. */
export function derivedKey(exportedSessionKey: Uint8Array, purpose: string): Uint8Array {
  return createHash('md5')
    .update(exportedSessionKey)
    .update(`session key to ${purpose} key magic constant\0`)
    .digest();
}
