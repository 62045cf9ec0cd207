/** Making a repository, and opening one. */
import { randomBytes } from 'node:crypto';
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { writeAbout } from './about.ts';
import { repositoryFaults } from './faults.ts';
import { HEADER_NAME, newHeader, readRepositoryHeader, type HeaderFile } from './header.ts';
import {
  addKeySlot,
  listKeySlots,
  secretOf,
  unwrapMasterKey,
  type KeySecret,
  type KeySlotInfo,
} from './key-slots.ts';
import { Keyring } from './keyring.ts';
import { MASTER_KEY_BYTES, deriveKeys } from './keys.ts';
import { formatRecoveryKey, newRecoveryKey } from './recovery-key.ts';
import { Repository } from './repository.ts';

export interface CreateOptions extends CallOptions {
  readonly encryption: { readonly passphrase: string } | 'none';
  readonly now?: () => Date;
}

export interface OpenOptions extends CallOptions {
  readonly passphrase?: string;
  /** As printed when the repository was made; used when there is no passphrase. */
  readonly recoveryKey?: string;
  readonly now?: () => Date;
}

const systemTime = (): Date => new Date();

/**
 * Makes a repository in an empty store. The recovery key opens it without the passphrase; it is returned once and stored
 * nowhere. Throws `REPO_ALREADY_INITIALISED`.
 */
export async function createRepository(
  store: ObjectStore,
  options: CreateOptions,
): Promise<{ repository: Repository; recoveryKey?: string }> {
  const { encryption, now = systemTime, signal } = options;
  if (await store.stat(HEADER_NAME, { signal }))
    throw repositoryFaults.alreadyInitialised({ location: store.location });
  const encrypted = encryption !== 'none';
  const file = newHeader(encrypted ? 'aes-256-gcm' : 'none', now());
  const master = randomBytes(MASTER_KEY_BYTES);
  const recoveryKey = newRecoveryKey();
  const secrets: readonly KeySecret[] = encrypted
    ? [
        { kind: 'passphrase', passphrase: encryption.passphrase },
        { kind: 'recovery', key: recoveryKey },
      ]
    : [{ kind: 'clear' }];
  for (const secret of secrets)
    await addKeySlot(store, file, master, secret, { created: new Date(file.header.created), signal });
  await writeAbout(store, { signal });
  await putHeader(store, file, { signal });
  const repository = await open(store, file, master, now, { signal });
  return { repository, ...(encrypted ? { recoveryKey: formatRecoveryKey(recoveryKey) } : {}) };
}

/**
 * Throws `REPO_NOT_INITIALISED`, `REPO_PASSPHRASE_NEEDED`, `REPO_WRONG_PASSPHRASE`, `REPO_NOT_ENCRYPTED`,
 * `REPO_FORMAT_NEWER`, `REPO_HEADER_DAMAGED`.
 */
export async function openRepository(store: ObjectStore, options: OpenOptions = {}): Promise<Repository> {
  const { now = systemTime, signal } = options;
  const file = await readRepositoryHeader(store, { signal });
  const { master } = await unlock(store, file, options);
  return open(store, file, master, now, { signal });
}

/** The keys of a repository, to change who can open it. Throws as {@link openRepository}; `REPO_KEYS_IN_THE_CLEAR`. */
export async function openKeyring(store: ObjectStore, options: OpenOptions = {}): Promise<Keyring> {
  const { now = systemTime, signal } = options;
  const file = await readRepositoryHeader(store, { signal });
  if (file.header.encryption === 'none') throw repositoryFaults.keysInTheClear({ location: store.location });
  return new Keyring({ store, file, now, ...(await unlock(store, file, options)) });
}

/** The key slots of a repository; needs no secret. Throws `REPO_NOT_INITIALISED`, `REPO_HEADER_DAMAGED`. */
export async function keySlotsOf(store: ObjectStore, options: CallOptions = {}): Promise<KeySlotInfo[]> {
  return listKeySlots(store, await readRepositoryHeader(store, options), options);
}

async function unlock(store: ObjectStore, file: HeaderFile, options: OpenOptions) {
  const secret = secretOf(options);
  const encrypted = file.header.encryption !== 'none';
  const { location } = store;
  if (encrypted && secret.kind === 'clear') throw repositoryFaults.passphraseNeeded({ location });
  if (!encrypted && secret.kind !== 'clear') throw repositoryFaults.notEncrypted({ location });
  return unwrapMasterKey(store, file, secret, { signal: options.signal });
}

/** What needs no secret: is there a repository, and does it ask for one? */
export async function probeRepository(
  store: ObjectStore,
  options: CallOptions = {},
): Promise<{ encrypted: boolean }> {
  return { encrypted: (await readRepositoryHeader(store, options)).header.encryption !== 'none' };
}

/** Last: with it the repository exists. What an interrupted creation leaves before it belongs to no repository. */
async function putHeader(store: ObjectStore, { bytes }: HeaderFile, options: CallOptions): Promise<void> {
  try {
    await store.putNew(HEADER_NAME, bytes, options);
  } catch (error) {
    if (!hasCode(error, 'STORE_NAME_TAKEN')) throw error;
    throw repositoryFaults.alreadyInitialised({ location: store.location }, { cause: error });
  }
}

function open(
  store: ObjectStore,
  { header }: HeaderFile,
  master: Uint8Array,
  now: () => Date,
  options: CallOptions,
): Promise<Repository> {
  const keys = deriveKeys(master, Buffer.from(header.repositoryId, 'hex'), header.encryption !== 'none');
  return Repository.open({ store, header, keys, now }, options);
}
