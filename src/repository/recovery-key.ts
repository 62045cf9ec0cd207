/**
 * The recovery key as people print and type it: 256 random bits and 24 bits of checksum in the alphabet of Crockford's
 * base 32 (no I, L, O, U), in 14 groups of four.
 *
 *   7G2K-M0QX-…-9TRC
 */
import { createHash, randomBytes } from 'node:crypto';
import { repositoryFaults } from './faults.ts';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const KEY_BYTES = 32;
/** 256 bits fill 51.2 characters; with 24 bits of checksum they fill exactly 56. */
const CHECK_BYTES = 3;
const CHARACTERS = ((KEY_BYTES + CHECK_BYTES) * 8) / 5;

export function newRecoveryKey(): Uint8Array {
  return randomBytes(KEY_BYTES);
}

export function formatRecoveryKey(key: Uint8Array): string {
  const bytes = Buffer.concat([key, checksum(key)]);
  let bits = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (let i = 0; i < CHARACTERS; i += 1) {
    text = ALPHABET[Number(bits & 31n)]! + text;
    bits >>= 5n;
  }
  return text.match(/.{4}/g)!.join('-');
}

/** Throws `REPO_RECOVERY_KEY_INVALID` with what is wrong, so that a slip of one character is told from a wrong key. */
export function parseRecoveryKey(text: string): Uint8Array {
  const plain = text.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1');
  if (plain.length !== CHARACTERS) {
    throw repositoryFaults.recoveryKeyInvalid({
      problem: `it has ${plain.length} characters, not ${CHARACTERS}`,
    });
  }
  let bits = 0n;
  for (const character of plain) {
    const value = ALPHABET.indexOf(character);
    if (value < 0)
      throw repositoryFaults.recoveryKeyInvalid({ problem: `"${character}" does not occur in one` });
    bits = (bits << 5n) | BigInt(value);
  }
  const bytes = Buffer.from(bits.toString(16).padStart(2 * (KEY_BYTES + CHECK_BYTES), '0'), 'hex');
  const key = bytes.subarray(0, KEY_BYTES);
  if (!checksum(key).equals(bytes.subarray(KEY_BYTES))) {
    throw repositoryFaults.recoveryKeyInvalid({ problem: 'its checksum is wrong, a character was mistyped' });
  }
  return new Uint8Array(key);
}

function checksum(key: Uint8Array): Buffer {
  return createHash('sha256').update('hvlift recovery key').update(key).digest().subarray(0, CHECK_BYTES);
}
