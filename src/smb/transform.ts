/**
 * Encryption of everything after the log-on: each message is one AES-GCM box behind a TRANSFORM_HEADER. MS-SMB2 3.1.4.3.
 *
 * Which messages were answered already is the connection's business; a box that was changed, cut or of another session is
 * not opened.
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type DecipherGCM,
  type KeyObject,
} from 'node:crypto';
import type { CipherName } from './cipher.ts';
import { ENCRYPTED_MESSAGE, transformHeader } from './format.ts';
import type { SessionKeys } from './session-keys.ts';

/** 2.2.41: what the tag covers begins behind it. */
const AUTHENTICATED_FROM = 20;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** 2.2.41, Flags in 3.1.1: encrypted. */
const ENCRYPTED = 1;

export class Sealing {
  readonly #cipher: CipherName;
  // Key objects: Node takes 48 us to make a cipher with plain bytes for a key, and 3 us with one of these.
  readonly #sealing: KeyObject;
  readonly #opening: KeyObject;
  readonly #sessionId: bigint;
  #sent = 0;

  constructor(keys: SessionKeys, sessionId: bigint) {
    this.#cipher = keys.cipher;
    this.#sealing = createSecretKey(keys.sealing);
    this.#opening = createSecretKey(keys.opening);
    this.#sessionId = sessionId;
  }

  seal(message: Uint8Array): Uint8Array {
    const head = new Uint8Array(transformHeader.size);
    transformHeader.write(head, {
      protocolId: ENCRYPTED_MESSAGE,
      nonce: this.#nextNonce(),
      originalMessageSize: message.length,
      flags: ENCRYPTED,
      sessionId: this.#sessionId,
    });
    const nonce = head.subarray(AUTHENTICATED_FROM, AUTHENTICATED_FROM + NONCE_BYTES);
    const cipher = createCipheriv(this.#cipher, this.#sealing, nonce);
    cipher.setAAD(head.subarray(AUTHENTICATED_FROM));
    const sealed = [cipher.update(message), cipher.final()];
    transformHeader.write(head, { signature: cipher.getAuthTag() });
    return Buffer.concat([head, ...sealed]);
  }

  /** Begins to open a box of which `head` is the TRANSFORM_HEADER. `undefined`: the server sealed no such box for this session. */
  opening(head: Uint8Array, sealedBytes: number): Opening | undefined {
    const { protocolId, flags, sessionId, originalMessageSize, nonce, signature } =
      transformHeader.read(head);
    if (protocolId !== ENCRYPTED_MESSAGE || flags !== ENCRYPTED) return undefined;
    if (sessionId !== this.#sessionId || originalMessageSize !== sealedBytes) return undefined;
    const decipher = createDecipheriv(this.#cipher, this.#opening, nonce.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(head.subarray(AUTHENTICATED_FROM, transformHeader.size));
    decipher.setAuthTag(signature);
    return new Opening(decipher);
  }

  /** A count: the key is of this session alone, so no nonce comes twice. */
  #nextNonce(): Uint8Array {
    const nonce = new Uint8Array(16);
    new DataView(nonce.buffer).setBigUint64(0, BigInt(this.#sent), true);
    this.#sent += 1;
    return nonce;
  }
}

/** One box that is being opened, piece by piece. */
export class Opening {
  readonly #decipher: DecipherGCM;

  constructor(decipher: DecipherGCM) {
    this.#decipher = decipher;
  }

  /** What the next bytes mean, in memory of its own. Nothing of it is to be believed before all of it is genuine. */
  update(sealed: Uint8Array): Uint8Array {
    return this.#decipher.update(sealed);
  }

  /** At the end: whether the server sealed exactly this. */
  isGenuine(): boolean {
    try {
      this.#decipher.final();
      return true;
    } catch {
      return false;
    }
  }
}
