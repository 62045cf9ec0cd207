/**
 * The keys of a repository: one random master key, and sub-keys derived from it, each for one purpose.
 *
 *   master ──HKDF-SHA-256(salt: repository id)──► id key        names of objects
 *                                             ├─► seal key      cipher keys, one a writer session
 *                                             ├─► manifest key  digests of manifests
 *                                             └─► name key      names of folders, so that a listing tells no VM ids
 */
import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

/** What workers get. Without `sealKey` objects are stored in the clear; their ids are keyed all the same. */
export interface ObjectKeys {
  readonly idKey: Uint8Array;
  readonly sealKey?: Uint8Array | undefined;
}

/** As key objects: with bytes, each digest would take five times as long, which is felt where thousands of points are listed. */
export interface RepositoryKeys extends ObjectKeys {
  readonly manifestKey: KeyObject;
  readonly nameKey: KeyObject;
}

export const MASTER_KEY_BYTES = 32;

export function deriveKeys(master: Uint8Array, repositoryId: Uint8Array, encrypted: boolean): RepositoryKeys {
  const derive = (purpose: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', master, repositoryId, `hvlift v1 ${purpose}`, 32));
  return {
    idKey: derive('id'),
    ...(encrypted ? { sealKey: derive('seal') } : {}),
    manifestKey: createSecretKey(derive('manifest')),
    nameKey: createSecretKey(derive('name')),
  };
}

/** The folder of a VM: 16 hexadecimal digits that say nothing about its id. */
export function vmFolder(keys: RepositoryKeys, vmId: string): string {
  return createHmac('sha256', keys.nameKey).update(vmId.toLowerCase()).digest('hex').slice(0, 16);
}

export function manifestDigest(keys: RepositoryKeys, text: string): string {
  return createHmac('sha256', keys.manifestKey).update(text).digest('hex');
}
