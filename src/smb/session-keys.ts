/** From the log-on's session key to the keys of the session. MS-SMB2 3.1.4.2, NIST SP 800-108 in counter mode. */
import { createHash, createHmac, createSecretKey } from 'node:crypto';
import { CIPHERS, type CipherName } from './cipher.ts';

export interface SessionKeys {
  readonly cipher: CipherName;
  /** AES-CMAC key of the last answer of the log-on, the only message that is signed. */
  readonly signing: Uint8Array;
  /** Client to server. */
  readonly sealing: Uint8Array;
  /** Server to client. */
  readonly opening: Uint8Array;
}

/** 3.1.4.4.1: a running SHA-512 over the unencrypted messages of the log-on. */
export class PreauthHash {
  #value: Uint8Array = new Uint8Array(64);

  get value(): Uint8Array {
    return this.#value;
  }

  add(message: Uint8Array): void {
    this.#value = createHash('sha512').update(this.#value).update(message).digest();
  }
}

/** Signing uses 16 bytes of the session key, sealing all of it (3.2.5.3): they differ with Kerberos and AES-256. */
export function deriveSessionKeys(
  cipher: CipherName,
  sessionKey: Uint8Array,
  preauthHash: Uint8Array,
): SessionKeys {
  const { keyBytes } = CIPHERS[cipher];
  const short = sessionKey.subarray(0, 16);
  const full = keyBytes === 32 ? sessionKey : short;
  return {
    cipher,
    signing: deriveKey(short, 'SMBSigningKey', preauthHash, 16),
    sealing: deriveKey(full, 'SMBC2SCipherKey', preauthHash, keyBytes),
    opening: deriveKey(full, 'SMBS2CCipherKey', preauthHash, keyBytes),
  };
}

/** One block of HMAC-SHA-256 is enough for both lengths. The label's final zero counts. */
function deriveKey(key: Uint8Array, label: string, context: Uint8Array, keyBytes: number): Uint8Array {
  const counter = Uint8Array.of(0, 0, 0, 1);
  const bits = Uint8Array.of(0, 0, (keyBytes * 8) >>> 8, (keyBytes * 8) & 0xff);
  return createHmac('sha256', createSecretKey(key))
    .update(Buffer.concat([counter, Buffer.from(`${label}\0`, 'latin1'), Uint8Array.of(0), context, bits]))
    .digest()
    .subarray(0, keyBytes);
}
