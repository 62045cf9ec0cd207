/** AES-128-CMAC (RFC 4493), made of AES-CBC because Node does not offer it. MS-SMB2 3.1.4.1 signs with it by default. */
import { createCipheriv, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';
import { HEADER_FLAG, messageHeader } from './format.ts';

const BLOCK = 16;

export function aesCmac(keyBytes: Uint8Array, message: Uint8Array): Uint8Array {
  const key = createSecretKey(keyBytes);
  const first = doubled(cbc(key, new Uint8Array(BLOCK)));
  const blocks = Math.max(1, Math.ceil(message.length / BLOCK));
  const padded = new Uint8Array(blocks * BLOCK);
  padded.set(message);
  const whole = message.length === blocks * BLOCK;
  if (!whole) padded[message.length] = 0x80;
  const mask = whole ? first : doubled(first);
  const last = padded.length - BLOCK;
  for (let i = 0; i < BLOCK; i += 1) padded[last + i]! ^= mask[i]!;
  return cbc(key, padded).subarray(-BLOCK);
}

/** Whether `message`, header included, says it is signed and is. */
export function isSigned(key: Uint8Array, message: Uint8Array): boolean {
  const { flags, signature } = messageHeader.read(message);
  if ((flags & HEADER_FLAG.signed) === 0) return false;
  const unsigned = message.slice();
  messageHeader.write(unsigned, { signature: new Uint8Array(BLOCK) });
  return timingSafeEqual(aesCmac(key, unsigned), signature);
}

function cbc(key: KeyObject, blocks: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-cbc', key, new Uint8Array(BLOCK)).setAutoPadding(false);
  return Buffer.concat([cipher.update(blocks), cipher.final()]);
}

/** Doubling in GF(2^128), RFC 4493 2.3. */
function doubled(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK);
  for (let i = 0; i < BLOCK; i += 1) out[i] = (block[i]! << 1) | ((block[i + 1] ?? 0) >>> 7);
  if (block[0]! & 0x80) out[BLOCK - 1]! ^= 0x87;
  return out;
}
