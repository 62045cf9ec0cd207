/**
 * From a passphrase to the key that wraps the master key: slow and large on purpose, so that guessing is.
 *
 *   argon2id   64 MiB, 3 passes, 4 lanes: the second set that RFC 9106 recommends; what is written today
 *   scrypt     128 MiB; slots of the first versions, and what is written where the runtime lacks Argon2id
 *
 * What a slot asks for is bounded before it is begun: a file that asks for more wants to exhaust memory or time.
 */
// As an object: Node before 24.7 has no `argon2`, and an import by name would not even load there.
import crypto from 'node:crypto';
import { repositoryFaults } from './faults.ts';

/** Members of a key slot, one of them. */
export interface PassphraseCosts {
  readonly scrypt?: { readonly N: number; readonly r: number; readonly p: number };
  /** `m` in KiB. */
  readonly argon2id?: { readonly m: number; readonly t: number; readonly p: number };
}

/** 128 MiB and about 0.4 s a try. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1 } as const;
const SCRYPT_MAX = { N: 2 ** 20, r: 16, p: 4 } as const;
const SCRYPT_MEMORY_MAX = 4 * 1024 ** 3;
/** 64 MiB and about 0.2 s a try, of which 4 lanes on as many processors would take a quarter. */
const ARGON2ID = { m: 64 * 1024, t: 3, p: 4 } as const;
const ARGON2ID_MAX = { m: 1024 * 1024, t: 16, p: 16 } as const;
const KEY_BYTES = 32;

/** What a new slot asks for. */
export function costsToday(): PassphraseCosts {
  return hasArgon2() ? { argon2id: ARGON2ID } : { scrypt: SCRYPT };
}

/** False: no slot of ours asks for that. */
export function isAffordable({ scrypt, argon2id }: PassphraseCosts): boolean {
  if (argon2id && scrypt) return false;
  if (argon2id) return isBelow(argon2id, ARGON2ID_MAX) && argon2id.m >= 8 * argon2id.p;
  return scrypt !== undefined && isBelow(scrypt, SCRYPT_MAX);
}

function isBelow<T extends Readonly<Record<string, number>>>(costs: T, most: T): boolean {
  return Object.keys(most).every(
    (name) => Number.isSafeInteger(costs[name]) && costs[name]! >= 1 && costs[name]! <= most[name]!,
  );
}

/** The costs are affordable. Throws `REPO_KDF_MISSING`. */
export function passphraseKey(
  passphrase: string,
  salt: Uint8Array,
  { scrypt, argon2id }: PassphraseCosts,
): Promise<Uint8Array> {
  const message = passphrase.normalize('NFC');
  if (!argon2id) {
    const options = { ...scrypt, maxmem: SCRYPT_MEMORY_MAX };
    return derived((done) => crypto.scrypt(message, salt, KEY_BYTES, options, done));
  }
  if (!hasArgon2()) throw repositoryFaults.kdfMissing({ node: process.version });
  const { m: memory, t: passes, p: parallelism } = argon2id;
  const options = { message, nonce: salt, memory, passes, parallelism, tagLength: KEY_BYTES };
  return derived((done) => crypto.argon2('argon2id', options, done));
}

function hasArgon2(): boolean {
  return typeof crypto.argon2 === 'function';
}

function derived(
  derive: (done: (error: Error | null, key: Uint8Array) => void) => void,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => derive((error, key) => (error ? reject(error) : resolve(key))));
}
